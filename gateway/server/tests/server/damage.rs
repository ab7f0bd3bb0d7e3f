//! What the running program does when files are not as it left them: a state folder that may not be
//! written, and an audit log whose last line was cut off.
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use acceptance::gateway::{is_ready, tiny_adapters, tiny_model};
use serde_json::{Value, json};

use crate::audit::{records, verify};
use crate::client::{Reply, send};
use crate::program::{signal, wait_for};

/// The program, and its log.
struct Program {
    child: Child,
    /// What it said before it listened.
    said: Vec<Value>,
    log: Box<dyn Iterator<Item = Value>>,
    address: SocketAddr,
}

impl Program {
    /// Starts it with `folder` to keep things in. File modes hold for it, as they do not for root.
    fn start(folder: &Path) -> Self {
        let mut command = match rustix::process::geteuid().is_root() {
            false => Command::new(env!("CARGO_BIN_EXE_lethe-gateway")),
            true => {
                let mut command = Command::new("setpriv");
                command.arg("--bounding-set=-dac_override,-dac_read_search");
                command.arg(env!("CARGO_BIN_EXE_lethe-gateway"));
                command
            }
        };
        command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
        command.args(["--shutdown-grace-seconds", "0", "--engine-kv-bytes", "16777216"]);
        command.args(["--log-format", "json"]);
        command.arg("--model").arg(tiny_model()).arg("--adapters").arg(tiny_adapters());
        command.arg("--home").arg(folder.join("home"));
        command.arg("--audit-file").arg(folder.join("audit.jsonl"));
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut log =
            lines.map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("JSON"));
        let mut said = Vec::new();
        let listening = loop {
            let line = log.next().expect("it listens");
            if line["message"] == "listening" {
                break line;
            }
            said.push(line);
        };
        let at = |key: &str| -> SocketAddr {
            listening[key].as_str().expect("an address").parse().expect("one")
        };
        let (address, ops_address) = (at("listen"), at("ops_listen"));
        while !is_ready(ops_address) {
            std::thread::yield_now();
        }
        Self { child, said, log: Box::new(log), address }
    }

    fn post(&self, path: &str, body: Value) -> Reply {
        let headers = [("content-type", "application/json"), ("x-request-id", "r-1")];
        send(self.address, "POST", path, &headers, body.to_string().as_bytes()).finish()
    }

    fn load(&self, name: &str) -> Reply {
        self.post("/v1/adapters", json!({"name": name, "source": "two"}))
    }

    fn chat(&self) -> Reply {
        self.post(
            "/v1/chat/completions",
            json!({"model": "tiny-llama", "max_tokens": 1, "adapters": ["one"],
                "messages": [{"role": "user", "content": "hi"}]}),
        )
    }

    fn adapters(&self) -> Vec<Value> {
        let list = send(self.address, "GET", "/v1/adapters", &[], b"").finish().json();
        list["data"].as_array().expect("a list").iter().map(|one| one["name"].clone()).collect()
    }

    fn stop(mut self) {
        signal(&self.child);
        // Who writes to a pipe that nobody reads waits.
        self.log.by_ref().for_each(drop);
        assert!(self.child.wait().expect("an end").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended hears neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
}

#[test]
fn a_state_folder_that_is_read_only_refuses_changes_and_service_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut program = Program::start(folder.path());
    let state = folder.path().join("home/state");
    let before = program.adapters();
    set_mode(&state, 0o500);
    let remove = |program: &Program| send(program.address, "DELETE", "/v1/adapters/one", &[], b"");
    for refused in [program.load("new"), program.load("one"), remove(&program).finish()] {
        assert_eq!(refused.status, 500, "{}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "internal_error");
        assert!(!refused.text().contains(&*folder.path().to_string_lossy()));
        let line = wait_for(&mut program.log, "a request failed");
        let cause = line["cause"].as_str().expect("a cause");
        assert!(cause.contains("cannot write the adapter state: permission denied"), "{line}");
    }
    assert_eq!((program.adapters(), program.chat().status), (before.clone(), 200));
    program.stop();
    let all = records(&folder.path().join("audit.jsonl"));
    let events = |name: &str| all.iter().filter(|record| record["event"] == name).count();
    assert_eq!((events("adapter_refused"), events("adapter")), (3, 0));
    // A start reads what is there.
    let program = Program::start(folder.path());
    assert_eq!((program.adapters(), program.chat().status), (before, 200));
    assert_eq!(program.load("new").status, 500);
    set_mode(&state, 0o700);
    assert_eq!(program.load("new").status, 200);
    program.stop();
}

#[test]
fn a_start_takes_away_an_audit_line_that_was_cut_off_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let program = Program::start(folder.path());
    assert_eq!(program.chat().status, 200);
    program.stop();
    for cut_bytes in [1, 40, 100] {
        let whole = records(&path);
        let bytes = std::fs::read(&path).expect("a log");
        std::fs::write(&path, &bytes[..bytes.len() - cut_bytes]).expect("written");
        let (code, said) = verify(&[&path]);
        assert!(code == Some(3) && said.contains("is unfinished"), "{said}");
        let last = bytes[..bytes.len() - 1].rsplit(|byte| *byte == b'\n').next().expect("a line");
        let torn_bytes = last.len() + 1 - cut_bytes;
        let program = Program::start(folder.path());
        let message = "the audit log's unfinished last line was taken away";
        let told = program.said.iter().find(|line| line["message"] == message).expect(message);
        assert_eq!(told["cut_bytes"], torn_bytes);
        assert_eq!(program.chat().status, 200);
        program.stop();
        let all = records(&path);
        let kept = whole.len() - 1;
        assert_eq!(all[..kept], whole[..kept]);
        assert_eq!(
            (&all[kept]["event"], &all[kept]["cut_bytes"]),
            (&json!("recovered"), &json!(torn_bytes))
        );
        let next: Vec<_> = all[kept + 1..].iter().map(|record| &record["event"]).collect();
        assert_eq!(next, ["started", "serving", "request", "stopped"]);
    }
}
