//! A server that generates for others, without a model, on a port of this machine.
//!
//! It understands what vLLM and llama.cpp's server do. The answer to a prompt is the prompt
//! backwards; how likely its tokens are depends on the adapters that apply, so that a test sees
//! whether they did. A script says what goes wrong.

mod connection;
mod reply;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use connection::serve;

/// What goes wrong with one completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The connection ends before the answer's head.
    Reset,
    /// A status of failure.
    Status(u16),
    /// Events that are no JSON.
    Garbage,
    /// The answer says that it comes from another model.
    OtherModel,
    /// The connection ends after so many tokens.
    ResetAfter(usize),
    /// After so many tokens nothing comes until the client hangs up.
    SilentAfter(usize),
}

/// What the server is like.
#[derive(Debug, Clone, Default)]
pub struct UpstreamScript {
    /// The adapters that it was started with, for llama.cpp's list.
    pub started_with: Vec<&'static str>,
    /// Whether adapters change nothing, as where their tensors are not known.
    pub ineffective: bool,
    /// In how many of a hundred completions something goes wrong, chosen by a fixed seed.
    pub trouble_percent: u64,
}

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What connections share.
#[derive(Debug)]
struct Shared {
    script: UpstreamScript,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    down: bool,
    connections: Vec<TcpStream>,
    troubles: VecDeque<Trouble>,
    /// Names under which adapters were loaded.
    loaded: Vec<String>,
    /// What was asked, in order.
    asked: Vec<Asked>,
    /// Completions that were given up by their client.
    hung_up: usize,
    /// The state of the generator that chooses troubles.
    chance: u64,
}

/// A request, for a test to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// Its body.
    pub body: serde_json::Value,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
}

impl ScriptedUpstream {
    /// Starts a server that does as `script` says.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn start(script: UpstreamScript) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Self::on(listener, script)
    }

    /// The same at an address, such as one where a server was before.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn start_at(address: SocketAddr, script: UpstreamScript) -> std::io::Result<Self> {
        Self::on(TcpListener::bind(address)?, script)
    }

    fn on(listener: TcpListener, script: UpstreamScript) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Mutex::new(State { chance: 1, ..State::default() });
        let shared = Arc::new(Shared { script, state, changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next completion goes wrong, or the one after those that will.
    pub fn trouble(&self, trouble: Trouble) {
        self.shared.state().troubles.push_back(trouble);
    }

    /// What was asked so far at `path`.
    #[must_use]
    pub fn asked(&self, path: &str) -> Vec<serde_json::Value> {
        let state = self.shared.state();
        let asked = state.asked.iter().filter(|asked| asked.path == path);
        asked.map(|asked| asked.body.clone()).collect()
    }

    /// The headers `name` of what was asked so far at `path`.
    #[must_use]
    pub fn headers(&self, path: &str, name: &str) -> Vec<Option<String>> {
        let state = self.shared.state();
        let asked = state.asked.iter().filter(|asked| asked.path == path);
        let value = |asked: &Asked| {
            let found = asked.headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        };
        asked.map(value).collect()
    }

    /// The names that are loaded.
    #[must_use]
    pub fn loaded(&self) -> Vec<String> {
        self.shared.state().loaded.clone()
    }

    /// It forgets what was loaded, as after a restart.
    pub fn forget(&self) {
        self.shared.state().loaded.clear();
    }

    /// Waits until so many completions were given up by their clients; whether that came about
    /// within `timeout`. It blocks the thread.
    #[must_use]
    pub fn wait_for_hang_ups(&self, count: usize, timeout: Duration) -> bool {
        let fewer = |state: &mut State| state.hung_up < count;
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), timeout, fewer);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.down = true;
        for connection in state.connections.drain(..) {
            // One that is closed already is as good.
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        drop(state);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with the next completion, if anything does.
    fn next_trouble(&self) -> Option<Trouble> {
        let mut state = self.state();
        if let Some(trouble) = state.troubles.pop_front() {
            return Some(trouble);
        }
        // A linear congruential generator (Knuth's MMIX).
        state.chance = state.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let drawn = state.chance >> 33;
        (drawn % 100 < self.script.trouble_percent).then_some(match drawn / 100 % 4 {
            0 => Trouble::Reset,
            1 => Trouble::Status(500),
            2 => Trouble::Garbage,
            _ => Trouble::Status(503),
        })
    }

    fn hung_up(&self) {
        self.state().hung_up += 1;
        self.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let mut state = shared.state();
        if state.down {
            return;
        }
        if let Ok(handle) = stream.try_clone() {
            state.connections.push(handle);
        }
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || serve(stream, &shared));
    }
}
