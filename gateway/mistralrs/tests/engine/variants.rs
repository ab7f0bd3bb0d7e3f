//! Models come and go with the adapters that are asked for.

use std::time::{Duration, Instant};

use adapters::Catalogue;
use gateway_engine::{Engine, EngineError, Job};
use gateway_mistralrs::{Base, MistralEngine, MistralSettings, StartError};
use model::ServedPrecision;

use crate::house::{Answer, House, answer, collect, job, prompt, tiny, tiny_adapters, vector};

/// Bytes of one variant of the tiny model, as the engine says when it gets fewer.
fn variant_bytes() -> u64 {
    let settings = MistralSettings {
        home: std::env::temp_dir(),
        variants_bytes: 1,
        context_tokens: usize::MAX,
        precision: ServedPrecision::F32,
    };
    match MistralEngine::start(Base::open(&tiny()).expect("opens"), &settings) {
        Err(StartError::BudgetTooSmall { given: 1, variant }) => variant,
        other => panic!("{other:?}"),
    }
}

fn with_room_for(variants: u64) -> House {
    House::start(&tiny(), ServedPrecision::F32, variants * variant_bytes())
}

fn asked(catalogue: &Catalogue, name: &str) -> Job {
    Job { adapters: vector(catalogue, &[(name, 1.0)]), ..job(prompt(9, 4)) }
}

async fn ask(house: &House, catalogue: &Catalogue, name: &str) -> Answer {
    answer(&house.engine, asked(catalogue, name)).await
}

#[tokio::test]
async fn a_variant_that_was_given_up_is_built_again_and_says_the_same() {
    let (house, catalogue) = (with_room_for(1), tiny_adapters());
    let base = answer(&house.engine, job(prompt(9, 4))).await;
    let one = ask(&house, &catalogue, "one").await;
    let two = ask(&house, &catalogue, "two").await;
    assert!(one != two && one != base);
    assert_eq!(ask(&house, &catalogue, "one").await, one);
    assert_eq!((house.engine.variants(), house.scratch()), (1, 0));
    assert_eq!(answer(&house.engine, job(prompt(9, 4))).await, base);
}

#[tokio::test]
async fn jobs_with_more_sets_than_there_is_room_for_wait_for_each_other() {
    let (house, catalogue) = (with_room_for(1), tiny_adapters());
    let alone = ask(&house, &catalogue, "two").await;
    let names = ["one", "two", "three", "two"];
    let jobs = names.map(|name| house.engine.submit(asked(&catalogue, name)).expect("submits"));
    let answers = futures_util::future::join_all(jobs.map(collect)).await;
    let answers: Vec<Answer> = answers.into_iter().map(|a| a.expect("generates")).collect();
    assert_eq!((&answers[1], &answers[3]), (&alone, &alone));
    assert_eq!(house.engine.variants(), 1);
}

#[tokio::test]
async fn a_job_that_waits_for_a_leased_place_ends_at_its_deadline() {
    let (house, catalogue) = (with_room_for(1), tiny_adapters());
    let mut long = asked(&catalogue, "one");
    long.limits.max_tokens = house.engine.model().context_tokens;
    let mut running = house.engine.submit(long).expect("submits");
    running.next().await.expect("a chunk").expect("a token");
    let mut waiting = asked(&catalogue, "two");
    waiting.deadline = Instant::now() + Duration::from_millis(20);
    let waiting = house.engine.submit(waiting).expect("submits");
    let status = house.engine.status();
    assert_eq!(
        (status.running_adapters, status.waiting_adapters),
        (vec!["one".into()], vec!["two".into()])
    );
    assert_eq!(collect(waiting).await.err(), Some(EngineError::Deadline));
    drop(running);
}

#[tokio::test]
async fn a_build_that_fails_says_so_and_leaves_nothing() {
    let (house, catalogue) = (with_room_for(1), tiny_adapters());
    let scratch = house.home.path().join("scratch");
    std::fs::remove_dir(&scratch).expect("empty");
    let failed = collect(house.engine.submit(asked(&catalogue, "one")).expect("submits")).await;
    let words = "the model with these adapters cannot be built";
    assert_eq!(failed.err(), Some(EngineError::Internal(words.into())));
    assert_eq!(house.engine.variants(), 0);
    std::fs::create_dir(&scratch).expect("made");
    ask(&house, &catalogue, "one").await;
}
