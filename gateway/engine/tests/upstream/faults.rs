//! What becomes of jobs when servers fail.

use std::net::TcpListener;
use std::time::Duration;

use gateway_engine::scripted::upstream::{ScriptedUpstream, Trouble, UpstreamScript};
use gateway_engine::{Engine as _, EngineError, Job, TraceContext, UpstreamStatus};

use crate::house::{House, LONG, Plan, job};

fn pair() -> House {
    House::open(&Plan { scripts: vec![UpstreamScript::default(); 2], ..Plan::default() })
}

fn statuses(house: &House) -> Vec<UpstreamStatus> {
    house.engine.status().upstreams
}

fn faults(house: &House) -> Vec<(&'static str, u64)> {
    statuses(house).into_iter().flat_map(|status| status.faults).collect()
}

#[tokio::test]
async fn a_fault_before_the_first_token_is_not_seen() {
    for (trouble, word) in [
        (Trouble::Reset, "lost"),
        (Trouble::Status(500), "failed"),
        (Trouble::Status(503), "overloaded"),
        (Trouble::Status(429), "overloaded"),
        (Trouble::Garbage, "garbage"),
        (Trouble::OtherModel, "displaced"),
        (Trouble::ResetAfter(0), "lost"),
    ] {
        let house = House::open(&Plan::default());
        house.servers[0].trouble(trouble.clone());
        let answer = house.ask(&[]).await;
        assert_eq!(answer.expect("answered").text, "hgfedcba", "{trouble:?}");
        assert_eq!(faults(&house), [(word, 1)], "{trouble:?}");
    }
}

#[tokio::test]
async fn every_attempt_is_told_the_trace_and_nothing_else_is() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::Status(500));
    let trace = TraceContext::parse(PARENT).map(|trace| trace.with_state(["a=1"]));
    house.answer(Job { trace, ..job(house.vector(&[("one", 1.0)])) }).await.expect("answered");
    let told = |path, name| house.servers[0].headers(path, name);
    let asked = told("/v1/completions", "traceparent");
    // What tries an adapter out is nobody's request.
    let of_the_job: Vec<_> = asked.iter().flatten().collect();
    assert_eq!(of_the_job, [PARENT, PARENT], "{asked:?}");
    let states: Vec<_> = told("/v1/completions", "tracestate").into_iter().flatten().collect();
    assert_eq!(states, ["a=1", "a=1"]);
    assert_eq!(told("/v1/load_lora_adapter", "traceparent"), [None]);
    house.ask(&[]).await.expect("answered");
    assert_eq!(told("/v1/completions", "traceparent").last(), Some(&None));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_passed_over() {
    let here = ScriptedUpstream::start(UpstreamScript::default()).expect("a port");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let urls = [format!("http://{gone}"), here.url()];
    let house = House::before(vec![here], &urls, &Plan::default());
    for _ in 0..8 {
        assert_eq!(house.ask(&[]).await.expect("answered").text, "hgfedcba");
    }
    let [away, there] = statuses(&house).try_into().expect("two");
    assert_eq!((away.available, there.available), (false, true));
    assert_eq!(there.requests, 8);
}

#[tokio::test]
async fn nobody_there_is_said_so() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let house = House::before(Vec::new(), &[format!("http://{gone}")], &Plan::default());
    assert!(matches!(house.ask(&[]).await, Err(EngineError::Unavailable(_))));
}

#[tokio::test]
async fn a_server_that_dies_in_an_answer_fails_it_and_nothing_else() {
    let house = pair();
    for server in &house.servers {
        server.trouble(Trouble::ResetAfter(3));
    }
    let job = job(house.vector(&[("one", 1.0)]));
    let permit = std::sync::Arc::downgrade(&job.permit);
    let mut generation = house.engine.submit(job).expect("submits");
    for _ in 0..3 {
        generation.next().await.expect("a chunk").expect("a token");
    }
    let error = generation.next().await.expect("an error");
    assert!(matches!(error, Err(EngineError::Upstream(_))), "{error:?}");
    assert!(generation.next().await.is_none());
    assert_eq!(permit.strong_count(), 0, "the place is free");
    assert_eq!(house.catalogue.usage().leases, 0, "the adapter is free");
    // The other server has the same in store.
    let second = house.ask(&[]).await;
    let third = house.ask(&[]).await;
    assert!(second.is_ok() || third.is_ok());
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_everything() {
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::SilentAfter(1));
    let mut generation = house.engine.submit(job(house.vector(&[]))).expect("submits");
    generation.next().await.expect("a chunk").expect("a token");
    assert_eq!(house.engine.status().running, 1);
    drop(generation);
    assert!(house.servers[0].wait_for_hang_ups(1, LONG));
    while house.engine.status().running > 0 {
        tokio::task::yield_now().await;
    }
    let [status] = statuses(&house).try_into().expect("one");
    assert_eq!((status.outstanding, status.available), (0, true));
}

#[tokio::test]
async fn silence_before_the_first_token_is_not_seen() {
    let mut plan = Plan::default();
    plan.patience.first_token = Duration::from_millis(300);
    let house = House::open(&plan);
    house.servers[0].trouble(Trouble::SilentAfter(0));
    assert_eq!(house.ask(&[]).await.expect("answered").text, "hgfedcba");
    assert_eq!(faults(&house)[0].0, "timed_out");
}

#[tokio::test]
async fn silence_in_an_answer_fails_it() {
    let mut plan = Plan::default();
    plan.patience.idle = Duration::from_millis(50);
    let house = House::open(&plan);
    house.servers[0].trouble(Trouble::SilentAfter(2));
    assert!(matches!(house.ask(&[]).await, Err(EngineError::Upstream(_))));
    assert_eq!(faults(&house), [("timed_out", 1)]);
}

#[tokio::test]
async fn a_refused_request_is_not_sent_again() {
    let house = House::open(&Plan::default());
    house.servers[0].trouble(Trouble::Status(400));
    assert!(matches!(house.ask(&[]).await, Err(EngineError::Refused(_))));
    assert_eq!(house.servers[0].asked("/v1/completions").len(), 1);
}

#[tokio::test]
async fn at_five_percent_faults_no_job_fails() {
    let script = UpstreamScript { trouble_percent: 5, ..UpstreamScript::default() };
    let house = House::open(&Plan { scripts: vec![script; 3], ..Plan::default() });
    for round in 0..500 {
        let answer = house.ask(&[]).await;
        assert_eq!(answer.map(|a| a.text).as_deref(), Ok("hgfedcba"), "job {round}");
    }
    let count: u64 = faults(&house).iter().map(|(_, count)| count).sum();
    assert!((10..=60).contains(&count), "{count} faults of about 25");
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_left_alone_until_it_recovers() {
    let house = pair();
    for _ in 0..20 {
        house.servers[0].trouble(Trouble::Status(500));
    }
    for _ in 0..20 {
        house.ask(&[]).await.expect("answered");
    }
    let asked = house.servers[0].asked("/v1/completions").len();
    assert!(asked <= 5, "{asked} of 20 jobs went to a server that fails");
    assert!(!statuses(&house)[0].available);
}
