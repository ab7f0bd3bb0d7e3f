//! What every turn asks for.

use anyhow::ensure;
use clap::Args;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::mix::Mix;
use crate::prompt::prompt;
use crate::target::Target;

#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Plan {
    /// Tokens of a prompt.
    #[arg(long, default_value_t = 128)]
    pub(crate) prompt_tokens: usize,
    /// The first of them, which all prompts share.
    #[arg(long, default_value_t = 0)]
    pub(crate) shared_tokens: usize,
    /// Tokens of an answer.
    #[arg(long, default_value_t = 128)]
    pub(crate) tokens: usize,
    /// Tokens of the prompt of one more request, which comes when every stream has its first token:
    /// what it does to the others' time between tokens is measured.
    #[arg(long, value_name = "TOKENS")]
    pub(crate) intruder: Option<usize>,
    /// Adapters that are used of those that a server has, at most.
    #[arg(long, default_value_t = 8)]
    pub(crate) adapters: usize,
    /// Where chance begins.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// The bodies of a turn's requests.
pub(crate) struct Requests {
    pub(crate) streams: Vec<Value>,
    pub(crate) intruder: Option<Value>,
}

impl Plan {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.prompt_tokens > 0 && self.tokens > 1, "a prompt has a token, an answer two");
        ensure!(self.shared_tokens <= self.prompt_tokens, "more is shared than a prompt has");
        ensure!(self.intruder != Some(0) && self.adapters > 0, "there is nothing to ask for");
        Ok(())
    }

    /// What a target is asked in a round, or nothing if it cannot do that.
    pub(crate) fn requests(
        &self,
        target: &Target,
        streams: usize,
        mix: Mix,
        round: usize,
    ) -> anyhow::Result<Option<Requests>> {
        let count = target.adapters.len().min(self.adapters);
        ensure!(count >= mix.needs(), "{} has {count} adapters, too few for {mix}", target.name);
        let load = [round, mix as usize, streams];
        let seed = |request: usize| self.seed ^ number(&load, request);
        let mut chance = ChaCha8Rng::seed_from_u64(seed(0));
        let mut bodies = Vec::with_capacity(streams);
        for stream in 0..streams {
            let tokens = prompt(self.prompt_tokens, self.shared_tokens, seed(stream));
            let mut body = body(target, &tokens, self.tokens);
            let chosen = mix.choose(stream, count, &mut chance);
            if !target.dialect.choose(&mut body, &target.adapters, &chosen) {
                return Ok(None);
            }
            bodies.push(body);
        }
        let intruder = self.intruder.map(|length| {
            let mut body = body(target, &prompt(length, 0, seed(streams)), 1);
            target.dialect.choose(&mut body, &target.adapters, &[]);
            body
        });
        Ok(Some(Requests { streams: bodies, intruder }))
    }
}

/// One number for each request of each load, so that no prompt comes twice; each part of it is below
/// 2^16.
fn number(load: &[usize; 3], request: usize) -> u64 {
    load.iter().chain([&request]).fold(0, |all, &part| all << 16 | part as u64)
}

/// A request for exactly `count` tokens after a prompt.
fn body(target: &Target, prompt: &[u32], count: usize) -> Value {
    json!({
        "model": target.model,
        "prompt": prompt,
        "max_tokens": count,
        "ignore_eos": true,
        "temperature": 0.0,
        "stream": true,
        "stream_options": {"include_usage": true},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_number() {
        let mixes = [Mix::None, Mix::Same, Mix::Distinct, Mix::Pairs, Mix::Zipf];
        let mut numbers = Vec::new();
        for (round, mix) in (0..3).flat_map(|round| mixes.map(|mix| (round, mix as usize))) {
            for streams in [1, 8, 16, 32] {
                numbers
                    .extend((0..=streams).map(|request| number(&[round, mix, streams], request)));
            }
        }
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }
}
