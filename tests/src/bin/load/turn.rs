//! One server's turn: all streams at once.

use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::plan::Requests;
use crate::process::resident_bytes;
use crate::stream::{Answer, ask};
use crate::target::Target;

/// What was measured in a turn; times in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn {
    /// All answers' tokens over the time from the first request to the last token.
    pub(crate) tokens_per_second: f64,
    /// Time to first token, of each stream.
    pub(crate) first: Vec<f64>,
    /// Time per output token after the first, of each stream.
    pub(crate) per_token: Vec<f64>,
    /// Time between pieces, of all streams.
    pub(crate) gaps: Vec<f64>,
    /// Those that ended while the intruder waited for its token.
    pub(crate) disturbed: Vec<f64>,
    pub(crate) resident_bytes: Option<u64>,
}

/// Asks for everything at once and waits for all of it.
pub(crate) fn take(target: &Target, requests: &Requests) -> anyhow::Result<Turn> {
    let (answers, intruder) = answers(target, requests)?;
    let mut turn = measured(&answers, intruder.as_ref())?;
    turn.resident_bytes = target.process.map(resident_bytes).transpose()?;
    Ok(turn)
}

fn answers(target: &Target, requests: &Requests) -> anyhow::Result<(Vec<Answer>, Option<Answer>)> {
    thread::scope(|scope| {
        let (first, begun) = mpsc::channel();
        let stream = |body: &'_ Value| {
            let (first, body) = (first.clone(), body.clone());
            scope.spawn(move || ask(target, &body, || first.send(()).unwrap_or_default()))
        };
        let streams: Vec<_> = requests.streams.iter().map(stream).collect();
        let intruder = requests.intruder.as_ref().map(|body| {
            // Fewer come if a stream fails, whose error is then the turn's.
            drop(first);
            begun.iter().take(streams.len()).for_each(drop);
            ask(target, body, || ())
        });
        let join = |handle: thread::ScopedJoinHandle<'_, anyhow::Result<Answer>>| {
            handle.join().map_err(|_| anyhow!("a stream's thread panicked"))?
        };
        let answers = streams.into_iter().map(join).collect::<anyhow::Result<_>>()?;
        Ok((answers, intruder.transpose().context("the intruder")?))
    })
}

fn measured(answers: &[Answer], intruder: Option<&Answer>) -> anyhow::Result<Turn> {
    let sent = answers.iter().map(|answer| answer.sent).min().context("no stream")?;
    let last =
        answers.iter().filter_map(|answer| answer.pieces.last()).max().context("no piece")?;
    let tokens: usize = answers.iter().map(|answer| answer.tokens).sum();
    let mut turn =
        Turn { tokens_per_second: tokens as f64 / seconds(sent, *last), ..Turn::default() };
    for answer in answers {
        let [first, .., last] = answer.pieces[..] else { anyhow::bail!("an answer came at once") };
        turn.first.push(seconds(answer.sent, first));
        turn.per_token.push(seconds(first, last) / (answer.tokens - 1) as f64);
        for pair in answer.pieces.windows(2) {
            let gap = seconds(pair[0], pair[1]);
            turn.gaps.push(gap);
            let disturbs =
                |intruder: &Answer| (intruder.sent..=intruder.pieces[0]).contains(&pair[1]);
            if intruder.is_some_and(disturbs) {
                turn.disturbed.push(gap);
            }
        }
    }
    Ok(turn)
}

fn seconds(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64()
}
