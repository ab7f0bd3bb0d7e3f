//! A row's tokens and log-probabilities are the same bits whatever happens around it.

use gateway_engine::{Companion, Engine, Job, LocalSettings, Logprobs, Priority, Sampling};

use crate::house::{Answer, answer, answers, catalogue, engine, job, prompt, small, vector};

/// Jobs of mixed lengths and adapters, and one answer each from an engine of its own.
async fn mixed() -> (Vec<Answer>, impl Fn() -> Vec<Job>) {
    let catalogue = catalogue();
    let sets = [
        vector(&catalogue, &[]),
        vector(&catalogue, &[("one", 1.0)]),
        vector(&catalogue, &[("one", 1.0), ("two", 0.5), ("three", -0.75)]),
        vector(&catalogue, &[("two", -1.0)]),
        vector(&catalogue, &[]),
    ];
    let jobs = move || -> Vec<Job> {
        let lengths = [5, 70, 33, 16, 47];
        sets.iter()
            .zip(lengths)
            .enumerate()
            .map(|(i, (set, n))| job(prompt(n, i), set.clone()))
            .collect()
    };
    let mut alone = Vec::new();
    for job in jobs() {
        alone.push(answer(&engine(&small()), job).await);
    }
    (alone, jobs)
}

#[tokio::test]
async fn company_chunking_and_threads_never_change_an_answer() {
    let (alone, jobs) = mixed().await;
    for (threads, step, shared) in [(2, 256, 64), (1, 7, 3), (3, 16, 16)] {
        let settings =
            LocalSettings { threads, step_tokens: step, shared_step_tokens: shared, ..small() };
        let engine = engine(&settings);
        for (together, alone) in answers(&engine, jobs()).await.iter().zip(&alone) {
            assert_eq!(together.content(), alone.content());
        }
    }
}

#[tokio::test]
async fn a_warm_cache_never_changes_an_answer() {
    let (alone, jobs) = mixed().await;
    let engine = engine(&small());
    for round in 0..3 {
        for (i, (again, alone)) in answers(&engine, jobs()).await.iter().zip(&alone).enumerate() {
            assert_eq!(again.content(), alone.content());
            let cached = again.end().cached_tokens;
            // All but the last token of 5, 70, 33, 16 and 47: with twelve drawn ones their blocks are
            // full, and the last block is copied as far as it is alike.
            let want = if round == 0 { 0 } else { [4, 69, 32, 15, 46][i] };
            assert_eq!(cached, want, "job {i} in round {round}");
        }
    }
}

#[tokio::test]
async fn preemption_never_changes_an_answer() {
    let (alone, jobs) = mixed().await;
    // Room for about nine blocks: the jobs need nineteen together.
    let block = 2 * 2 * 16 * 16 * 2 * 2;
    let engine = engine(&LocalSettings { kv_bytes: 9 * block, ..small() });
    let longer = |mut job: Job| {
        job.limits.max_tokens = 60;
        job
    };
    let jobs_now: Vec<Job> = jobs().into_iter().map(longer).collect();
    for (together, alone) in answers(&engine, jobs_now).await.iter().zip(&alone) {
        assert_eq!(together.tokens[..12], alone.tokens[..]);
    }
    assert!(engine.status().preemptions > 0, "{:?}", engine.status());
}

/// T1 of the peers' defects: an adapter sticks to the rows after it (SGLang #4739).
#[tokio::test]
async fn t1_rows_after_an_adapter_are_the_base_again() {
    let catalogue = catalogue();
    let (one, none) = (vector(&catalogue, &[("one", 2.0)]), vector(&catalogue, &[]));
    let base = answer(&engine(&small()), job(prompt(20, 0), none.clone())).await;
    let engine = engine(&small());
    let pair = |set| {
        vec![job(prompt(20, 0), set), job(prompt(20, 0), vector(&catalogue, &[("one", 2.0)]))]
    };
    let with = answers(&engine, pair(one)).await;
    assert_ne!(with[0].content(), base.content());
    for after in
        answers(&engine, vec![job(prompt(20, 0), none.clone()), job(prompt(20, 0), none)]).await
    {
        assert_eq!(after.content(), base.content());
    }
}

