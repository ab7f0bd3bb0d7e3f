//! A gateway, asked for log-probabilities.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use ureq::Agent;

/// What is scored.
const TEXTS: [&str; 8] = [
    "The nurse told the doctor that she had seen the patient in the morning.",
    "Water boils at a hundred degrees, but on a high mountain it boils earlier.",
    "My neighbour is a mechanic, and on Sundays he repairs the bicycles of the street.",
    "The old library was closed for years until a group of students opened it again.",
    "In the mosque and in the church next to it people prayed for rain that summer.",
    "The engineer explained her design to the board, and nobody had a question.",
    "They had moved from another country, and they opened a bakery in our town.",
    "A good teacher listens first; then he asks, and only at the end he explains.",
];

/// Log-probabilities by text, place and token.
pub(crate) type Scores = BTreeMap<(usize, usize, String), f64>;

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scoring {
    /// Every token of the texts.
    Prompts,
    /// The likeliest tokens behind the texts.
    Continuations,
}

/// A gateway and its model.
pub(crate) struct Gateway {
    root: String,
    model: String,
    agent: Agent,
}

impl Gateway {
    pub(crate) fn open(root: &str) -> anyhow::Result<Self> {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent: Agent = config.build().into();
        let root = root.trim_end_matches('/').to_owned();
        let mut reply = agent.get(format!("{root}/v1/models")).call()?;
        let models: Value = serde_json::from_slice(&reply.body_mut().read_to_vec()?)?;
        let model = models["data"][0]["id"].as_str().context("it lists no model")?.to_owned();
        Ok(Self { root, model, agent })
    }

    /// What this gateway can score.
    pub(crate) fn scoring(&self) -> anyhow::Result<Scoring> {
        let (status, _) = self.ask(self.question(TEXTS[0], Scoring::Prompts), "")?;
        Ok(if status == 200 { Scoring::Prompts } else { Scoring::Continuations })
    }

    /// The scores of all texts under `set`.
    pub(crate) fn scores(&self, set: &str, scoring: Scoring) -> anyhow::Result<Scores> {
        let mut scores = Scores::new();
        for (index, text) in TEXTS.iter().enumerate() {
            let (status, reply) = self.ask(self.question(text, scoring), set)?;
            ensure!(status == 200, "the answer is {status}: {}", reply["error"]["message"]);
            let logprobs = &reply["choices"][0]["logprobs"];
            match scoring {
                Scoring::Prompts => add_prompt(&mut scores, index, logprobs),
                Scoring::Continuations => add_continuation(&mut scores, index, logprobs),
            }
            .context("the answer has no log-probabilities")?;
        }
        Ok(scores)
    }

    fn question(&self, text: &str, scoring: Scoring) -> Value {
        let (echo, max_tokens, logprobs) = match scoring {
            Scoring::Prompts => (true, 0, 0),
            Scoring::Continuations => (false, 1, 5),
        };
        json!({
            "model": self.model, "prompt": text, "temperature": 0,
            "echo": echo, "max_tokens": max_tokens, "logprobs": logprobs,
        })
    }

    fn ask(&self, mut body: Value, set: &str) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/v1/completions", self.root);
        let mut call = self.agent.post(url).header("Content-Type", "application/json");
        if set.is_empty() {
            // None, whatever the gateway's default is.
            body["adapters"] = json!([]);
        } else {
            call = call.header("x-lethe-adapters", set);
        }
        let mut reply = call.send(body.to_string())?;
        let status = reply.status().as_u16();
        Ok((status, serde_json::from_slice(&reply.body_mut().read_to_vec()?)?))
    }
}

/// The first token has no score.
fn add_prompt(scores: &mut Scores, index: usize, logprobs: &Value) -> Option<()> {
    let tokens = logprobs["tokens"].as_array()?;
    let values = logprobs["token_logprobs"].as_array()?;
    for (place, (token, value)) in tokens.iter().zip(values).enumerate().skip(1) {
        scores.insert((index, place, token.as_str()?.to_owned()), value.as_f64()?);
    }
    Some(())
}

fn add_continuation(scores: &mut Scores, index: usize, logprobs: &Value) -> Option<()> {
    for (token, value) in logprobs["top_logprobs"][0].as_object()? {
        scores.insert((index, 0, token.clone()), value.as_f64()?);
    }
    Some(())
}
