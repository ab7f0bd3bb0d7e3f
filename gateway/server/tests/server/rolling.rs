//! Two gateways behind a client that follows `/readyz`, restarted one after the other under load.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use acceptance::gateway::{Process, is_ready, tiny_adapters, tiny_model};
use acceptance::http::{Ask, read};
use serde_json::json;

const CLIENTS: usize = 4;
/// From one look at `/readyz` to the next; the grace is many of these.
const LOOK: Duration = Duration::from_millis(10);

/// A balancer's list: each place with the addresses of the API and of probes.
type Places = Mutex<Vec<Option<(SocketAddr, SocketAddr)>>>;

fn start(home: &Path) -> Process {
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let paths = [text(tiny_model()), text(tiny_adapters()), text(home)];
    let [model, adapters, home] = &paths;
    let arguments = [
        ["--model", model],
        ["--adapters", adapters],
        ["--home", home],
        ["--engine-kv-bytes", "16777216"],
        ["--shutdown-grace-seconds", "0.5"],
    ];
    let program = Path::new(env!("CARGO_BIN_EXE_lethe-gateway"));
    Process::start(program, &arguments.concat()).expect("started")
}

/// Asks place after place; only a place that takes no connection, or says that it is not the one to
/// ask, is passed over for the next.
fn ask(ready: &Mutex<Vec<SocketAddr>>, turn: &AtomicUsize, stream: bool) -> Result<(), String> {
    let body = json!({"model": "tiny-llama", "max_tokens": 4, "stream": stream,
        "messages": [{"role": "user", "content": "hi"}]});
    let (body, path) = (body.to_string(), "/v1/chat/completions");
    let ask = Ask { method: "POST", path, secret: None, id: "rolling", body: &body };
    for _ in 0..3 {
        let servers = ready.lock().expect("no panic").clone();
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let Some(server) = servers.get(turn % servers.len().max(1)) else { continue };
        let Ok(connection) = ask.send(*server) else { continue };
        match read(connection) {
            Ok((200, _)) => return Ok(()),
            Ok((503, text)) if text.contains("shutting_down") => {}
            Ok((status, text)) => return Err(format!("{status}: {text}")),
            Err(error) => return Err(format!("{error:#}")),
        }
    }
    Err("nobody took it".to_owned())
}

#[test]
fn a_rolling_restart_fails_no_request() {
    let homes = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut gateways = homes.each_ref().map(|home| Some(start(home.path())));
    let at = |gateway: &Process| Some((gateway.address, gateway.ops_address));
    let places: Places = Mutex::new(gateways.iter().flatten().map(at).collect());
    let (ready, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let (turn, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let look = || {
        let places = places.lock().expect("no panic").clone();
        let found = places.into_iter().flatten().filter(|(_, ops)| is_ready(*ops));
        *ready.lock().expect("no panic") = found.map(|(address, _)| address).collect();
    };
    look();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                look();
                std::thread::park_timeout(LOOK);
            }
        });
        let clients = [0; CLIENTS].map(|_| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let number = answered.fetch_add(1, Ordering::Relaxed);
                    ask(&ready, &turn, number.is_multiple_of(2))?;
                }
                Ok::<_, String>(())
            })
        });
        for round in 0..4 {
            let index = round % 2;
            gateways[index].take().expect("running").stop().expect("a good end");
            let next = start(homes[index].path());
            places.lock().expect("no panic")[index] = at(&next);
            gateways[index] = Some(next);
            while ready.lock().expect("no panic").len() < 2 {
                std::thread::yield_now();
            }
        }
        over.store(true, Ordering::Relaxed);
        for client in clients {
            assert_eq!(client.join().expect("no panic"), Ok(()));
        }
    });
    assert!(answered.load(Ordering::Relaxed) > 4 * CLIENTS, "{answered:?}");
}
