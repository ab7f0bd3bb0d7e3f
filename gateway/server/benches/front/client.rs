//! A client that asks the same small question again and again over a few open connections.
//!
//! It looks at its sockets without ever waiting for them, so that its own wake-ups are no part of
//! what it measures.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// The served model.
pub(crate) const MODEL: &str = "scripted";
/// How long each answer is.
pub(crate) const TOKENS: usize = 8;

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// As soon as a connection is free.
    Full,
    /// So many a second, at random times, whatever has become of those before.
    Rate(f64),
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From when a request was due to the last byte of its answer, shortest first.
    latencies: Vec<Duration>,
    took: Duration,
}

pub(crate) struct Client {
    connections: Vec<Connection>,
    request: Vec<u8>,
    /// What an answer's end must have in it.
    mark: &'static [u8],
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request was due whose answer is waited for.
    due: Option<Instant>,
}

impl Client {
    pub(crate) fn connect(
        address: SocketAddr,
        stream: bool,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let connections = (0..connections.max(1)).map(|_| Connection::open(address));
        let mark: &[u8] =
            if stream { b"data: [DONE]\n\n\r\n0\r\n\r\n" } else { b"\"completion_tokens\":8," };
        Ok(Self {
            connections: connections.collect::<Result<_, _>>()?,
            request: request(stream),
            mark,
        })
    }

    /// Sends requests for so long, and waits for all their answers.
    pub(crate) fn drive(&mut self, pace: Pace, duration: Duration) -> anyhow::Result<Outcome> {
        let begin = Instant::now();
        let mut schedule = Schedule { pace, next: begin, end: begin + duration, state: 1 };
        let mut latencies = Vec::new();
        loop {
            let mut waiting = false;
            for connection in &mut self.connections {
                if let Some(latency) = connection.poll(self.mark)? {
                    latencies.push(latency);
                }
                if connection.due.is_none()
                    && let Some(due) = schedule.take(Instant::now())
                {
                    connection.send(&self.request, due)?;
                }
                waiting |= connection.due.is_some();
            }
            if !waiting && schedule.is_over(Instant::now()) {
                break;
            }
        }
        let took = begin.elapsed();
        ensure!(!latencies.is_empty(), "nothing was answered");
        latencies.sort_unstable();
        Ok(Outcome { latencies, took })
    }
}

impl Connection {
    fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, received: Vec::new(), due: None })
    }

    /// A request is far smaller than a socket's buffer, and so is sent at once.
    fn send(&mut self, request: &[u8], due: Instant) -> std::io::Result<()> {
        self.received.clear();
        self.due = Some(due);
        self.stream.write_all(request)
    }

    /// The latency of an answer that has come to its end.
    fn poll(&mut self, mark: &[u8]) -> anyhow::Result<Option<Duration>> {
        let Some(due) = self.due else { return Ok(None) };
        let mut bytes = [0; 8_192];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("the server has hung up"),
            Ok(count) => self.received.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if !is_complete(&self.received)? {
            return Ok(None);
        }
        ensure!(contains(&self.received, mark), "not the answer that was asked for");
        self.due = None;
        Ok(Some(due.elapsed()))
    }
}

impl Outcome {
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() as f64 / self.took.as_secs_f64()
    }

    /// The latency that this share of the requests did not exceed.
    pub(crate) fn latency(&self, share: f64) -> Duration {
        let place = (share * self.count() as f64).ceil() as usize;
        self.latencies[place.clamp(1, self.count()) - 1]
    }
}

/// When requests are due.
struct Schedule {
    pace: Pace,
    next: Instant,
    end: Instant,
    state: u64,
}

impl Schedule {
    /// When the request was due that is to be sent now, if one is.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        match self.pace {
            Pace::Full => (now < self.end).then_some(now),
            Pace::Rate(rate) => {
                let due = self.next;
                if due > now || due >= self.end {
                    return None;
                }
                let gap = -self.uniform().ln() / rate;
                self.next += Duration::from_secs_f64(gap);
                Some(due)
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        match self.pace {
            Pace::Full => now >= self.end,
            Pace::Rate(_) => self.next >= self.end,
        }
    }

    /// From above 0 to 1 ([xorshift](https://doi.org/10.18637/jss.v008.i14)).
    fn uniform(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        ((self.state >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

fn request(stream: bool) -> Vec<u8> {
    let body = serde_json::json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": "Describe a good nurse in one sentence."}],
        "max_tokens": TOKENS,
        "temperature": 0.7,
        "stream": stream,
    });
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Whether an answer's last byte has come.
fn is_complete(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(false);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200"), "an answer was {:?}", head.lines().next());
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => {
            let length: usize = length.parse().context("a length")?;
            Ok(answer.len() - end - 4 >= length)
        }
        None => Ok(answer.ends_with(b"\r\n0\r\n\r\n")),
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
