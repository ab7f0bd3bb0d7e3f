//! An HTTP client of a few lines, so that tests see every byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

/// Nothing in these tests takes as long as this.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// An answer whose body is still coming.
pub(crate) struct Incoming {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
}

/// Sends a request and reads the head of the answer.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Incoming {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: lethe\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    let incoming = receive(send_raw(address, &[head.as_bytes(), body].concat()));
    check_documented(method, path, incoming.status);
    incoming
}

/// The API's document.
pub(crate) fn api_document() -> Value {
    let pages = gateway_server::reference::pages();
    let page = pages.iter().find(|(name, _)| *name == "openapi.json").expect("a page");
    serde_json::from_str(&page.1).expect("JSON")
}

/// Every answer to these tests has a status that the API's document knows, if it knows the method and the
/// path at all.
fn check_documented(method: &str, path: &str, status: u16) {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(api_document);
    let segments: Vec<_> = path.split('?').next().unwrap_or_default().split('/').collect();
    let is_at = |template: &str| {
        let wanted: Vec<_> = template.split('/').collect();
        let mut pairs = wanted.iter().zip(&segments);
        wanted.len() == segments.len() && pairs.all(|(w, s)| w == s || w.starts_with('{'))
    };
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    let operations = paths.iter().find(|(template, _)| is_at(template));
    let operation = operations.and_then(|(_, methods)| methods.get(method.to_lowercase()));
    let known = operation.is_none_or(|it| it["responses"].get(status.to_string()).is_some());
    assert!(known, "{method} {path} was answered with {status}, which is not documented");
}

/// Sends bytes and leaves the answer to the caller.
pub(crate) fn send_raw(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    stream.write_all(bytes).expect("sent");
    stream
}

/// Reads the head of an answer.
pub(crate) fn receive(stream: TcpStream) -> Incoming {
    let mut reader = BufReader::new(stream);
    let status_line = read_line(&mut reader);
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let mut headers = Vec::new();
    loop {
        let line = read_line(&mut reader);
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    Incoming { status: status.expect(&status_line), headers, reader }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line");
    line.trim_end().to_owned()
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

impl Incoming {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The next piece of a chunked body; `None` at its end.
    pub(crate) fn next_chunk(&mut self) -> Option<String> {
        let line = read_line(&mut self.reader);
        let length = usize::from_str_radix(&line, 16).ok()?;
        let mut bytes = vec![0; length + 2];
        self.reader.read_exact(&mut bytes).expect("a chunk");
        bytes.truncate(length);
        (length > 0).then(|| String::from_utf8(bytes).expect("UTF-8"))
    }

    /// The rest of the body.
    pub(crate) fn finish(mut self) -> Reply {
        let mut body = Vec::new();
        if let Some(length) = self.header("content-length") {
            body.resize(length.parse().expect("a length"), 0);
            self.reader.read_exact(&mut body).expect("the body");
        } else {
            while let Some(chunk) = self.next_chunk() {
                body.extend(chunk.into_bytes());
            }
        }
        Reply { status: self.status, headers: self.headers, body }
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The data of a stream's events.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.text().split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        events.map(str::to_owned).collect()
    }

    /// The events of a stream that ended well, without the last word.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        let mut events = self.events();
        assert_eq!(events.pop().as_deref(), Some("[DONE]"), "{}", self.text());
        events.iter().map(|event| serde_json::from_str(event).expect("JSON")).collect()
    }
}
