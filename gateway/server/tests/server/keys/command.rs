//! `lethe-gateway key`, through the program.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::ask;
use crate::program::{log_lines, program, run, signal, wait_for};

/// `lethe-gateway key` with these words and this file.
fn key(words: &[&str], file: &Path) -> (Option<i32>, String) {
    run(program().arg("key").args(words).arg("--file").arg(file))
}

fn new(id: &str, scopes: &str, file: &Path) -> String {
    let (code, said) = key(&["new", "--id", id, "--scopes", scopes], file);
    assert_eq!(code, Some(0), "{said}");
    said.trim_end().to_owned()
}

#[test]
fn commands_at_the_same_time_lose_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.toml");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let file = &file;
            scope.spawn(move || new(&format!("k{number}"), "infer", file));
        }
    });
    let (code, said) = key(&["list"], &file);
    assert_eq!((code, said.lines().count()), (Some(0), 8), "{said}");
}

#[test]
fn a_key_that_the_program_makes_opens_it_and_its_secret_is_in_no_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.toml");
    let front = new("front", "infer", &file);
    let watcher = new("watcher", "infer,metrics", &file);
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-llama");
    let mut command = program();
    command.args(["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]);
    command.args(["--log-format", "json", "--shutdown-grace-seconds", "0"]);
    command.args(["--keys-reload-seconds", "0.01"]).arg("--keys-file").arg(&file);
    command.arg("--home").arg(folder.path()).arg("--model").arg(&model);
    let mut child = command.spawn().expect("it runs");
    let lines = log_lines(&mut child);
    let mut text = Vec::new();
    let mut log = lines.map(|line| {
        text.push(line);
        serde_json::from_str(text.last().expect("a line")).expect("JSON")
    });
    let listening = wait_for(&mut log, "listening");
    let at = |key: &str| -> SocketAddr { listening[key].as_str().expect(key).parse().expect(key) };
    wait_for(&mut log, "ready");
    let status = |secret| ask(at("listen"), "GET", "/v1/models", secret).status;
    while status(Some(&front)) != 200 {
        std::thread::yield_now();
    }
    assert_eq!((status(None), status(Some("lethe-sk-0"))), (401, 401));
    assert_eq!(ask(at("ops_listen"), "GET", "/metrics", Some(&watcher)).status, 200);
    assert_eq!(key(&["revoke", "--id", "front"], &file).0, Some(0));
    while status(Some(&front)) != 401 {
        std::thread::yield_now();
    }
    assert_eq!(status(Some(&watcher)), 200);
    signal(&child);
    let rest = log.by_ref().count();
    assert!(rest > 0 && child.wait().expect("an end").success());
    let text = text.join("\n");
    assert!(text.contains(r#""key":"watcher""#) && text.contains("loaded again"), "{text}");
    for hidden in [&front, &watcher, "lethe-sk-", "sha256:", &*file.to_string_lossy()] {
        assert!(!text.contains(hidden), "{hidden} is in the log");
    }
}

#[test]
fn the_file_is_private_and_has_no_secret_and_each_id_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.toml");
    let secret = new("a", "infer", &file);
    assert!(secret.len() == 73 && secret.starts_with("lethe-sk-"), "{secret}");
    new("b", "adapters:write,metrics", &file);
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(!text.contains("lethe-sk-"), "{text}");
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let list = |said: &str| assert_eq!(key(&["list"], &file), (Some(0), said.to_owned()));
    list("a\tinfer\nb\tadapters:write,metrics\n");
    for words in [
        &["new", "--id", "a", "--scopes", "infer"][..],
        &["new", "--id", "c", "--scopes", "all"],
        &["new", "--id", "", "--scopes", "infer"],
        &["revoke", "--id", "c"],
    ] {
        let (code, said) = key(words, &file);
        assert!(code == Some(1) && said.starts_with("lethe-gateway: "), "{words:?}: {said}");
    }
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), text);
    assert_eq!(key(&["revoke", "--id", "a"], &file), (Some(0), String::new()));
    list("b\tadapters:write,metrics\n");
}

#[test]
fn the_file_may_be_the_settings_and_a_bad_one_fails_the_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.toml");
    let with = |words: &[&str]| run(program().args(words).env("LETHE_KEYS_FILE", &file));
    let (code, said) = with(&["key", "new", "--id", "a", "--scopes", "infer"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(with(&["key", "list"]), (Some(0), "a\tinfer\n".to_owned()));
    assert_eq!(with(&["--check-config"]), (Some(0), String::new()));
    std::fs::write(&file, "[[keys]]\nid = 1").expect("written");
    let (code, said) = with(&["--check-config"]);
    assert!(code == Some(1) && said.contains("not understood at line 2"), "{said}");
    let (code, said) = run(program().args(["key", "list"]));
    assert!(code == Some(1) && said.contains("--file"), "{said}");
    assert_eq!(run(program().arg("key")).0, Some(2));
}
