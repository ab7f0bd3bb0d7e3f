//! Those who keep the gateway busy, and what they got.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

use acceptance::chance::Chance;
use acceptance::http::Ask;
use anyhow::ensure;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// From one swap, hang-up or bad request to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// What somebody is there for, and the answer that is right for it.
const ROLES: [(&str, u16); 4] = [("stream", 200), ("swap", 200), ("hang up", 0), ("bad", 400)];

pub(crate) struct People {
    server: SocketAddr,
    over: AtomicBool,
    /// How often which role got which answer: a status and an error's code.
    answers: Mutex<BTreeMap<(&'static str, String), usize>>,
}

impl People {
    pub(crate) const fn new(server: SocketAddr) -> Self {
        Self { server, over: AtomicBool::new(false), answers: Mutex::new(BTreeMap::new()) }
    }

    /// Begins with so many clients that stream, and one of each other kind.
    pub(crate) fn begin<'a>(&'a self, scope: &'a Scope<'a, '_>, clients: usize) {
        // What is swapped must be there before it is asked for.
        self.swap(&mut Chance::new(0));
        for seed in 0..clients as u64 {
            scope.spawn(move || self.again(seed, "stream", Self::stream));
        }
        scope.spawn(|| self.again(1_001, "swap", Self::swap));
        scope.spawn(|| self.again(1_002, "hang up", Self::hang_up));
        scope.spawn(|| self.again(1_003, "bad", Self::err));
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn again(&self, seed: u64, role: &'static str, act: fn(&Self, &mut Chance) -> String) {
        let mut chance = Chance::new(seed);
        while !self.over.load(Ordering::Relaxed) {
            let answer = act(self, &mut chance);
            if let Ok(mut answers) = self.answers.lock() {
                *answers.entry((role, answer)).or_default() += 1;
            }
            if role != "stream" {
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn post(&self, path: &str, body: &Value) -> String {
        let body = body.to_string();
        let ask = Ask { method: "POST", path, secret: None, id: "soak", body: &body };
        match ask.answer(self.server) {
            Ok((status, text)) => match text.split_once("\"code\":\"") {
                Some((_, rest)) => {
                    format!("{status} {}", rest.split('"').next().unwrap_or_default())
                }
                None => status.to_string(),
            },
            Err(error) => error.to_string(),
        }
    }

    fn stream(&self, chance: &mut Chance) -> String {
        let adapters = *chance.pick(&["", "one", "two", "moving"]);
        let adapters: Vec<_> = Some(adapters).filter(|name| !name.is_empty()).into_iter().collect();
        self.post(CHAT, &chat(&json!({"adapters": adapters, "max_tokens": 32, "stream": true})))
    }

    fn swap(&self, chance: &mut Chance) -> String {
        let source = *chance.pick(&["one", "two", "three"]);
        self.post("/v1/adapters", &json!({"name": "moving", "source": source}))
    }

    fn hang_up(&self, chance: &mut Chance) -> String {
        let body = chat(&json!({"stream": true, "ignore_eos": true, "max_tokens": 200, "n": 4}));
        let body = body.to_string();
        let ask = Ask { method: "POST", path: CHAT, secret: None, id: "soak", body: &body };
        let Ok(mut stream) = ask.send(self.server) else { return "no server".to_owned() };
        let mut bytes = vec![0; *chance.pick(&[1, 300, 3_000])];
        match stream.read(&mut bytes) {
            Ok(1..) => "0".to_owned(),
            Ok(0) | Err(_) => "nothing came".to_owned(),
        }
    }

    fn err(&self, chance: &mut Chance) -> String {
        let fields = chance.pick(&[r#"{"temperature": 9}"#, r#"{"messages": 1}"#, r#"{"n": 0}"#]);
        self.post(CHAT, &chat(&serde_json::from_str(fields).unwrap_or_default()))
    }

    /// Whether all got what they should.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let answers = self.answers.lock().map_err(|_| anyhow::anyhow!("a panic"))?;
        for (role, expected) in ROLES {
            let expected = expected.to_string();
            let own = answers.iter().filter(|((who, _), _)| *who == role);
            let (good, bad): (Vec<_>, Vec<_>) =
                own.partition(|((_, answer), _)| answer.split(' ').next() == Some(&expected));
            ensure!(!good.is_empty() && bad.is_empty(), "{role} got {bad:?}");
        }
        Ok(())
    }
}

impl fmt::Display for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(answers) = self.answers.lock() else { return Ok(()) };
        answers
            .iter()
            .try_for_each(|((role, answer), count)| writeln!(f, "{role}: {answer}: {count}"))
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
