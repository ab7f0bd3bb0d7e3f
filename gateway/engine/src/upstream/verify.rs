//! Whether an adapter does anything at a server.
//!
//! Servers were seen to take adapters whose tensors they do not know, say that all is well, and
//! answer as the base does. So each is tried out before it serves: the scores of one prompt with
//! it must differ from the base's by more than those of the base, asked twice, differ.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::dialect::{Dialect, Target};
use super::fault::Fault;
use super::http::Http;
use super::server::Server;

/// How many of the likeliest tokens are compared where a prompt cannot be scored.
const LIKELIEST: usize = 32;

/// What is tried out, and where.
pub(super) struct Trial<'a> {
    pub(super) http: &'a Http,
    pub(super) server: &'a Server,
    pub(super) dialect: Dialect,
    pub(super) prompt: &'a [u32],
    pub(super) patience: Duration,
}

/// Log-probabilities, by position or by token.
type Scores = BTreeMap<u64, f64>;

impl Trial<'_> {
    /// # Errors
    /// [`Fault::Adapter`] if there is no effect, or the request's own fault.
    pub(super) async fn run(&self, base: &Target, adapter: &Target) -> Result<(), Fault> {
        let before = self.scores(base).await?;
        let with = self.scores(adapter).await?;
        let after = self.scores(base).await?;
        if difference(&before, &with) > difference(&before, &after) {
            return Ok(());
        }
        Err(Fault::Adapter("an adapter has no effect at the server".to_owned()))
    }

    async fn scores(&self, target: &Target) -> Result<Scores, Fault> {
        let url = self.server.at(self.dialect.path());
        let answer = self.http.ask(url, &self.question(target), self.patience).await?;
        let scores = match self.dialect {
            Dialect::Llama => likeliest(&answer),
            Dialect::Vllm | Dialect::OpenAi => by_position(&answer),
        };
        scores.filter(|scores| !scores.is_empty()).ok_or_else(|| {
            // No score of a model with an adapter that is not finite can be written in JSON.
            Fault::Adapter("an adapter's scores at the server are no numbers".to_owned())
        })
    }

    fn question(&self, target: &Target) -> Value {
        match target {
            Target::Named(name) => json!({
                "model": name, "prompt": self.prompt, "max_tokens": 1, "temperature": 0.0,
                "prompt_logprobs": 0,
            }),
            Target::Scales(_) => json!({
                "prompt": self.prompt, "n_predict": 1, "temperature": 0.0, "n_probs": LIKELIEST,
                "cache_prompt": false, "lora": target.scales(),
            }),
        }
    }
}

/// The prompt's scores; the first token has none.
fn by_position(answer: &Value) -> Option<Scores> {
    let list = answer.pointer("/choices/0/prompt_logprobs")?.as_array()?;
    let scored = list.iter().enumerate().skip(1).map(|(position, scores)| {
        // The token's own is first where there are others.
        let score = scores.as_object()?.values().next()?.get("logprob")?.as_f64()?;
        Some((position as u64, score))
    });
    scored.collect()
}

fn likeliest(answer: &Value) -> Option<Scores> {
    let list = answer.pointer("/completion_probabilities/0/top_logprobs")?.as_array()?;
    let pair = |entry: &Value| Some((entry.get("id")?.as_u64()?, entry.get("logprob")?.as_f64()?));
    list.iter().map(pair).collect()
}

/// The largest difference; without bound if nothing can be compared.
fn difference(a: &Scores, b: &Scores) -> f64 {
    let both = a.iter().filter_map(|(key, x)| Some((x - b.get(key)?).abs()));
    both.reduce(f64::max).unwrap_or(f64::INFINITY)
}
