//! A disk without room, by the limit of what a process may write to a file: no root is needed.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

use acceptance::gateway::{Process, is_ready, tiny_adapters, tiny_model};
use acceptance::http::Ask;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

use crate::audit::records;
use crate::program::{program, run};

/// The program in a shell that ignores the signal that comes with the limit's error.
fn patient(limit: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -S -f {limit}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_lethe-gateway")]);
    command
}

fn start(folder: &Path, more: &[&str]) -> Process {
    let mut command = patient("unlimited");
    command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    command.args(["--shutdown-grace-seconds", "0", "--engine-kv-bytes", "16777216"]);
    command.arg("--model").arg(tiny_model()).arg("--adapters").arg(tiny_adapters());
    command.arg("--home").arg(folder.join("home")).args(more);
    Process::start_command(&mut command).expect("started")
}

/// From now on it cannot write any file beyond so many bytes.
fn limit(process: &Process, bytes: Option<u64>) {
    let pid = Pid::from_raw(process.id().cast_signed()).expect("a process");
    let limit = Rlimit { current: bytes, maximum: None };
    prlimit(Some(pid), Resource::Fsize, limit).expect("limited");
}

fn load(process: &Process, name: &str) -> (u16, String) {
    let body = json!({"name": name, "source": "two"}).to_string();
    let path = "/v1/adapters";
    let ask = Ask { method: "POST", path, secret: None, id: "load", body: &body };
    ask.answer(process.address).expect("an answer")
}

fn chat(process: &Process) -> (u16, String) {
    let body = json!({"model": "tiny-llama", "max_tokens": 1,
        "messages": [{"role": "user", "content": "hi"}]});
    let (body, path) = (body.to_string(), "/v1/chat/completions");
    let ask = Ask { method: "POST", path, secret: None, id: "chat", body: &body };
    ask.answer(process.address).expect("an answer")
}

fn names(process: &Process) -> Vec<String> {
    let list = Ask::get("/v1/adapters").json(process.address).expect("a list");
    let names = list["data"].as_array().expect("a list").iter();
    names.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn an_adapter_that_cannot_be_recorded_is_not_loaded_and_service_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = start(folder.path(), &[]);
    let before = names(&process);
    limit(&process, Some(0));
    let (status, text) = load(&process, "new");
    assert!(status == 500 && text.contains("internal_error"), "{status}: {text}");
    assert!(!text.contains(&*folder.path().to_string_lossy()), "{text}");
    assert_eq!((names(&process), chat(&process).0), (before, 200));
    limit(&process, None);
    assert_eq!(load(&process, "new").0, 200);
    // A folder that is gone is as good as one that is full.
    let (state, away) = (folder.path().join("home/state"), folder.path().join("away"));
    std::fs::rename(&state, &away).expect("moved");
    assert_eq!((load(&process, "newer").0, chat(&process).0), (500, 200));
    std::fs::rename(&away, &state).expect("moved");
    assert_eq!(load(&process, "newer").0, 200);
    process.stop().expect("a good end");
}

#[test]
fn requests_are_refused_while_they_cannot_be_recorded_and_none_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let file = ["--audit-file", path.to_str().expect("UTF-8"), "--audit-sync-seconds", "0.01"];
    let process = start(folder.path(), &file);
    assert_eq!(chat(&process).0, 200);
    limit(&process, Some(0));
    let mut answered = 1;
    let refused = loop {
        match chat(&process) {
            (200, _) => answered += 1,
            refused => break refused,
        }
    };
    assert!(refused.0 == 503 && refused.1.contains("audit_unavailable"), "{refused:?}");
    assert!(!is_ready(process.ops_address));
    limit(&process, None);
    while !is_ready(process.ops_address) {
        std::thread::yield_now();
    }
    assert_eq!(chat(&process).0, 200);
    process.stop().expect("a good end");
    let requests = records(&path).iter().filter(|record| record["event"] == "request").count();
    assert_eq!(requests, answered + 1);
}

#[test]
fn a_key_that_cannot_be_written_is_not_told_and_the_file_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.toml");
    let new = |id: &str| ["key", "new", "--scopes", "infer", "--id", id].map(str::to_owned);
    let (code, _) = run(program().args(new("a")).arg("--file").arg(&file));
    assert_eq!(code, Some(0));
    let before = std::fs::read(&file).expect("a file");
    let mut command = patient("0");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let (code, said) = run(command.args(new("b")).arg("--file").arg(&file));
    assert_eq!((code, std::fs::read(&file).expect("a file")), (Some(1), before));
    assert!(said.contains("cannot be written: file too large"), "{said}");
    // The lock is the other one.
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
}
