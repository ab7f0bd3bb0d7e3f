//! Servers that are spoken to over TLS, with certificates made here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use gateway_engine::scripted::upstream::ScriptedUpstream;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Upstream;
use crate::house::settings;

/// TLS in front of servers that have none.
struct Shield {
    config: Arc<ServerConfig>,
    /// Where the certificate is.
    certificate: PathBuf,
    _folder: TempDir,
}

impl Shield {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a pair");
        let folder = tempfile::tempdir().expect("a folder");
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let chain = vec![made.cert.der().clone()];
        let config = builder.with_no_client_auth().with_single_cert(chain, key).expect("a pair");
        Self { config: Arc::new(config), certificate, _folder: folder }
    }

    /// The URL at which `server` is behind it, for as long as the test's process lives.
    fn before(&self, server: &ScriptedUpstream) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let server = server.address();
        let serve = async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                actix_web::rt::spawn(pass(acceptor.clone(), stream, server));
            }
        };
        std::thread::spawn(|| actix_web::rt::System::new().block_on(serve));
        url
    }
}

/// Carries a connection's bytes both ways.
async fn pass(acceptor: TlsAcceptor, stream: TcpStream, server: SocketAddr) {
    // Who does not trust the certificate hangs up.
    let Ok(mut encrypted) = acceptor.accept(stream).await else { return };
    if let Ok(mut plain) = TcpStream::connect(server).await {
        // Either side may break off.
        let _ = copy_bidirectional(&mut encrypted, &mut plain).await;
    }
}

#[test]
fn servers_behind_tls_are_asked_if_their_authority_is_named() {
    let shield = Shield::new();
    let ca = shield.certificate.to_str().expect("UTF-8");
    let house = Upstream::at(|server| shield.before(server), &[("upstream.ca_file", ca)]);
    let chosen = json!({"adapters": [{"name": "one", "scale": 0.5}], "max_tokens": 4});
    let reply = house.chat(chosen);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["usage"]["completion_tokens"], 4);
    let reply = house.chat(json!({"stream": true, "max_tokens": 4}));
    assert_eq!(reply.chunks().last().expect("chunks")["choices"][0]["finish_reason"], "length");
    let asked = |server: &ScriptedUpstream| server.asked("/v1/completions").len();
    assert!(house.servers.iter().map(asked).sum::<usize>() >= 2);
}

#[test]
fn a_certificate_of_nobody_who_is_trusted_is_a_fault_whose_answer_names_no_server() {
    let shield = Shield::new();
    let other = Shield::new();
    let ca = other.certificate.to_str().expect("UTF-8");
    for flags in [&[][..], &[("upstream.ca_file", ca)]] {
        let flags = [flags, &[("upstream.attempts", "1")]].concat();
        let house = Upstream::at(|server| shield.before(server), &flags);
        for stream in [true, false] {
            let reply = house.chat(json!({"stream": stream}));
            assert_eq!(reply.status, 503, "{}", reply.text());
            assert_eq!(reply.json()["error"]["code"], "upstream_unavailable");
            assert!(!reply.text().contains("127.0.0.1") && !reply.text().contains("http"));
        }
        let is_down =
            |line: &&str| line.starts_with("lethe_upstream_available{") && line.ends_with(" 0");
        let page = loop {
            let page = house.page();
            if page.lines().filter(is_down).count() == 2 {
                break page;
            }
            std::thread::yield_now();
        };
        assert!(page.contains("lethe_upstream_faults_total{reason=\"untrusted\""), "{page}");
        assert!(house.servers.iter().all(|server| server.asked("/v1/completions").is_empty()));
    }
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_stops_the_start_without_being_quoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/tiny-llama");
    let settings = settings(&[
        ("model", fixture),
        ("home", folder.path().to_str().expect("UTF-8")),
        ("engine.kind", "upstream"),
        ("upstream.servers", "https://127.0.0.1:1"),
        ("upstream.ca_file", path.to_str().expect("UTF-8")),
    ]);
    for (contents, said) in [
        (None, "upstream.ca_file cannot be read"),
        (Some("hush"), "upstream.ca_file has no certificate"),
        (Some("-----BEGIN CERTIFICATE-----\nhush"), "upstream.ca_file is not PEM of certificates"),
        (
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "upstream connections cannot be set up",
        ),
    ] {
        if let Some(contents) = contents {
            std::fs::write(&path, contents).expect("written");
        }
        let error = gateway_server::local::load(&settings).err().expect("no start");
        let error = format!("{error:#}");
        assert!(error.contains(said) && !error.contains("hush"), "{error}");
    }
}
