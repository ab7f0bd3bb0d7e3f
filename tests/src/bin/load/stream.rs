//! One request whose answer is streamed.

use std::io::{BufRead as _, BufReader};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::target::Target;

/// When an answer came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) sent: Instant,
    /// When each piece of it was here.
    pub(crate) pieces: Vec<Instant>,
    /// Tokens of it, as the server counts them.
    pub(crate) tokens: usize,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    text: String,
}

#[derive(Deserialize)]
struct Usage {
    completion_tokens: usize,
}

/// Sends a request and reads its answer to the end; `at_first` is called at the first piece.
pub(crate) fn ask(
    target: &Target,
    body: &Value,
    mut at_first: impl FnMut(),
) -> anyhow::Result<Answer> {
    let text = body.to_string();
    let sent = Instant::now();
    let call = target.agent.post(&target.url).header("Content-Type", "application/json");
    let reply = call.send(&text)?;
    let status = reply.status();
    let mut lines = BufReader::new(reply.into_body().into_reader()).lines();
    if !status.is_success() {
        let said = lines.next().transpose()?.unwrap_or_default();
        anyhow::bail!("the answer is {status}: {said}");
    }
    let mut answer = Answer { sent, pieces: Vec::new(), tokens: 0 };
    for line in lines {
        let line = line.context("the answer broke off")?;
        let now = Instant::now();
        let Some(data) = line.strip_prefix("data:").map(str::trim) else { continue };
        if data == "[DONE]" {
            break;
        }
        let event: Event = serde_json::from_str(data).context("an event is malformed")?;
        // Servers also send events that open and close an answer, without text.
        if event.choices.iter().any(|choice| !choice.text.is_empty()) {
            answer.pieces.push(now);
            if answer.pieces.len() == 1 {
                at_first();
            }
        }
        answer.tokens = event.usage.map_or(answer.tokens, |usage| usage.completion_tokens);
    }
    ensure!(!answer.pieces.is_empty(), "the answer is empty");
    let wanted = body["max_tokens"].as_u64();
    let whole = wanted == Some(answer.tokens as u64);
    ensure!(whole, "the answer has {} tokens, not {wanted:?}", answer.tokens);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use serde_json::json;

    use super::*;
    use crate::dialect::Dialect;

    /// What `ask` makes of a server that says `reply` and hangs up.
    fn answered(reply: &str) -> anyhow::Result<(Answer, usize)> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let reply = reply.to_owned();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap();
            assert!(read > 0);
            stream.write_all(reply.as_bytes()).unwrap();
        });
        let target = Target {
            name: "t".to_owned(),
            url,
            dialect: Dialect::Vllm,
            model: "m".to_owned(),
            adapters: Vec::new(),
            process: None,
            agent: ureq::Agent::config_builder().http_status_as_error(false).build().into(),
        };
        let mut firsts = 0;
        let answer = ask(&target, &json!({"max_tokens": 3}), || firsts += 1);
        server.join().unwrap();
        answer.map(|answer| (answer, firsts))
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

    fn events(tokens: usize) -> String {
        let piece = r#"data: {"choices":[{"text":"a"}],"usage":null}"#;
        let usage = format!(r#"data: {{"choices":[],"usage":{{"completion_tokens":{tokens}}}}}"#);
        let empty = r#"data: {"choices":[{"text":""}]}"#;
        let pieces = format!("{empty}\n\n{piece}\n\n: a comment\n\n{piece}\n\n{empty}\n\n");
        format!("{HEAD}{pieces}{usage}\n\ndata: [DONE]\n\n")
    }

    #[test]
    fn pieces_are_timed_and_tokens_are_the_server_s() {
        let (answer, firsts) = answered(&events(3)).unwrap();
        assert_eq!((answer.pieces.len(), answer.tokens, firsts), (2, 3, 1));
        assert!(answer.sent <= answer.pieces[0] && answer.pieces[0] <= answer.pieces[1]);
    }

    #[test]
    fn an_answer_that_is_not_what_was_asked_for_counts_for_nothing() {
        let fault = |reply: &str| format!("{:#}", answered(reply).unwrap_err());
        assert!(fault(&events(2)).contains("2 tokens"));
        assert!(fault(&format!("{HEAD}data: {{\n\n")).contains("malformed"));
        assert!(fault(&format!("{HEAD}data: [DONE]\n\n")).contains("empty"));
        let refused = "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater";
        assert!(fault(refused).contains("503") && fault(refused).contains("later"));
    }
}
