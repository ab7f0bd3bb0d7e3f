//! What connections cost of the files that a process may have open.
#![cfg(target_os = "linux")]

use std::path::Path;

use acceptance::gateway::{Process, tiny_adapters, tiny_model};
use serde_json::json;

use crate::client::send;

const CONNECTIONS: usize = 200;

fn open_files(process: &Process) -> usize {
    let folder = format!("/proc/{}/fd", process.id());
    std::fs::read_dir(folder).expect("a process").count()
}

#[test]
fn a_connection_that_is_idle_after_a_request_has_one_descriptor() {
    let home = tempfile::tempdir().expect("a folder");
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let paths = [tiny_model(), tiny_adapters(), home.path()].map(path);
    let program = Path::new(env!("CARGO_BIN_EXE_lethe-gateway"));
    let options = [["--model", &paths[0]], ["--adapters", &paths[1]], ["--home", &paths[2]]];
    let process = Process::start(program, &options.concat()).expect("started");
    let chat = json!({"model": "tiny-llama", "max_tokens": 1,
        "messages": [{"role": "user", "content": "hi"}]});
    let body = chat.to_string();
    let before = open_files(&process);
    let headers = [("content-type", "application/json")];
    let path = "/v1/chat/completions";
    let ask = |_| send(process.address, "POST", path, &headers, body.as_bytes());
    let idle: Vec<_> = (0..CONNECTIONS).map(ask).collect();
    assert!(idle.iter().all(|answer| answer.status == 200));
    // Twice as many would be a second one for each. Those that are idle for long are closed.
    let taken = open_files(&process).saturating_sub(before);
    assert!(taken < CONNECTIONS * 3 / 2, "{taken}");
    process.stop().expect("a good end");
}
