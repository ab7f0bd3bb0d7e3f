//! Cancellation, deadlines, slow readers, fairness and the end of the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_engine::{
    Admission, Engine, EngineError, Health, LocalEngine, LocalSettings, SubmitError,
};

use crate::house::{answer, catalogue, collect, engine, job, prompt, small, vector};

/// Waits until the engine's status satisfies `wanted`.
async fn until(engine: &LocalEngine, wanted: impl Fn(&gateway_engine::Status) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !wanted(&engine.status()) {
        assert!(Instant::now() < deadline, "{:?}", engine.status());
        tokio::task::yield_now().await;
    }
}

/// A job that would run for thousands of tokens.
fn endless(salt: usize) -> gateway_engine::Job {
    let mut job = job(prompt(20, salt), vector(&catalogue(), &[("one", 1.0)]));
    job.limits.max_tokens = 100_000;
    job
}

#[tokio::test]
async fn a_dropped_reader_frees_row_permit_and_lease() {
    let engine = engine(&LocalSettings { context_tokens: 2000, ..small() });
    let admission = Admission::new(1);
    let catalogue = catalogue();
    let mut job = endless(0);
    job.adapters = vector(&catalogue, &[("one", 1.0)]);
    job.permit = Arc::new(admission.admit().expect("free"));
    let mut generation = engine.submit(job).expect("submits");
    generation.next().await.expect("a chunk").expect("no error");
    assert_eq!((admission.admitted(), catalogue.usage().leases), (1, 1));
    drop(generation);
    until(&engine, |s| s.running == 0 && s.kv_blocks_used == 0).await;
    assert_eq!((admission.admitted(), catalogue.usage().leases), (0, 0));
}

#[tokio::test]
async fn a_reader_dropped_before_its_turn_frees_its_place() {
    let engine = engine(&LocalSettings { max_rows: 1, context_tokens: 2000, ..small() });
    let first = engine.submit(endless(0)).expect("submits");
    let second = engine.submit(endless(1)).expect("submits");
    until(&engine, |s| (s.running, s.waiting) == (1, 1)).await;
    drop(second);
    until(&engine, |s| (s.running, s.waiting) == (1, 0)).await;
    drop(first);
}

#[tokio::test]
async fn a_deadline_fails_a_row_that_runs_and_one_that_waits() {
    let engine = engine(&LocalSettings { max_rows: 1, context_tokens: 2000, ..small() });
    let (mut running, mut waiting) = (endless(0), endless(1));
    // The same for both: until it has come nobody reads the first, so that it cannot end before.
    let deadline = Instant::now() + Duration::from_millis(30);
    (running.deadline, waiting.deadline) = (deadline, deadline);
    let (running, waiting) =
        (engine.submit(running).expect("submits"), engine.submit(waiting).expect("submits"));
    assert_eq!(collect(waiting).await.err(), Some(EngineError::Deadline));
    assert_eq!(collect(running).await.err(), Some(EngineError::Deadline));
}

#[tokio::test]
async fn a_slow_reader_pauses_its_own_row_and_no_other() {
    let engine = engine(&LocalSettings { context_tokens: 2000, ..small() });
    let mut slow_job = endless(0);
    slow_job.limits.max_tokens = 300;
    let slow = engine.submit(slow_job).expect("submits");
    // Nobody reads the first, and the second still gets all of its tokens.
    let mut other = job(prompt(20, 3), vector(&catalogue(), &[]));
    other.limits.max_tokens = 200;
    assert_eq!(answer(&engine, other).await.tokens.len(), 200);
    until(&engine, |s| s.running == 1).await;
    assert_eq!(collect(slow).await.expect("generates").tokens.len(), 300);
}

#[tokio::test]
async fn a_long_prompt_does_not_stall_a_running_stream() {
    let settings = LocalSettings { shared_step_tokens: 8, context_tokens: 2000, ..small() };
    let engine = engine(&settings);
    let mut stream = engine.submit(endless(0)).expect("submits");
    stream.next().await.expect("a chunk").expect("no error");
    let mut long = engine.submit(job(prompt(400, 1), vector(&catalogue(), &[]))).expect("submits");
    let mut between = 0;
    loop {
        tokio::select! {
            biased;
            first = long.next() => {
                first.expect("a chunk").expect("no error");
                break;
            }
            next = stream.next() => {
                next.expect("a chunk").expect("no error");
                between += 1;
            }
        }
    }
    // 400 tokens by 8 a step are fifty steps, each with a token for the stream.
    assert!(between >= 30, "{between} tokens while the prompt was computed");
}

#[tokio::test]
async fn shutting_down_ends_streams_with_an_error_and_refuses_jobs() {
    let engine = engine(&LocalSettings { context_tokens: 2000, ..small() });
    let mut stream = engine.submit(endless(0)).expect("submits");
    stream.next().await.expect("a chunk").expect("no error");
    engine.shut_down();
    assert_eq!(collect(stream).await.err(), Some(EngineError::ShuttingDown));
    assert_eq!(engine.status().health, Health::ShutDown);
    assert_eq!(engine.submit(endless(1)).err(), Some(SubmitError::NotRunning));
}
