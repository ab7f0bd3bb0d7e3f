//! OpenAI's and Prometheus' own clients, unchanged and pinned: `tests/clients`.
//!
//! They are installed below the target folder once, and anew when their pins change.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::json;

use crate::house::House;

pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// Runs a command and returns whether it went well, with all that it said.
fn run(command: &mut Command) -> (bool, String) {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A folder below the target folder that `install` has filled from `pins`.
fn installed(name: &str, pins: &Path, install: impl FnOnce(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (seal, wanted) = (folder.join("installed"), std::fs::read(pins).expect("the pins"));
    if std::fs::read(&seal).is_ok_and(|found| found == wanted) {
        return folder;
    }
    // What is left of another installation goes; there may be none.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    install(&folder);
    std::fs::write(seal, wanted).expect("sealed");
    folder
}

pub(crate) fn must(command: &mut Command) {
    let (good, said) = run(command);
    assert!(good, "{command:?}\n{said}");
}

/// A virtual environment with what the folder `name` pins.
pub(crate) fn python(name: &str) -> PathBuf {
    let pins = clients().join(name).join("requirements.txt");
    installed(&format!("{name}-client"), &pins, |folder| {
        must(Command::new("python3").args(["-m", "venv"]).arg(folder));
        must(Command::new(folder.join("bin/pip")).args(["install", "-q", "-r"]).arg(&pins));
    })
}

/// A Python with the pinned clients.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| python("python").join("bin/python"));

#[test]
fn the_python_client_is_served_unchanged() {
    let house = House::open();
    let script = clients().join("python/check.py");
    must(Command::new(&*PYTHON).arg(script).arg(house.address.to_string()));
}

#[test]
fn prometheus_own_parser_finds_no_fault_and_the_exemplars() {
    let house = House::with_settings(&[("shadow.rate", "1")]);
    house.choices(json!({"adapters": ["one"]}));
    let compared = r#"lethe_shadow_runs_total{outcome="compared"}"#;
    house.wait_until(compared, || house.metric(compared) > 0.5);
    let script = clients().join("python/metrics.py");
    let addresses = [house.address, house.ops_address].map(|address| address.to_string());
    must(Command::new(&*PYTHON).arg(script).args(addresses));
}

#[test]
fn the_node_client_is_served_unchanged() {
    let source = clients().join("node");
    let folder = installed("node-client", &source.join("package-lock.json"), |folder| {
        for file in ["package.json", "package-lock.json", ".npmrc"] {
            std::fs::copy(source.join(file), folder.join(file)).expect("a copy");
        }
        must(Command::new("npm").args(["ci", "--silent", "--no-fund"]).current_dir(folder));
    });
    let house = House::open();
    std::fs::copy(source.join("check.mjs"), folder.join("check.mjs")).expect("a copy");
    must(Command::new("node").arg("check.mjs").arg(house.address.to_string()).current_dir(folder));
}
