//! The program itself, as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::client::send;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lethe-gateway"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The next line of the log with this message.
fn wait_for(log: &mut impl Iterator<Item = Value>, message: &str) -> Value {
    log.find(|line| line["message"] == message).expect(message)
}

fn signal(child: &Child) {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn settings_can_be_checked_without_serving() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lethe.toml");
    std::fs::write(&file, "listen = '127.0.0.1:0'").expect("written");
    let check = || {
        let mut command = program();
        command.arg("--check-config").arg("--config").arg(&file);
        command
    };
    assert_eq!(run(&mut check()), (Some(0), String::new()));
    let (code, said) = run(check().env("LETHE_LOG_FORMAT", "xml").args(["--scales-low", "9"]));
    assert_eq!(code, Some(1));
    assert!(said.contains("2 fault(s)") && said.contains("log.format (environment)"), "{said}");
    assert!(said.contains("scales.low (flag)"), "{said}");
    let (code, said) = run(program().arg("--nonsense"));
    assert!(code == Some(2) && said.contains("--nonsense"), "{said}");
    let (code, said) = run(program().arg("--help"));
    assert!(code == Some(0) && said.contains("--limits-body-bytes"), "{said}");
}

#[test]
fn a_model_that_is_not_there_is_one_clear_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = program();
    command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    command.args(["--model", "no/such/file.gguf", "--log-level", "error"]);
    let (code, said) = run(command.arg("--home").arg(folder.path()));
    assert_eq!(code, Some(1));
    assert!(said.starts_with("lethe-gateway: the model cannot be had (check the path"), "{said}");
}

#[test]
fn the_program_serves_logs_no_text_and_ends_well_on_a_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-llama");
    let mut command = program();
    command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--shutdown-grace-seconds", "0"]);
    command.arg("--home").arg(folder.path()).arg("--model").arg(&model);
    let mut child = command.spawn().expect("it runs");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut text = Vec::new();
    let mut log = lines.map(|line| {
        text.push(line.expect("a line"));
        serde_json::from_str(text.last().expect("a line")).expect("JSON")
    });
    let listening = wait_for(&mut log, "listening");
    let address: SocketAddr = listening["listen"].as_str().expect("listen").parse().expect("one");
    wait_for(&mut log, "ready");
    let body = json!({"model": "tiny-llama", "max_tokens": 4, "user": "hush-user",
        "messages": [{"role": "user", "content": "hush-text"}]});
    let headers = [("content-type", "application/json"), ("authorization", "Bearer hush-key")];
    let path = "/v1/chat/completions";
    // The model becomes known to handlers right after the line.
    while send(address, "POST", path, &headers, body.to_string().as_bytes()).finish().status != 200
    {
        std::thread::yield_now();
    }
    signal(&child);
    let rest = log.by_ref().count();
    assert!(rest > 0 && child.wait().expect("an end").success());
    let text = text.join("\n");
    assert!(text.contains("\"answered\"") && text.contains("tiny-llama"), "{text}");
    assert!(!text.contains("hush"), "{text}");
    assert!(!text.contains(&*folder.path().to_string_lossy()), "{text}");
}
