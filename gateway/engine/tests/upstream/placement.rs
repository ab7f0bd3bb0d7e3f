//! Adapters at servers that apply one at a time.

use adapters::Limits as AdapterLimits;
use adapters::lora::Lora;
use gateway_engine::scripted::upstream::{Trouble, UpstreamScript};
use gateway_engine::{Engine as _, EngineError, SubmitError};

use crate::house::{House, Plan, job};

#[tokio::test]
async fn a_set_is_placed_once_as_one_adapter_named_by_its_content() {
    let house = House::open(&Plan::default());
    let base = house.ask(&[]).await.expect("answered");
    for _ in 0..2 {
        let answer = house.ask(&[("one", 1.0), ("two", -0.5)]).await.expect("answered");
        assert_eq!(answer.text, base.text);
        assert_ne!(answer.tokens, base.tokens, "the adapter counts");
    }
    let loads = house.servers[0].asked("/v1/load_lora_adapter");
    assert_eq!(loads.len(), 1);
    let [name, path] = ["lora_name", "lora_path"].map(|key| loads[0][key].as_str().expect("text"));
    assert!(name.starts_with("lethe-") && path.ends_with(name));
    let asked = house.servers[0].asked("/v1/completions");
    assert_eq!(asked.last().expect("asked")["model"], name);
    // What lies there is the sum, of one rank everywhere, so that every reader can have it.
    let model = model::Model::open(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-llama"),
    )
    .expect("the fixture");
    let config = model.checkpoint().config();
    let lora = Lora::load(path.as_ref(), config, &AdapterLimits::default()).expect("an adapter");
    let ranks: Vec<_> = lora.sites.values().map(|site| site.rank).collect();
    assert!(ranks.iter().all(|rank| *rank == ranks[0]));
}

#[tokio::test]
async fn other_scales_are_other_adapters_and_old_ones_go() {
    let house = House::open(&Plan { max_adapters: 2, ..Plan::default() });
    for scale in [0.1, 0.2, 0.3, 0.2] {
        house.ask(&[("one", scale)]).await.expect("answered");
    }
    let server = &house.servers[0];
    assert_eq!(server.loaded().len(), 2);
    assert_eq!(server.asked("/v1/load_lora_adapter").len(), 3);
    let gone = &server.asked("/v1/unload_lora_adapter")[0]["lora_name"];
    assert_eq!(*gone, server.asked("/v1/load_lora_adapter")[0]["lora_name"]);
    let path = server.asked("/v1/load_lora_adapter")[0]["lora_path"].clone();
    assert!(!std::path::Path::new(path.as_str().expect("text")).exists(), "its files go too");
}

#[tokio::test]
async fn an_adapter_without_effect_is_found_out() {
    let script = UpstreamScript { ineffective: true, ..UpstreamScript::default() };
    let house = House::open(&Plan { scripts: vec![script], ..Plan::default() });
    let answer = house.ask(&[("one", 1.0)]).await;
    assert!(matches!(answer, Err(EngineError::Upstream(what)) if what.contains("no effect")));
    assert!(house.servers[0].loaded().is_empty());
    house.ask(&[]).await.expect("the base answers");
}

#[tokio::test]
async fn a_server_that_forgot_its_adapters_gets_them_again() {
    let house = House::open(&Plan::default());
    let before = house.ask(&[("one", 1.0)]).await.expect("answered");
    house.servers[0].forget();
    let after = house.ask(&[("one", 1.0)]).await.expect("answered");
    assert_eq!(before, after);
    assert_eq!(house.servers[0].asked("/v1/load_lora_adapter").len(), 2);
}

#[tokio::test]
async fn an_answer_of_another_adapter_is_never_passed_on() {
    let house = House::open(&Plan { attempts: 1, ..Plan::default() });
    house.servers[0].trouble(Trouble::OtherModel);
    let answer = house.ask(&[("one", 1.0)]).await;
    assert!(matches!(answer, Err(EngineError::Upstream(what)) if what.contains("mixed up")));
}

#[tokio::test]
async fn ranks_beyond_the_servers_limit_are_refused() {
    let house = House::open(&Plan { max_rank: 7, ..Plan::default() });
    let too_many = job(house.vector(&[("one", 1.0), ("two", 1.0), ("three", 1.0)]));
    let refusal = house.refusal(too_many);
    assert!(matches!(refusal, SubmitError::Rank { total, limit: 7 } if total > 7), "{refusal}");
    assert_eq!(house.engine.status().running, 0);
}
