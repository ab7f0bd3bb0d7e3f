//! A gateway that is killed while everything that it keeps is being changed, again and again.
//!
//! Each round starts the real program on what the last one left, checks that, has adapters loaded,
//! swapped and unloaded, keys made and answers streamed, all at the same time, and kills it at a
//! random moment. What was acknowledged must be there, and what was not must be whole or absent.

mod audit;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::gateway::{Process, tiny_adapters, tiny_model};
use crate::http::Ask;
use work::{Step, Work};

/// The longest time from "ready" to the kill.
const LIFE: Duration = Duration::from_millis(400);

/// What adapters' names stand for: the folder that each was loaded from.
type Loaded = BTreeMap<String, String>;

/// What a gateway keeps, and what it has acknowledged.
#[derive(Debug)]
pub struct World {
    program: PathBuf,
    folder: PathBuf,
    chance: Chance,
    round: usize,
    loaded: Loaded,
    /// A change that was not answered.
    open: Option<Step>,
    /// The last round, and how many changes were acknowledged in it.
    last: (usize, usize),
    /// Secrets by their ids.
    keys: BTreeMap<String, String>,
    /// The digest of each folder of adapters.
    digests: BTreeMap<String, String>,
    totals: Totals,
}

/// What was done in all rounds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Changes of adapters that were acknowledged.
    pub changes: usize,
    /// Rounds in which a change was open when the gateway was killed.
    pub open: usize,
    /// Of these, how many the gateway had made.
    pub made: usize,
    /// Keys that were made.
    pub keys: usize,
    /// Answers that came to their end.
    pub answers: usize,
    /// Starts that took away an unfinished line of the audit log.
    pub torn: usize,
    /// Records of the audit log in the end.
    pub records: usize,
}

impl World {
    /// A new world in the empty `folder`, for the gateway `program`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(program: &Path, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        copy(tiny_adapters(), &folder.join("adapters"))?;
        let mut world = Self {
            program: program.to_owned(),
            folder: folder.to_owned(),
            chance: Chance::new(seed),
            round: 0,
            loaded: ["one", "two", "three"].map(|name| (name.to_owned(), name.to_owned())).into(),
            open: None,
            last: (0, 0),
            keys: BTreeMap::new(),
            digests: BTreeMap::new(),
            totals: Totals::default(),
        };
        for id in ["root", "other"] {
            let secret = work::make_key(program, &world.path("keys.toml"), id)?;
            world.keys.insert(id.to_owned(), secret);
        }
        Ok(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What was done so far.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// A round: start, check, work, kill.
    ///
    /// # Errors
    /// What was found to be broken.
    pub fn round(&mut self) -> anyhow::Result<()> {
        self.round += 1;
        let gateway = self.start()?;
        self.check(&gateway)?;
        let life = self.chance.below(LIFE);
        let work = Work {
            program: &self.program,
            keys: &self.path("keys.toml"),
            secret: &self.keys["root"],
            server: gateway.address,
            round: self.round,
        };
        let done = work.until_killed(&mut self.chance, &mut self.loaded, gateway, life);
        self.totals.changes += done.changes;
        self.last = (self.round, done.changes);
        self.totals.keys += done.keys.len();
        self.totals.answers += done.answers;
        self.totals.open += usize::from(done.open.is_some());
        self.keys.extend(done.keys);
        self.open = done.open;
        Ok(())
    }

    /// A last start, check and good end.
    ///
    /// # Errors
    /// What was found to be broken.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let gateway = self.start()?;
        self.check(&gateway)?;
        gateway.stop()?;
        self.totals.records =
            audit::verify(&self.program, &self.path("audit.jsonl"), false)?.records;
        Ok(())
    }