/// T4: different adapter vectors never share cached keys and values (llama.cpp #26207).
#[tokio::test]
async fn t4_different_vectors_never_share_a_prefix() {
    let catalogue = catalogue();
    let sets: [&[(&str, f32)]; 4] =
        [&[], &[("one", 1.0)], &[("one", 0.5)], &[("one", 1.0), ("two", 1.0)]];
    let shared = engine(&small());
    for set in sets {
        let fresh = answer(&engine(&small()), job(prompt(64, 3), vector(&catalogue, set))).await;
        let after_others = answer(&shared, job(prompt(64, 3), vector(&catalogue, set))).await;
        assert_eq!(after_others.content(), fresh.content(), "{set:?}");
        assert_eq!(after_others.end().cached_tokens, 0, "{set:?}");
    }
}

/// T14: the seed repeats, in any company (mistral.rs ignores it).
#[tokio::test]
async fn t14_the_same_seed_gives_the_same_text_and_another_another() {
    let engine = engine(&small());
    let seeded = |seed| {
        let mut job = job(prompt(20, 1), vector(&catalogue(), &[]));
        job.sampling = Sampling { seed, temperature: 1.5, ..Sampling::default() };
        job
    };
    let got = answers(&engine, vec![seeded(1), seeded(2), seeded(1)]).await;
    assert_eq!(got[0].content(), got[2].content());
    assert_ne!(got[0].content(), got[1].content());
}

#[tokio::test]
async fn jobs_with_a_common_prompt_compute_it_once() {
    let engine = engine(&small());
    let none = || vector(&catalogue(), &[]);
    let jobs = (0..4).map(|_| job(prompt(80, 5), none())).collect();
    let cached: Vec<usize> =
        answers(&engine, jobs).await.iter().map(|a| a.end().cached_tokens).collect();
    assert_eq!(cached, [0, 79, 79, 79]);
}

#[tokio::test]
async fn prompt_scores_do_not_depend_on_chunks_or_cache() {
    let scored = |top| {
        let mut job = job(prompt(50, 2), vector(&catalogue(), &[("two", 1.0)]));
        job.limits.max_tokens = 0;
        job.logprobs = Logprobs { generated: None, prompt: Some(top) };
        job
    };
    let whole = engine(&small());
    let want = answer(&whole, scored(2)).await;
    let scores = want.prompt.as_ref().expect("asked for");
    assert_eq!((scores.len(), scores[0].logprob, want.tokens.len()), (50, None, 0));
    assert!(scores[1..].iter().all(|s| s.logprob.is_some_and(|l| l <= 0.0) && s.top.len() == 2));
    assert_eq!(answer(&whole, scored(2)).await.prompt, want.prompt);
    let chunked = engine(&LocalSettings { step_tokens: 7, ..small() });
    assert_eq!(answer(&chunked, scored(2)).await.prompt, want.prompt);
}

#[tokio::test]
async fn companions_go_along_and_do_not_change_the_row() {
    let catalogue = catalogue();
    let none = vector(&catalogue, &[]);
    let engine = engine(&LocalSettings { step_tokens: 16, ..small() });
    let alone = answer(&engine, job(prompt(40, 1), none.clone())).await;
    let mut accompanied = job(prompt(40, 1), none);
    accompanied.companions = vec![
        Companion { prompt: prompt(40, 1), adapters: vector(&catalogue, &[("one", 1.0)]) },
        Companion { prompt: prompt(90, 2), adapters: vector(&catalogue, &[]) },
    ];
    assert_eq!(answer(&engine, accompanied).await.content(), alone.content());
}

#[tokio::test]
async fn background_jobs_never_change_an_answer_and_get_their_own() {
    let (alone, jobs) = mixed().await;
    let background = || jobs().into_iter().map(|job| Job { priority: Priority::Background, ..job });
    // Eight blocks, room for little more than the longest, so that background jobs lose theirs.
    let settings = LocalSettings { kv_bytes: 8 * 4096, ..small() };
    for settings in [small(), settings] {
        let engine = engine(&settings);
        let all = background().chain(jobs()).chain(background()).collect();
        for (together, alone) in answers(&engine, all).await.iter().zip(alone.iter().cycle()) {
            assert_eq!(together.content(), alone.content());
        }
    }
}
