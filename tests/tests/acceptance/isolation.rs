//! What one request does not do to another. Answers are compared with all log-probabilities.

use serde_json::{Value, json};

use crate::house::{House, chat};

fn with(adapters: Value) -> Value {
    json!({"adapters": adapters})
}

/// T1: SGLang still applied `a` after `[a, a]` (issue 4739). Measured: llama.cpp gives a request
/// without `lora` all adapters.
#[test]
fn a_request_without_adapters_is_the_base_whatever_ran_before() {
    let house = House::open();
    let base = house.choices(with(json!([])));
    assert_ne!(house.choices(with(json!(["one", "two"]))), base);
    assert_ne!(house.choices(with(json!(["one", "two"]))), base);
    assert_eq!(house.choices(json!({})), base);
    assert_eq!(house.choices(with(json!([{"name": "one", "scale": 0}]))), base);
}

/// T3: vLLM kept the old adapter's keys and values under a reloaded name (issue 42125).
#[test]
fn a_swapped_adapter_answers_like_a_cold_server() {
    let house = House::open();
    let before = house.choices(with(json!(["one"])));
    assert_eq!(house.load("one", "two").status, 200);
    let after = house.choices(with(json!(["one"])));
    assert_ne!(after, before);
    let cold = House::open();
    assert_eq!(cold.load("one", "two").status, 200);
    assert_eq!(after, cold.choices(with(json!(["one"]))));
    // The same content under another name is the same adapter.
    assert_eq!(after, cold.choices(with(json!(["two"]))));
}

/// T3 again: unload, then other content under the same name.
#[test]
fn a_name_that_comes_back_with_other_content_is_that_content() {
    let house = House::open();
    house.choices(with(json!(["one"])));
    house.unload("one");
    assert_eq!(house.load("one", "three").status, 200);
    let three = house.choices(with(json!(["three"])));
    assert_eq!(house.choices(with(json!(["one"]))), three);
}

/// T4: llama.cpp reused one adapter's prompt cache for another (issue 26207).
#[test]
fn different_vectors_never_share_a_cache() {
    let vectors = [
        json!([]),
        json!(["one"]),
        json!(["two"]),
        json!(["one", "two"]),
        json!([{"name": "one", "scale": 0.5}]),
        json!([{"name": "one", "scale": -1}]),
    ];
    let warm = House::open();
    let first: Vec<_> = vectors.iter().map(|vector| warm.choices(with(vector.clone()))).collect();
    assert!(warm.metric("lethe_prefix_cache_queries_tokens_total") > 0.0);
    for (vector, first) in vectors.iter().zip(&first) {
        assert_eq!(&warm.choices(with(vector.clone())), first, "warm: {vector}");
        assert_eq!(&House::open().choices(with(vector.clone())), first, "cold: {vector}");
    }
    // The second round was served from the cache.
    assert!(warm.metric("lethe_prefix_cache_hits_tokens_total") > 0.0);
}

/// T14: mistral.rs ignores the seed; others' answers depend on who else is in the batch.
#[test]
fn a_seed_repeats_in_any_company() {
    let house = House::open();
    let request = || {
        let fields = json!({"temperature": 1.5, "seed": 11, "n": 2, "adapters": ["three"]});
        house.choices(fields)
    };
    let alone = request();
    assert_ne!(alone[0]["message"], alone[1]["message"]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let house = &house;
            scope.spawn(move || {
                let adapters = [json!([]), json!(["one"]), json!(["two", "three"])];
                let adapters = &adapters[number % 3];
                let prompt = "x".repeat(10 * number);
                house.choices(json!({
                    "messages": [{"role": "user", "content": prompt}],
                    "adapters": adapters, "temperature": 1, "max_tokens": 64,
                }))
            });
        }
        for _ in 0..3 {
            assert_eq!(request(), alone);
        }
    });
}

/// Measured: a scale of 1e30 poisoned a slot of llama.cpp for its later users.
#[test]
fn an_absurd_scale_is_refused_and_hurts_nobody() {
    let house = House::open();
    let before = house.choices(with(json!(["one"])));
    let fields = with(json!([{"name": "one", "scale": 1e30}]));
    assert_eq!(house.post("/v1/chat/completions", chat(fields)).status, 400);
    assert_eq!(house.choices(with(json!(["one"]))), before);
}

#[test]
fn a_stream_has_the_tokens_of_the_whole_reply() {
    let house = House::open();
    let whole = house.choices(json!({"adapters": ["one"], "seed": 5, "temperature": 1}));
    let mut fields = json!({"adapters": ["one"], "seed": 5, "temperature": 1, "stream": true});
    fields["stream_options"] = json!({"include_usage": true});
    let chunks = house.post("/v1/chat/completions", chat(fields)).chunks();
    let pieces = chunks.iter().map(|chunk| &chunk["choices"][0]);
    let tokens: Vec<_> =
        pieces.filter_map(|piece| piece["logprobs"]["content"].as_array()).flatten().collect();
    assert_eq!(json!(tokens), whole[0]["logprobs"]["content"]);
}
