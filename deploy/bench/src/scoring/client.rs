//! Streams over HTTP, read to their end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Context, ensure};

/// What is asked in a turn, one question a stream.
const QUESTIONS: [&str; 8] = [
    "Describe a good nurse.",
    "Tell the story of a village by the sea.",
    "How does a steam engine work?",
    "Write a letter to an old friend.",
    "What makes a city a good place to live?",
    "Explain how bread is baked.",
    "Describe a walk through a forest in autumn.",
    "What did people do before there were clocks?",
];

/// The work of a turn. It is the same every time.
pub(crate) struct Load {
    pub(crate) model: String,
    pub(crate) streams: usize,
    pub(crate) tokens: usize,
}

impl Load {
    /// Has all streams generated, and tells how long that took.
    pub(crate) fn seconds(&self, address: SocketAddr) -> anyhow::Result<f64> {
        let start = Instant::now();
        std::thread::scope(|scope| {
            let streams: Vec<_> = (0..self.streams)
                .map(|number| scope.spawn(move || self.stream(address, number)))
                .collect();
            for stream in streams {
                stream.join().map_err(|_| anyhow::anyhow!("a stream panicked"))??;
            }
            Ok(start.elapsed().as_secs_f64())
        })
    }

    fn stream(&self, address: SocketAddr, number: usize) -> anyhow::Result<()> {
        let body = serde_json::json!({
            "model": self.model,
            "messages": [{"role": "user", "content": QUESTIONS[number % QUESTIONS.len()]}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": self.tokens,
            "ignore_eos": true,
            "temperature": 0.8,
            "seed": number,
        });
        let reply = request(address, &body.to_string())?;
        let counted = format!("\"completion_tokens\":{}", self.tokens);
        ensure!(reply.contains("data: [DONE]"), "a stream did not end");
        ensure!(reply.contains(&counted), "a stream was not {} tokens long", self.tokens);
        Ok(())
    }
}

/// Sends a request for a chat and reads all that comes back.
fn request(address: SocketAddr, body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    String::from_utf8(reply).context("a reply is not UTF-8")
}
