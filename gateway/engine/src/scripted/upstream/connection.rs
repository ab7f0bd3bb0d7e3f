//! One connection: HTTP/1.1, request after request.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

use super::reply::{self, Reply};
use super::{Asked, Shared};

/// Answers requests until the connection ends.
pub(super) fn serve(stream: TcpStream, shared: &Shared) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    let mut writer = stream;
    while let Some(asked) = read(&mut reader) {
        shared.state().asked.push(asked.clone());
        let reply = reply::to(&asked.path, &asked.body, shared);
        if !answer(&mut writer, reply, shared) {
            let _ = writer.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// A request; `None` at the connection's end.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut headers) = (0, Vec::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Asked { path, body, headers })
}

/// Writes the answer; whether the connection may go on.
fn answer(writer: &mut TcpStream, reply: Reply, shared: &Shared) -> bool {
    match reply {
        Reply::Whole { status, body } => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            writer.write_all(head.as_bytes()).is_ok() && writer.write_all(body.as_bytes()).is_ok()
        }
        Reply::Events { events, ending } => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut written = writer.write_all(head.as_bytes());
            for event in events {
                let data = format!("data: {event}\n\n");
                let chunk = format!("{:x}\r\n{data}\r\n", data.len());
                written = written.and_then(|()| writer.write_all(chunk.as_bytes()));
            }
            if written.is_err() {
                shared.hung_up();
                return false;
            }
            match ending {
                reply::Ending::Whole => writer.write_all(b"0\r\n\r\n").is_ok(),
                reply::Ending::Cut => false,
                reply::Ending::Silent => {
                    // The client's end of the connection ends, and this read with it.
                    let _ = writer.read(&mut [0]);
                    shared.hung_up();
                    false
                }
            }
        }
        Reply::None => false,
    }
}
