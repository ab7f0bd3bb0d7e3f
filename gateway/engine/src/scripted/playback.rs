//! One job of the scripted engine, as a stream.

use futures_core::Stream;
use futures_util::stream;

use super::{Failure, Place, Script};
use crate::{Chunk, Divergence, EngineError, Finish, FinishReason, Job, ScoredToken};

/// A job and how far it has come.
pub(super) struct Playback {
    job: Job,
    reply: Vec<u8>,
    context_tokens: usize,
    script: Script,
    place: Place,
    /// New tokens so far.
    drawn: usize,
    /// Bytes that are drawn but not certain: an unfinished character, or a stop text's beginning.
    held: Vec<u8>,
    started: bool,
}

/// What the next step does.
enum Step {
    Draw(u8),
    End(FinishReason),
}

impl Playback {
    pub(super) fn new(
        job: Job,
        reply: String,
        context_tokens: usize,
        script: Script,
        place: Place,
    ) -> Self {
        let reply = reply.into_bytes();
        let (drawn, held, started) = (0, Vec::new(), false);
        Self { job, reply, context_tokens, script, place, drawn, held, started }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Chunk, EngineError>> + Send {
        stream::unfold(self, |mut playback| async move {
            if playback.place.ended {
                return None;
            }
            let result = playback.next_chunk().await;
            let last = result.as_ref().map_or(true, |chunk| chunk.finish.is_some());
            playback.place.ended = last;
            Some((result, playback))
        })
    }

    /// Draws until something is certain.
    async fn next_chunk(&mut self) -> Result<Chunk, EngineError> {
        let (prompt, divergence) = (self.prompt_logprobs(), self.divergence());
        let mut chunk = Chunk { prompt, divergence, ..Chunk::default() };
        self.started = true;
        loop {
            self.wait().await?;
            match self.step() {
                Step::End(reason) => {
                    self.release(&mut chunk, self.held.len());
                    chunk.finish = Some(self.finish(reason));
                    return Ok(chunk);
                }
                Step::Draw(byte) => {
                    self.drawn += 1;
                    self.held.push(byte);
                    if let Some(at) = self.stop_at() {
                        self.release(&mut chunk, at);
                        chunk.finish = Some(self.finish(FinishReason::Stop));
                        return Ok(chunk);
                    }
                    self.release(&mut chunk, self.certain());
                    if !chunk.text.is_empty() || chunk.prompt.is_some() {
                        return Ok(chunk);
                    }
                }
            }
        }
    }

    /// Waits for the gate; fails if the deadline, a shutdown or the script's failure comes first.
    async fn wait(&self) -> Result<(), EngineError> {
        if let Failure::AfterTokens(count, error) = &self.script.failure
            && self.drawn >= *count
        {
            return Err(error.clone());
        }
        // The end is free.
        let gate = self.script.gate.as_ref().filter(|_| matches!(self.step(), Step::Draw(_)));
        let Some(gate) = gate else { return self.may_go_on() };
        let mut down = self.place.house.down.subscribe();
        tokio::select! {
            biased;
            _ = down.wait_for(|down| *down) => Err(EngineError::ShuttingDown),
            () = tokio::time::sleep_until(self.job.deadline.into()) => Err(EngineError::Deadline),
            () = gate.pass() => Ok(()),
        }
    }

    /// Fails if there was a shutdown, or the deadline has passed. It sets no timer.
    fn may_go_on(&self) -> Result<(), EngineError> {
        if *self.place.house.down.borrow() {
            return Err(EngineError::ShuttingDown);
        }
        if tokio::time::Instant::now() >= self.job.deadline.into() {
            return Err(EngineError::Deadline);
        }
        Ok(())
    }

    fn step(&self) -> Step {
        let limits = &self.job.limits;
        let full = self.job.prompt.len() + self.drawn >= self.context_tokens;
        if self.drawn >= limits.max_tokens || full || self.reply.is_empty() {
            return Step::End(FinishReason::Length);
        }
        let may_end = self.drawn >= limits.min_tokens;
        if self.drawn >= self.reply.len() && may_end && !limits.ignore_eos {
            return Step::End(FinishReason::Stop);
        }
        let byte = self.reply[self.drawn % self.reply.len()];
        if may_end && limits.stop_tokens.contains(&u32::from(byte)) {
            return Step::End(FinishReason::Stop);
        }
        Step::Draw(byte)
    }

    /// Where a stop text begins in what is held.
    fn stop_at(&self) -> Option<usize> {
        let stops = self.job.limits.stop.iter();
        stops.filter_map(|stop| find(&self.held, stop.as_bytes())).min()
    }

    /// How many held bytes are whole characters and cannot begin a stop text.
    fn certain(&self) -> usize {
        let stops = &self.job.limits.stop;
        let begins_stop = |tail: &[u8]| stops.iter().any(|s| s.as_bytes().starts_with(tail));
        let free = (0..self.held.len()).find(|at| begins_stop(&self.held[*at..]));
        let free = free.unwrap_or(self.held.len());
        match std::str::from_utf8(&self.held[..free]) {
            Ok(_) => free,
            Err(error) => error.valid_up_to(),
        }
    }

    /// Moves the first `count` held bytes to the chunk, and drops the rest if it is the end.
    fn release(&mut self, chunk: &mut Chunk, count: usize) {
        let bytes: Vec<u8> = self.held.drain(..count).collect();
        chunk.text.push_str(&String::from_utf8_lossy(&bytes));
        let top = self.job.logprobs.generated;
        chunk.tokens.extend(bytes.into_iter().map(|byte| scored(u32::from(byte), top)));
    }

    /// Adapters do not move a script.
    fn divergence(&self) -> Option<Divergence> {
        let comparison = self.job.comparison.as_ref().filter(|_| !self.started)?;
        let tokens = self.job.prompt.len() - comparison.from.clamp(1, self.job.prompt.len());
        Some(Divergence { nats: 0.0, tokens })
    }

    fn prompt_logprobs(&self) -> Option<Vec<ScoredToken>> {
        let top = self.job.logprobs.prompt.filter(|_| !self.started)?;
        let mut tokens: Vec<_> = self.job.prompt.iter().map(|id| scored(*id, Some(top))).collect();
        if let Some(first) = tokens.first_mut() {
            first.logprob = None;
            first.top.clear();
        }
        Some(tokens)
    }

    fn finish(&self, reason: FinishReason) -> Finish {
        Finish {
            reason,
            prompt_tokens: self.job.prompt.len(),
            cached_tokens: 0,
            completion_tokens: self.drawn,
        }
    }
}

/// A token with made-up but constant log-probabilities; it is always the likeliest.
fn scored(id: u32, top: Option<usize>) -> ScoredToken {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let logprob = |id: u32, place: u32| -((id % 7 + 1) as f32) / 10.0 - place as f32;
    let others = (0..u32::try_from(top.unwrap_or(0)).unwrap_or(0)).map(|place| {
        let other = if place == 0 { id } else { (id + place) % super::FIRST_CONTROL };
        (other, super::token_bytes(other).unwrap_or_default(), logprob(id, place))
    });
    ScoredToken {
        id,
        bytes: super::token_bytes(id).unwrap_or_default(),
        logprob: top.map(|_| logprob(id, 0)),
        top: others.collect(),
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len().max(1)).position(|window| window == part)
}
