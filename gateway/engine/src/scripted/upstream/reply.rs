//! What the server says.

use serde_json::{Value, json};

use super::{Shared, Trouble};

/// An answer.
pub(super) enum Reply {
    Whole {
        status: u16,
        body: String,
    },
    Events {
        events: Vec<String>,
        ending: Ending,
    },
    /// The connection ends.
    None,
}

/// How a stream of events ends.
pub(super) enum Ending {
    Whole,
    Cut,
    Silent,
}

/// The answer to a request.
pub(super) fn to(path: &str, body: &Value, shared: &Shared) -> Reply {
    match path {
        "/health" => whole(200, &json!({})),
        "/v1/models" => whole(200, &json!({"object": "list", "data": []})),
        "/lora-adapters" => {
            let names = shared.script.started_with.iter().enumerate();
            let list = names.map(|(id, name)| json!({"id": id, "path": format!("/x/{name}.gguf")}));
            whole(200, &list.collect::<Vec<_>>().into())
        }
        "/v1/load_lora_adapter" => load(body, shared),
        "/v1/unload_lora_adapter" => unload(body, shared),
        "/v1/completions" | "/completion" => complete(path, body, shared),
        _ => whole(404, &json!({"error": {"message": "no", "code": 404}})),
    }
}

fn whole(status: u16, body: &Value) -> Reply {
    Reply::Whole { status, body: body.to_string() }
}

fn load(body: &Value, shared: &Shared) -> Reply {
    let [name, path] = ["lora_name", "lora_path"].map(|key| body[key].as_str().unwrap_or_default());
    if !std::path::Path::new(path).join("adapter_config.json").is_file() {
        return whole(404, &json!({"error": {"code": 404}}));
    }
    let mut state = shared.state();
    if state.loaded.iter().any(|loaded| loaded == name) {
        return whole(400, &json!({"error": {"code": 400}}));
    }
    state.loaded.push(name.to_owned());
    Reply::Whole { status: 200, body: "Success".to_owned() }
}

fn unload(body: &Value, shared: &Shared) -> Reply {
    let mut state = shared.state();
    let before = state.loaded.len();
    state.loaded.retain(|loaded| Some(loaded.as_str()) != body["lora_name"].as_str());
    let status = if state.loaded.len() < before { 200 } else { 404 };
    Reply::Whole { status, body: "Success".to_owned() }
}

fn complete(path: &str, body: &Value, shared: &Shared) -> Reply {
    let trial = body.get("stream").is_none();
    let trouble = if trial { None } else { shared.next_trouble() };
    match trouble {
        Some(Trouble::Reset) => return Reply::None,
        Some(Trouble::Status(status)) => return whole(status, &json!({"error": {"code": status}})),
        Some(Trouble::Garbage) => {
            return Reply::Events { events: vec!["{no".to_owned()], ending: Ending::Whole };
        }
        Some(Trouble::OtherModel | Trouble::ResetAfter(_) | Trouble::SilentAfter(_)) | None => {}
    }
    let said = Said::new(body, shared);
    if path == "/completion" {
        if trial {
            return whole(200, &said.llama_trial());
        }
        return cut(said.llama(), trouble.as_ref());
    }
    let model = body["model"].as_str().unwrap_or_default();
    let known = model == "base" || shared.state().loaded.iter().any(|name| name == model);
    if !known {
        return whole(404, &json!({"error": {"code": 404}}));
    }
    let model = if trouble == Some(Trouble::OtherModel) { "another" } else { model };
    if body.get("prompt_logprobs").is_some() {
        return whole(200, &said.scored(model));
    }
    cut(said.vllm(model), trouble.as_ref())
}

/// The events up to where they are cut.
fn cut(mut events: Vec<String>, trouble: Option<&Trouble>) -> Reply {
    let (count, ending) = match trouble {
        Some(Trouble::ResetAfter(count)) => (*count, Ending::Cut),
        Some(Trouble::SilentAfter(count)) => (*count, Ending::Silent),
        Some(_) | None => (events.len(), Ending::Whole),
    };
    events.truncate(count);
    Reply::Events { events, ending }
}

