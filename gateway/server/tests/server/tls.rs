//! The API over TLS, with certificates made here.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gateway_engine::scripted::{Gate, Script};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use tempfile::TempDir;

use crate::client::TIMEOUT;
use crate::house::{House, chat};

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

struct Secured {
    house: House,
    trust: Arc<ClientConfig>,
    certificate: rcgen::Certificate,
    _folder: TempDir,
}

fn trust(certificate: &rcgen::Certificate) -> Arc<ClientConfig> {
    Arc::new(trusting(certificate))
}

fn trusting(certificate: &rcgen::Certificate) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// Writes a new pair into `folder`.
fn make_pair(folder: &Path) -> (rcgen::Certificate, [PathBuf; 2]) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    let paths = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
    std::fs::write(&paths[0], made.cert.pem()).expect("written");
    std::fs::write(&paths[1], made.signing_key.serialize_pem()).expect("written");
    (made.cert, paths)
}

fn open(script: Script) -> Secured {
    let folder = tempfile::tempdir().expect("a folder");
    let (made, [certificate, key]) = make_pair(folder.path());
    let settings = [
        ("tls.certificate", certificate.to_str().expect("UTF-8")),
        ("tls.key", key.to_str().expect("UTF-8")),
        ("stream.head_seconds", "0"),
        ("stream.heartbeat_seconds", "3600"),
    ];
    Secured {
        house: House::with_settings(script, &settings),
        trust: trust(&made),
        certificate: made,
        _folder: folder,
    }
}

fn connect(address: SocketAddr, trust: &Arc<ClientConfig>) -> Encrypted {
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    StreamOwned::new(ClientConnection::new(Arc::clone(trust), name).expect("a client"), stream)
}

fn request(fields: serde_json::Value) -> Vec<u8> {
    let body = chat(fields).to_string();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn requests_are_answered_over_tls_and_over_nothing_else() {
    let secured = open(Script::default());
    let mut stream = connect(secured.house.address, &secured.trust);
    stream.write_all(&request(json!({}))).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(stream.conn.alpn_protocol(), None, "the client has named none");
    let mut plain = TcpStream::connect(secured.house.address).expect("connected");
    plain.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    plain.write_all(&request(json!({}))).expect("sent");
    let mut answer = Vec::new();
    // It may be reset.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(secured.house.ops("/readyz").status, 200, "probes come in the clear");
}

#[test]
fn a_client_that_does_not_trust_the_certificate_says_so() {
    let secured = open(Script::default());
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
    let mut stream = connect(secured.house.address, &trust(&other.cert));
    let error = stream.write_all(&request(json!({}))).expect_err("no trust");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn a_client_that_hangs_up_ends_its_request_with_a_last_word_or_without() {
    for polite in [true, false] {
        let script = Script { gate: Some(Gate::closed()), ..Script::default() };
        let secured = open(script);
        for streamed in [false, true] {
            let mut stream = connect(secured.house.address, &secured.trust);
            stream.write_all(&request(json!({"stream": streamed}))).expect("sent");
            let before = secured.house.engine.cancelled();
            secured.house.wait_for(1, before);
            if polite {
                stream.conn.send_close_notify();
                stream.flush().expect("sent");
            }
            drop(stream);
            secured.house.wait_for(0, before + 1);
            secured.house.wait_until_empty();
        }
    }
}

#[test]
fn http_2_is_not_spoken_since_its_handlers_may_outlive_their_connection() {
    let secured = open(Script::default());
    let mut trust = trusting(&secured.certificate);
    for (names, agreed) in [(&["h2", "http/1.1"][..], true), (&["h2"], false)] {
        trust.alpn_protocols = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut stream = connect(secured.house.address, &Arc::new(trust.clone()));
        assert_eq!(stream.write_all(&request(json!({}))).is_ok(), agreed, "{names:?}");
        assert_eq!(stream.conn.alpn_protocol(), agreed.then_some(&b"http/1.1"[..]));
    }
}

/// The status of a probe over TLS; `None` if the certificate is not trusted.
fn probe(address: SocketAddr, trust: &Arc<ClientConfig>) -> Option<String> {
    let mut stream = connect(address, trust);
    let sent =
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    sent.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.lines().next().map(str::to_owned)
}

#[test]
fn the_operations_listener_has_tls_of_its_own_and_takes_over_a_new_pair() {
    let folder = tempfile::tempdir().expect("a folder");
    let (made, paths) = make_pair(folder.path());
    let [certificate, key] = paths.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let settings = [("ops_tls.certificate", certificate), ("ops_tls.key", key)];
    let house = House::with_settings(Script::default(), &settings);
    assert_eq!(house.get("/v1/models").status, 200, "the API is in the clear");
    let good = Some("HTTP/1.1 200 OK".to_owned());
    assert_eq!(probe(house.ops_address, &trust(&made)), good);
    let mut plain = TcpStream::connect(house.ops_address).expect("connected");
    plain.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    plain.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    // It may be reset.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let (made, _) = make_pair(folder.path());
    while probe(house.ops_address, &trust(&made)) != good {
        std::thread::yield_now();
    }
}

#[test]
fn a_gateway_does_not_start_with_half_a_pair() {
    let fault = |name: &'static str| {
        let layers = gateway_server::settings::Layers {
            flags: vec![(name, "file.pem".to_owned())],
            ..Default::default()
        };
        let error = gateway_server::settings::Settings::build(layers).expect_err("half a pair");
        error.faults.join("\n")
    };
    for (there, missing) in [
        ("tls.certificate", "tls.key"),
        ("tls.key", "tls.certificate"),
        ("ops_tls.certificate", "ops_tls.key"),
        ("ops_tls.key", "ops_tls.certificate"),
    ] {
        let said = format!("{missing} (default): it must be there if {there} is");
        assert!(fault(there).contains(&said), "{}", fault(there));
    }
}
