//! A deterministic engine without a model, for tests of everything around engines.
//!
//! A token is a byte, or one of three control tokens. The answer is computed from the prompt, the
//! adapters and the seed, so that a test sees whether they arrived; a [`Script`] says what goes
//! wrong, and a [`Gate`] lets tokens through one by one.

mod playback;
mod reply;
mod schema;
mod script;
#[cfg(test)]
mod tests;
pub mod upstream;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::{
    ChatMessage, ControlTokens, Engine, Generation, Health, Job, ModelInfo, Status, SubmitError,
    TextError,
};

pub use script::{Failure, Gate, Script};

use playback::Playback;

/// The control tokens, from id 256.
const CONTROL: [&str; 3] = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];
const FIRST_CONTROL: u32 = 256;

/// The scripted engine.
#[derive(Debug)]
pub struct ScriptedEngine {
    model: ModelInfo,
    script: Script,
    house: Arc<House>,
}

/// What runs, and what was given up.
#[derive(Debug)]
struct House {
    jobs: Mutex<Jobs>,
    changed: Condvar,
    down: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Jobs {
    next: u64,
    /// Threads in [`ScriptedEngine::wait_for`].
    watchers: usize,
    running: BTreeMap<u64, Vec<String>>,
    cancelled: u64,
}

/// A running job's place; dropping it before the end counts as a cancellation.
#[derive(Debug)]
struct Place {
    house: Arc<House>,
    id: u64,
    ended: bool,
}

impl ScriptedEngine {
    /// An engine that serves `name` as `script` says.
    #[must_use]
    pub fn new(name: &str, script: Script) -> Self {
        let model = ModelInfo {
            name: name.to_owned(),
            context_tokens: 2_048,
            vocabulary: 256 + CONTROL.len(),
            fingerprint: "sha256:scripted".to_owned(),
        };
        let (down, _) = watch::channel(false);
        let house = House { jobs: Mutex::default(), changed: Condvar::new(), down };
        Self { model, script, house: Arc::new(house) }
    }

    /// How many jobs were dropped before their end.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.house.jobs().cancelled
    }

    /// Waits until `running` jobs run and `cancelled` were dropped before their end; returns
    /// whether that came about within `timeout`. It blocks the thread.
    #[must_use]
    pub fn wait_for(&self, running: usize, cancelled: u64, timeout: Duration) -> bool {
        let other = |jobs: &mut Jobs| jobs.running.len() != running || jobs.cancelled != cancelled;
        let mut jobs = self.house.jobs();
        jobs.watchers += 1;
        let waited = self.house.changed.wait_timeout_while(jobs, timeout, other);
        let (mut jobs, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        jobs.watchers -= 1;
        !timeout.timed_out()
    }

    /// Refuses what can never run.
    fn check(&self, job: &Job) -> Result<(), SubmitError> {
        if *self.house.down.borrow() {
            return Err(SubmitError::NotRunning);
        }
        if let Failure::AtSubmission(error) = &self.script.failure {
            return Err(error.clone());
        }
        if job.prompt.is_empty() {
            return Err(SubmitError::EmptyPrompt);
        }
        if let Some(id) = job.prompt.iter().find(|id| token_bytes(**id).is_none()) {
            return Err(SubmitError::UnknownToken(*id));
        }
        let requested = job.prompt.len() + job.limits.max_tokens.min(1);
        let context_tokens = self.model.context_tokens;
        if requested > context_tokens {
            return Err(SubmitError::TooLong { requested, context_tokens });
        }
        Ok(())
    }
}

impl Engine for ScriptedEngine {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn tokenize(&self, text: &str, control: ControlTokens) -> Result<Vec<u32>, TextError> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.bytes().next() {
            let spelled = (FIRST_CONTROL..)
                .zip(CONTROL)
                .find(|(_, word)| control == ControlTokens::Parse && rest.starts_with(word));
            if let Some((id, word)) = spelled {
                tokens.push(id);
                rest = &rest[word.len()..];
            } else {
                let width = rest.chars().next().map_or(1, char::len_utf8);
                tokens.push(u32::from(first));
                tokens.extend(rest.bytes().take(width).skip(1).map(u32::from));
                rest = &rest[width..];
            }
        }
        Ok(tokens)
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String, TextError> {
        let parts: Result<Vec<_>, _> = tokens.iter().map(|id| self.token_bytes(*id)).collect();
        Ok(String::from_utf8_lossy(&parts?.concat()).into_owned())
    }

    fn token_bytes(&self, token: u32) -> Result<Vec<u8>, TextError> {
        token_bytes(token).ok_or(TextError::UnknownToken(token))
    }

    fn render_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, TextError> {
        let mut tokens = Vec::new();
        for message in messages {
            tokens.push(FIRST_CONTROL);
            let text = format!("{}\n{}", message.role, message.content);
            tokens.extend(self.tokenize(&text, ControlTokens::AsText)?);
            tokens.extend([FIRST_CONTROL + 1, u32::from(b'\n')]);
        }
        tokens.push(FIRST_CONTROL);
        tokens.extend(self.tokenize("assistant\n", ControlTokens::AsText)?);
        Ok(tokens)
    }

    fn submit(&self, job: Job) -> Result<Generation, SubmitError> {
        self.check(&job)?;
        let reply = reply::text(&self.script, &job)?;
        let place = House::enter(&self.house, &job);
        let playback =
            Playback::new(job, reply, self.model.context_tokens, self.script.clone(), place);
        Ok(Generation::new(playback.into_stream()))
    }

    fn status(&self) -> Status {
        let jobs = self.house.jobs();
        let mut running_adapters: Vec<_> = jobs.running.values().flatten().cloned().collect();
        running_adapters.sort();
        running_adapters.dedup();
        let health = if *self.house.down.borrow() { Health::ShutDown } else { Health::Ready };
        Status { health, running: jobs.running.len(), running_adapters, ..Status::default() }
    }

    fn shut_down(&self) {
        self.house.down.send_replace(true);
    }
}

impl House {
    fn enter(house: &Arc<Self>, job: &Job) -> Place {
        let names = job.adapters.entries().iter().map(|a| a.lease.name().to_string()).collect();
        let mut jobs = house.jobs();
        let id = jobs.next;
        jobs.next += 1;
        jobs.running.insert(id, names);
        house.tell(&jobs);
        Place { house: Arc::clone(house), id, ended: false }
    }

    /// Wakes who watches; to tell nobody would be a system call all the same.
    fn tell(&self, jobs: &Jobs) {
        if jobs.watchers > 0 {
            self.changed.notify_all();
        }
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut jobs = self.house.jobs();
        jobs.running.remove(&self.id);
        jobs.cancelled += u64::from(!self.ended);
        self.house.tell(&jobs);
    }
}

fn token_bytes(token: u32) -> Option<Vec<u8>> {
    if let Ok(byte) = u8::try_from(token) {
        return Some(vec![byte]);
    }
    let index = usize::try_from(token - FIRST_CONTROL).ok()?;
    CONTROL.get(index).map(|word| word.as_bytes().to_vec())
}
