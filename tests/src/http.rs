//! HTTP for programs whose server may die at any byte: one request a connection, and an answer is
//! one only if all of it came.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// The longest time that nothing may come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// Where on the server.
    pub path: &'a str,
    /// An API key.
    pub secret: Option<&'a str>,
    /// What the gateway is to call the request.
    pub id: &'a str,
    /// JSON, or nothing.
    pub body: &'a str,
}

impl<'a> Ask<'a> {
    /// A `GET` of `path`.
    #[must_use]
    pub const fn get(path: &'a str) -> Self {
        Self { method: "GET", path, secret: None, id: "get", body: "" }
    }

    /// Begins the request on a connection of its own.
    ///
    /// # Errors
    /// If there is no server.
    pub fn send(&self, server: SocketAddr) -> anyhow::Result<TcpStream> {
        let Self { method, path, id, body, .. } = self;
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: lethe\r\nconnection: close\r\n");
        head += &format!("x-request-id: {id}\r\ncontent-type: application/json\r\n");
        if let Some(secret) = self.secret {
            head += &format!("authorization: Bearer {secret}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes())?;
        Ok(stream)
    }

    /// Sends the request and waits for the whole answer: its status and its text.
    ///
    /// # Errors
    /// If there is no server, or it is gone before the end.
    pub fn answer(&self, server: SocketAddr) -> anyhow::Result<(u16, String)> {
        read(self.send(server)?)
    }

    /// The same, of an answer in JSON.
    ///
    /// # Errors
    /// If it is none, or no answer with status 200.
    pub fn json(&self, server: SocketAddr) -> anyhow::Result<Value> {
        let (status, text) = self.answer(server)?;
        ensure!(status == 200, "{} {}: {status}: {text}", self.method, self.path);
        Ok(serde_json::from_str(&text)?)
    }
}

/// Waits for the whole answer on a connection: its status and its text.
///
/// # Errors
/// If the server is gone before the end.
pub fn read(mut stream: TcpStream) -> anyhow::Result<(u16, String)> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let lines = head.lines().map(str::to_lowercase);
    let mut lengths =
        lines.filter_map(|line| Some(line.strip_prefix("content-length:")?.to_owned()));
    match lengths.next() {
        Some(length) => ensure!(body.len() == length.trim().parse::<usize>()?, "half an answer"),
        None => ensure!(body.ends_with("0\r\n\r\n"), "half a stream"),
    }
    Ok((status, body.to_owned()))
}