/// An answer to a prompt.
struct Said {
    prompt: Vec<u64>,
    /// The prompt backwards, as far as it may go.
    tokens: Vec<u64>,
    finish: &'static str,
    /// What adapters add to every score.
    shift: f64,
}

impl Said {
    fn new(body: &Value, shared: &Shared) -> Self {
        let prompt: Vec<u64> =
            body["prompt"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let limit = body["max_tokens"].as_u64().or(body["n_predict"].as_u64()).unwrap_or(16);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let finish = if prompt.len() > limit { "length" } else { "stop" };
        let tokens = prompt.iter().rev().take(limit).copied().collect();
        let shift = if shared.script.ineffective { 0.0 } else { shift(body) };
        Self { prompt, tokens, finish, shift }
    }

    /// How likely a token is said to be.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn score(&self, id: u64) -> f64 {
        self.shift - (id % 7 + 1) as f64 / 10.0
    }

    fn vllm(&self, model: &str) -> Vec<String> {
        let event = |choices: Value, usage: Value| {
            json!({"model": model, "object": "text_completion", "choices": choices, "usage": usage})
                .to_string()
        };
        let last = self.tokens.len().saturating_sub(1);
        let token = |(place, id): (usize, &u64)| {
            let finish = (place == last).then_some(self.finish);
            let spelled = format!("token_id:{id}");
            let choice = json!([{
                "index": 0, "text": "", "token_ids": [id], "finish_reason": finish,
                "logprobs": {"token_logprobs": [self.score(*id)], "top_logprobs": [{spelled: self.score(*id)}]},
            }]);
            event(choice, Value::Null)
        };
        let mut events: Vec<_> = self.tokens.iter().enumerate().map(token).collect();
        events.push(event(json!([]), json!({"completion_tokens": self.tokens.len()})));
        events.push("[DONE]".to_owned());
        events
    }

    fn scored(&self, model: &str) -> Value {
        let score = |id: &u64| json!({id.to_string(): {"logprob": self.score(*id)}});
        let scores = self.prompt.iter().enumerate();
        let scores: Vec<_> =
            scores.map(|(place, id)| if place == 0 { Value::Null } else { score(id) }).collect();
        let choice = json!({
            "index": 0, "text": "", "token_ids": self.tokens, "finish_reason": self.finish,
            "prompt_logprobs": scores,
        });
        json!({
            "model": model, "object": "text_completion", "choices": [choice],
            "usage": {"completion_tokens": self.tokens.len()},
        })
    }

    fn llama_score(&self, id: u64) -> Value {
        let score = self.score(id);
        json!({"id": id, "logprob": score, "top_logprobs": [{"id": id, "logprob": score}]})
    }

    fn llama_trial(&self) -> Value {
        let scores = self.tokens.iter().map(|id| self.llama_score(*id));
        json!({"completion_probabilities": scores.collect::<Vec<_>>()})
    }

    fn llama(&self) -> Vec<String> {
        let token = |id: &u64| {
            let scores = self.llama_score(*id);
            json!({"tokens": [id], "stop": false, "completion_probabilities": [scores]}).to_string()
        };
        let mut events: Vec<_> = self.tokens.iter().map(token).collect();
        let kind = if self.finish == "stop" { "eos" } else { "limit" };
        let count = self.tokens.len();
        let end = json!({"tokens": [], "stop": true, "stop_type": kind, "tokens_predicted": count});
        events.push(end.to_string());
        events
    }
}

/// What a model with adapters adds to every score: for vLLM a number made from the name, for
/// llama.cpp's server the sum of the scales by id.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn shift(body: &Value) -> f64 {
    if let Some(name) = body["model"].as_str().filter(|name| *name != "base") {
        return -(name.bytes().map(u64::from).sum::<u64>() as f64) / 10_000.0;
    }
    let scales = body["lora"].as_array().into_iter().flatten();
    let weighted = |entry: &Value| Some((entry["id"].as_f64()? + 1.0) * entry["scale"].as_f64()?);
    scales.filter_map(weighted).sum::<f64>() / -10.0
}
