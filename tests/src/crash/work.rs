//! What goes on when the gateway is killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::{Loaded, chat};
use crate::chance::Chance;
use crate::gateway::Process;
use crate::http::Ask;

/// How many keys are made at most by each of two who make some: a file has only so many.
const KEYS: usize = 2;

const NAMES: [&str; 4] = ["one", "alpha", "beta", "gamma"];
const SOURCES: [&str; 3] = ["one", "two", "three"];

/// A change of one adapter's name.
#[derive(Debug, Clone)]
pub(super) struct Step {
    name: String,
    /// The folder; `None` takes the name away.
    source: Option<String>,
}

/// Where the work is done.
pub(super) struct Work<'a> {
    pub(super) program: &'a Path,
    pub(super) keys: &'a Path,
    pub(super) secret: &'a str,
    pub(super) server: SocketAddr,
    pub(super) round: usize,
}

/// What was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) changes: usize,
    /// The change that was not answered.
    pub(super) open: Option<Step>,
    pub(super) keys: BTreeMap<String, String>,
    pub(super) answers: usize,
}

impl Step {
    fn draw(chance: &mut Chance, loaded: &Loaded) -> Self {
        let name = (*chance.pick(&NAMES)).to_owned();
        let source = Some((*chance.pick(&SOURCES)).to_owned());
        let unload = loaded.contains_key(&name) && chance.bits().is_multiple_of(3);
        Self { name, source: source.filter(|_| !unload) }
    }

    pub(super) fn apply(&self, loaded: &mut Loaded) {
        match &self.source {
            Some(source) => loaded.insert(self.name.clone(), source.clone()),
            None => loaded.remove(&self.name),
        };
    }

    /// Asks for the change; an error if there was no whole answer.
    fn ask(&self, work: &Work<'_>, id: &str) -> anyhow::Result<()> {
        let secret = Some(work.secret);
        let one = format!("/v1/adapters/{}", self.name);
        let body = json!({"name": self.name, "source": self.source}).to_string();
        let ask = match self.source {
            Some(_) => Ask { method: "POST", path: "/v1/adapters", secret, id, body: &body },
            None => Ask { method: "DELETE", path: &one, secret, id, body: "" },
        };
        ask.json(work.server).map(drop)
    }
}

impl Work<'_> {
    /// Changes everything that can be changed, and kills the gateway after `life`.
    pub(super) fn until_killed(
        &self,
        chance: &mut Chance,
        loaded: &mut Loaded,
        gateway: Process,
        life: Duration,
    ) -> Done {
        let over = AtomicBool::new(false);
        let mut own = chance.clone();
        chance.bits();
        std::thread::scope(|scope| {
            let changes = scope.spawn(|| self.change(&mut own, loaded));
            let keys = [0, 1].map(|maker| {
                let over = &over;
                scope.spawn(move || self.make_keys(over, maker))
            });
            let answers = [(); 2].map(|()| scope.spawn(|| self.ask()));
            std::thread::sleep(life);
            gateway.kill();
            over.store(true, Ordering::Relaxed);
            let (changes, open) = changes.join().unwrap_or_default();
            let keys = keys.into_iter().flat_map(|keys| keys.join().unwrap_or_default()).collect();
            let answers = answers.into_iter().map(|asked| asked.join().unwrap_or_default()).sum();
            Done { changes, open, keys, answers }
        })
    }

    fn change(&self, chance: &mut Chance, loaded: &mut Loaded) -> (usize, Option<Step>) {
        for number in 0.. {
            let step = Step::draw(chance, loaded);
            if step.ask(self, &format!("change-{}-{number}", self.round)).is_err() {
                return (number, Some(step));
            }
            step.apply(loaded);
        }
        (0, None)
    }

    fn ask(&self) -> usize {
        let body = chat(&json!({"stream": true, "max_tokens": 8})).to_string();
        let path = "/v1/chat/completions";
        let secret = Some(self.secret);
        let ask = Ask { method: "POST", path, secret, id: "work", body: &body };
        (0..).take_while(|_| ask.answer(self.server).is_ok()).count()
    }

    /// Makes keys with the program, which is killed too in the end.
    fn make_keys(&self, over: &AtomicBool, maker: usize) -> BTreeMap<String, String> {
        let mut made = BTreeMap::new();
        for number in 0..KEYS {
            let id = format!("r{}-{maker}-{number}", self.round);
            let Ok(mut child) = key_command(self.program, self.keys, &id).spawn() else { break };
            let killed = wait_or_kill(&mut child, over);
            let output = child.wait_with_output();
            // A key that was told is acknowledged, whatever came after.
            let told = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let secret = told.unwrap_or_default();
            if secret.ends_with('\n') {
                made.insert(id, secret.trim_end().to_owned());
            }
            if killed {
                break;
            }
        }
        made
    }
}

/// Waits for the end of `child`; `true` if it was killed because all is over.
fn wait_or_kill(child: &mut Child, over: &AtomicBool) -> bool {
    loop {
        if over.load(Ordering::Relaxed) {
            let _ = child.kill();
            return true;
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn key_command(program: &Path, file: &Path, id: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["key", "new", "--id", id, "--scopes", "infer,adapters:write", "--file"])
        .arg(file);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Makes a key, and gives its secret.
pub(super) fn make_key(program: &Path, file: &Path, id: &str) -> anyhow::Result<String> {
    let output = key_command(program, file, id).output().context("the program does not run")?;
    ensure!(output.status.success(), "no key can be made");
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}
