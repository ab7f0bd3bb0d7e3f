//! The program itself, as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use model::source::{DEFAULT_MODEL, ModelStore, default_home};
use serde_json::{Value, json};

use crate::client::send;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lethe-gateway"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The lines of a program's log. They are read as they come, whoever wants them when: a pipe that
/// is full would hold the program.
pub(crate) fn log_lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let pipe = BufReader::new(child.stderr.take().expect("a pipe"));
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        pipe.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines.into_iter()
}

/// The next line of the log with this message.
pub(crate) fn wait_for(log: &mut impl Iterator<Item = Value>, message: &str) -> Value {
    log.find(|line| line["message"] == message).expect(message)
}

pub(crate) fn signal(child: &Child) {
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
    let upstream = ["--engine-kind", "upstream", "--upstream-servers", "http://127.0.0.1:1"];
    assert_eq!(run(check().args(upstream)), (Some(0), String::new()));
    for setting in ["key_file", "ca_file"] {
        let flag = format!("--upstream-{}", setting.replace('_', "-"));
        let (code, said) = run(check().args(upstream).args([&flag, "no/such/file"]));
        assert!(code == Some(1) && said.contains(&format!("upstream.{setting} cannot")), "{said}");
    }
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

/// The default model's file, fetched if it is not there yet.
fn default_model() -> PathBuf {
    let home = std::env::var_os("LETHE_HOME").map_or_else(default_home, Into::into);
    ModelStore::new(&home).get(&DEFAULT_MODEL.parse().expect("a source")).expect("the model")
}

#[test]
fn adapters_that_come_with_the_sources_serve_by_name_and_as_a_preset() {
    let home = tempfile::tempdir().expect("a folder");
    let mut command = program();
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--shutdown-grace-seconds", "0"]);
    command.arg("--home").arg(home.path()).arg("--model").arg(default_model());
    let mut child = command.spawn().expect("it runs");
    let lines = log_lines(&mut child);
    let mut log = lines.map(|line| serde_json::from_str(&line).expect("JSON"));
    let listening = wait_for(&mut log, "listening");
    let address: SocketAddr = listening["listen"].as_str().expect("listen").parse().expect("one");
    wait_for(&mut log, "ready");
    let json = [("content-type", "application/json")];
    let ask = |adapters: Value| -> Value {
        let body = json!({"model": "smollm2-135m-instruct", "max_tokens": 1, "seed": 1,
            "logprobs": true, "messages": [{"role": "user", "content": "Who is a nurse?"}],
            "adapters": adapters});
        loop {
            let path = "/v1/chat/completions";
            let reply = send(address, "POST", path, &json, body.to_string().as_bytes()).finish();
            // The model becomes known to handlers right after the line.
            if reply.status == 200 {
                return serde_json::from_slice(&reply.body).expect("JSON");
            }
            assert!(reply.status == 503, "{}", reply.status);
            std::thread::yield_now();
        }
    };
    let names = |reply: &Value| -> Vec<String> {
        let applied = reply["lethe"]["adapters"].as_array().expect("adapters");
        applied.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    let base = ask(json!([]));
    for name in ["gender", "race", "jews", "muslims", "religion", "orientation"] {
        let reply = ask(json!([name]));
        assert_eq!(names(&reply), [name]);
        let logprobs = |reply: &Value| reply["choices"][0]["logprobs"].clone();
        assert_ne!(logprobs(&reply), logprobs(&base), "{name} changes something");
    }
    assert_eq!(names(&ask(json!(["balanced"]))), ["gender", "orientation", "race", "religion"]);
    signal(&child);
    assert!(child.wait().expect("an end").success());
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
    let lines = log_lines(&mut child);
    let mut text = Vec::new();
    let mut log = lines.map(|line| {
        text.push(line);
        serde_json::from_str(text.last().expect("a line")).expect("JSON")
    });
    let listening = wait_for(&mut log, "listening");
    let address: SocketAddr = listening["listen"].as_str().expect("listen").parse().expect("one");
    wait_for(&mut log, "ready");
    let body = json!({"model": "tiny-llama", "max_tokens": 4, "user": "hush-user",
        "messages": [{"role": "user", "content": "hush-text"}]});
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer hush-key"),
        ("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")),
        ("tracestate", "vendor=hush-state"),
    ];
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
    let answered = text.lines().find(|line| line.contains("\"answered\"")).expect("a line");
    assert!(answered.contains(&format!("\"trace_id\":\"{trace}\"")), "{answered}");
    assert!(!text.contains("hush"), "{text}");
    assert!(!text.contains(&*folder.path().to_string_lossy()), "{text}");
}
