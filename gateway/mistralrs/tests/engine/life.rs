//! How jobs end before their time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_engine::{Admission, Engine, EngineError, Health, Job, SubmitError};

use crate::house::{House, answer, collect, job, prompt};

/// A job as long as the context allows.
fn long(house: &House) -> Job {
    let mut long = job(prompt(9, 4));
    long.limits.max_tokens = house.engine.model().context_tokens;
    long
}

/// Waits until the engine has nothing to do.
async fn idle(house: &House) {
    let until = Instant::now() + Duration::from_secs(60);
    while house.engine.status().running + house.engine.status().waiting > 0 {
        assert!(Instant::now() < until, "{:?}", house.engine.status());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_reader_that_hangs_up_frees_place_and_permit() {
    let house = House::tiny();
    let admission = Admission::new(1);
    let mut asked = long(&house);
    asked.permit = Arc::new(admission.admit().expect("free"));
    let mut generation = house.engine.submit(asked).expect("submits");
    generation.next().await.expect("a chunk").expect("a token");
    assert_eq!(house.engine.status().running, 1);
    drop(generation);
    idle(&house).await;
    assert_eq!(admission.admitted(), 0);
    answer(&house.engine, job(prompt(9, 4))).await;
}

#[tokio::test]
async fn jobs_take_turns_and_company_changes_nothing() {
    let house = House::tiny();
    let alone = answer(&house.engine, job(prompt(9, 4))).await;
    let other = house.engine.submit(job(prompt(30, 2))).expect("submits");
    let again = house.engine.submit(job(prompt(9, 4))).expect("submits");
    let (other, again) = tokio::join!(collect(other), collect(again));
    assert_eq!(other.expect("generates").tokens.len(), 12);
    assert_eq!(again.expect("generates"), alone);
    idle(&house).await;
}

#[tokio::test]
async fn a_deadline_ends_jobs_that_wait_and_jobs_that_run() {
    let house = House::tiny();
    let soon = Instant::now() + Duration::from_millis(50);
    let (mut one, mut two) = (long(&house), long(&house));
    (one.deadline, two.deadline) = (soon, soon);
    let one = house.engine.submit(one).expect("submits");
    let two = house.engine.submit(two).expect("submits");
    let (one, two) = tokio::join!(collect(one), collect(two));
    assert_eq!((one.err(), two.err()), (Some(EngineError::Deadline), Some(EngineError::Deadline)));
    idle(&house).await;
}

#[tokio::test]
async fn a_shutdown_ends_everything() {
    let house = House::tiny();
    let mut running = house.engine.submit(long(&house)).expect("submits");
    running.next().await.expect("a chunk").expect("a token");
    let waiting = house.engine.submit(long(&house)).expect("submits");
    house.engine.shut_down();
    assert_eq!(collect(running).await.err(), Some(EngineError::ShuttingDown));
    assert_eq!(collect(waiting).await.err(), Some(EngineError::ShuttingDown));
    assert_eq!(house.engine.status().health, Health::ShutDown);
    assert_eq!(house.engine.submit(long(&house)).err(), Some(SubmitError::NotRunning));
}