    fn start(&mut self) -> anyhow::Result<Process> {
        if self.round > 1 {
            let log = audit::verify(&self.program, &self.path("audit.jsonl"), true)?;
            self.totals.torn += usize::from(log.torn);
            let text = audit::text(&self.path("audit.jsonl"))?;
            let (round, changes) = self.last;
            for number in 0..changes {
                let id = format!("\"change-{round}-{number}\"");
                ensure!(text.contains(&id), "{id} was acknowledged and is not in the audit log");
            }
        }
        let text = |name: &str| self.path(name).to_str().map(str::to_owned).context("UTF-8");
        let (adapters, home) = (text("adapters")?, text("home")?);
        let (keys, audit) = (text("keys.toml")?, text("audit.jsonl")?);
        let model = tiny_model().to_str().context("UTF-8")?;
        Process::start(
            &self.program,
            &[
                ["--model", model],
                ["--adapters", &adapters],
                ["--home", &home],
                ["--keys-file", &keys],
                ["--keys-reload-seconds", "0.01"],
                ["--audit-file", &audit],
                ["--audit-sync-seconds", "0.02"],
                ["--audit-rotate-bytes", "20000"],
                ["--engine-kv-bytes", "16777216"],
                ["--shutdown-grace-seconds", "0"],
            ]
            .concat(),
        )
        .context("it does not start on what was left")
    }

    /// Whether a gateway that was just started has what it acknowledged before.
    fn check(&mut self, gateway: &Process) -> anyhow::Result<()> {
        for (id, secret) in &self.keys {
            let ask = Ask { secret: Some(secret), ..Ask::get("/v1/models") };
            let (status, _) = ask.answer(gateway.address)?;
            ensure!(status == 200, "the key {id} was acknowledged and gets {status}");
        }
        let listed = self.listed(gateway)?;
        let settled = self.settle(&listed);
        ensure!(listed == settled, "listed are {listed:?}, and acknowledged were {settled:?}");
        for name in listed.keys() {
            self.check_served(gateway, name)?;
        }
        Ok(())
    }

    /// Which adapters there are, each whole: its digest is that of its folder.
    fn listed(&mut self, gateway: &Process) -> anyhow::Result<Loaded> {
        let secret = Some(self.keys["root"].as_str());
        let list = Ask { secret, ..Ask::get("/v1/adapters") }.json(gateway.address)?;
        let mut listed = Loaded::new();
        for adapter in list["data"].as_array().context("no list")? {
            let text = |key: &str| adapter[key].as_str().map(str::to_owned).context("no text");
            let (name, source, digest) = (text("name")?, text("source")?, text("digest")?);
            let known = self.digests.entry(source.clone()).or_insert_with(|| digest.clone());
            ensure!(*known == digest, "{name} has another digest than {source}");
            listed.insert(name, source);
        }
        Ok(listed)
    }

    /// What must be listed: what was acknowledged, with the open change if it was made.
    fn settle(&mut self, listed: &Loaded) -> Loaded {
        if let Some(step) = self.open.take() {
            let mut made = self.loaded.clone();
            step.apply(&mut made);
            if made == *listed && made != self.loaded {
                self.totals.made += 1;
                self.loaded = made;
            }
        }
        self.loaded.clone()
    }

    fn check_served(&self, gateway: &Process, name: &str) -> anyhow::Result<()> {
        let body = chat(&json!({"adapters": [name], "max_tokens": 1})).to_string();
        let secret = Some(self.keys["root"].as_str());
        let path = "/v1/chat/completions";
        let reply = Ask { method: "POST", path, secret, id: "check", body: &body };
        let reply = reply.json(gateway.address)?;
        let digest = reply["lethe"]["adapters"][0]["digest"].as_str();
        if digest != self.digests.get(&self.loaded[name]).map(String::as_str) {
            bail!("{name} serves {digest:?}");
        }
        Ok(())
    }
}

/// A chat with `fields` on top.
fn chat(fields: &Value) -> Value {
    let mut body = json!({"model": "tiny-llama", "messages": [{"role": "user", "content": "hi"}]});
    if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
        body.extend(fields.clone());
    }
    body
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
