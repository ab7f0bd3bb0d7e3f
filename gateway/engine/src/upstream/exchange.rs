//! One question to a server, and its answer as it comes.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout};

use super::dialect::{Dialect, Said, Target};
use super::fault::Fault;
use super::fleet::{Aim, Fleet};
use super::http::good;
use super::jobs::Place;
use super::replica::Replica;
use super::sse::EventReader;
use crate::{Answer, Chunk, Drawn, EngineError, Finish, FinishReason, Job, sampler::Scored};

/// The way to a job's reader.
pub(super) struct Outlet {
    pub(super) place: Place,
    pub(super) sender: Sender<Result<Chunk, EngineError>>,
    /// Whether the reader was given anything.
    pub(super) began: bool,
}

/// An answer that comes from a server.
struct Reception<'a> {
    fleet: &'a Fleet,
    job: &'a Job,
    answer: Answer,
    /// The model that must answer.
    model: Option<&'a str>,
    /// Tokens that end the text.
    ends: Vec<u32>,
    drawn: usize,
    /// Told by the server.
    used: Option<usize>,
    finish: Option<FinishReason>,
    /// Whether the reader was told the end.
    told: Option<Finish>,
}

/// Asks `replica` and passes its answer on.
///
/// # Errors
/// [`Fault`]; whether the reader was given anything before, `outlet` knows.
pub(super) async fn exchange(
    fleet: &Fleet,
    replica: &Replica,
    job: &Job,
    aim: &Aim,
    outlet: &mut Outlet,
) -> Result<Finish, Fault> {
    let (dialect, patience) = (fleet.settings.dialect, fleet.settings.patience);
    let url = replica.server.at(dialect.path());
    let (body, trace) = (dialect.request(job, &aim.target), job.trace.as_ref());
    let mut reception = Reception::new(fleet, job, &aim.target);
    if dialect.is_whole(job) {
        // It comes when all of it is there; the job's deadline is kept elsewhere.
        let patience = job.deadline.saturating_duration_since(Instant::now().into_std());
        let bytes = good(fleet.http.post(url, &body, trace, patience).await?)?.bytes().await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Fault::Garbage)?;
        reception.event(text, outlet).await?;
        if reception.told.is_none() {
            reception.done(outlet).await?;
        }
    } else {
        let response = good(fleet.http.post(url, &body, trace, patience.first_token).await?)?;
        reception.events(response, outlet, patience.first_token, patience.idle).await?;
    }
    reception.told.ok_or(Fault::Lost)
}

impl<'a> Reception<'a> {
    fn new(fleet: &'a Fleet, job: &'a Job, target: &'a Target) -> Self {
        let side = fleet.text.side();
        let mut ends = job.limits.stop_tokens.clone();
        if !job.limits.ignore_eos {
            ends.extend(side.tokenizer().eos());
        }
        let model = match target {
            Target::Named(name) => Some(name.as_str()),
            Target::Scales(_) => None,
        };
        let answer = Answer::new(Arc::clone(side), job.prompt.len(), job.limits.stop.clone());
        Self { fleet, job, answer, model, ends, drawn: 0, used: None, finish: None, told: None }
    }

    async fn events(
        &mut self,
        mut response: Response,
        outlet: &mut Outlet,
        first: Duration,
        idle: Duration,
    ) -> Result<(), Fault> {
        let mut reader = EventReader::default();
        while self.told.is_none() {
            let patience = if self.drawn == 0 { first } else { idle };
            let bytes =
                timeout(patience, response.chunk()).await.map_err(|_| Fault::TimedOut)??;
            let Some(bytes) = bytes else {
                // Some servers end the stream without a last word.
                self.done(outlet).await?;
                break;
            };
            for event in reader.push(&bytes).map_err(|_| Fault::Garbage)? {
                self.event(&event, outlet).await?;
            }
        }
        Ok(())
    }

    /// Takes an event's data.
    async fn event(&mut self, data: &str, outlet: &mut Outlet) -> Result<(), Fault> {
        for said in self.fleet.settings.dialect.read(data, self.job)? {
            if self.told.is_none() {
                self.take(said, outlet).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, said: Said, outlet: &mut Outlet) -> Result<(), Fault> {
        match said {
            Said::Model(name) if self.model.is_some_and(|wanted| wanted != name) => {
                return Err(Fault::Displaced);
            }
            Said::Model(_) => {}
            Said::Prompt(prompt) => {
                let prompt = prompt.into_iter().map(|scored| self.answer.scored(scored)).collect();
                outlet.send(Chunk { prompt: Some(prompt), ..Chunk::default() }).await;
            }
            Said::Token(token) => self.token(token, outlet).await?,
            Said::Text(text) => {
                for token in Dialect::spell(&self.fleet.text, &text)? {
                    self.token(token, outlet).await?;
                }
            }
            Said::Finished(reason) => {
                self.finish.get_or_insert(reason);
            }
            Said::Used { cached_tokens, completion_tokens } => {
                self.answer.set_cached_tokens(cached_tokens.min(self.job.prompt.len()));
                self.used = Some(completion_tokens);
            }
            Said::Done => self.done(outlet).await?,
        }
        Ok(())
    }

    async fn token(&mut self, token: Scored, outlet: &mut Outlet) -> Result<(), Fault> {
        let text = &self.fleet.text;
        let known = |id: u32| text.token_bytes(id).is_ok();
        if !known(token.token) || token.top.iter().any(|(id, _)| !known(*id)) {
            return Err(Fault::Garbage);
        }
        let full = self.drawn >= self.job.limits.max_tokens;
        if self.finish.is_some() || full || self.told.is_some() {
            return Ok(());
        }
        self.drawn += 1;
        if self.ends.contains(&token.token) {
            self.finish = Some(FinishReason::Stop);
            return Ok(());
        }
        let chunk = self.answer.push(Drawn(token));
        self.told = chunk.finish;
        outlet.send(chunk).await;
        Ok(())
    }

    /// Nothing more comes.
    async fn done(&mut self, outlet: &mut Outlet) -> Result<(), Fault> {
        let reason = self.finish.ok_or(Fault::Lost)?;
        let wanted = self.job.limits.max_tokens;
        let chunk = self.answer.finish(reason, self.used.unwrap_or(self.drawn).min(wanted));
        self.told = chunk.finish;
        outlet.send(chunk).await;
        Ok(())
    }
}

impl Outlet {
    /// Gives the reader a chunk; whether there still is one is seen elsewhere.
    async fn send(&mut self, chunk: Chunk) {
        if !self.began {
            self.began = true;
            self.place.begin();
        }
        let _ = self.sender.send(Ok(chunk)).await;
    }
}
