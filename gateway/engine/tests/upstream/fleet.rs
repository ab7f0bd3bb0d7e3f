//! Which server gets a job.

use gateway_engine::scripted::upstream::{ScriptedUpstream, Trouble, UpstreamScript};
use gateway_engine::{Engine as _, Job, Priority};

use crate::house::{House, LONG, Plan, job};

fn asked(server: &ScriptedUpstream) -> usize {
    let streamed = |body: &&serde_json::Value| body.get("stream").is_some();
    server.asked("/v1/completions").iter().filter(streamed).count()
}

#[tokio::test]
async fn the_least_loaded_server_gets_the_job() {
    let house =
        House::open(&Plan { scripts: vec![UpstreamScript::default(); 3], ..Plan::default() });
    let mut running = Vec::new();
    for server in &house.servers {
        (0..2).for_each(|_| server.trouble(Trouble::SilentAfter(1)));
    }
    for _ in 0..6 {
        let mut generation = house.engine.submit(job(house.vector(&[]))).expect("submits");
        generation.next().await.expect("a chunk").expect("a token");
        running.push(generation);
    }
    let loads: Vec<_> = house.servers.iter().map(asked).collect();
    assert_eq!(loads, [2, 2, 2]);
}

#[tokio::test]
async fn weights_share_the_load() {
    let start = || ScriptedUpstream::start(UpstreamScript::default()).expect("a port");
    let servers = vec![start(), start()];
    let urls = [format!("{}=3", servers[0].url()), servers[1].url()];
    let house = House::before(servers, &urls, &Plan::default());
    let mut running = Vec::new();
    for server in &house.servers {
        (0..8).for_each(|_| server.trouble(Trouble::SilentAfter(1)));
    }
    for _ in 0..8 {
        let mut generation = house.engine.submit(job(house.vector(&[]))).expect("submits");
        generation.next().await.expect("a chunk").expect("a token");
        running.push(generation);
    }
    assert_eq!([asked(&house.servers[0]), asked(&house.servers[1])], [6, 2]);
}

#[tokio::test]
async fn a_job_goes_where_its_adapters_are() {
    let house =
        House::open(&Plan { scripts: vec![UpstreamScript::default(); 3], ..Plan::default() });
    for _ in 0..9 {
        house.ask(&[("one", 0.5)]).await.expect("answered");
        house.ask(&[("two", 0.5)]).await.expect("answered");
    }
    let placed: usize = house.servers.iter().map(|server| server.loaded().len()).sum();
    assert_eq!(placed, 2, "each is placed once");
}

#[tokio::test]
async fn background_jobs_wait_for_the_others() {
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::SilentAfter(1));
    let mut foreground = house.engine.submit(job(house.vector(&[]))).expect("submits");
    foreground.next().await.expect("a chunk").expect("a token");
    let waiting = Job { priority: Priority::Background, ..job(house.vector(&[])) };
    let mut background = Box::pin(house.answer(waiting));
    assert!(futures_util::poll!(background.as_mut()).is_pending());
    let status = house.engine.status();
    assert_eq!((status.running, status.waiting, status.background), (1, 0, 1));
    assert_eq!(asked(&house.servers[0]), 1);
    drop(foreground);
    assert!(house.servers[0].wait_for_hang_ups(1, LONG));
    assert_eq!(background.await.expect("answered").text, "hgfedcba");
}
