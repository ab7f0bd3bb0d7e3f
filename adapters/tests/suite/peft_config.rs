//! What PEFT's configuration may and may not say.

use adapters::lora::{PeftConfig, PeftConfigError};
use model::{Projection, Site};
use serde_json::{Value, json};

use crate::fixture::Draft;

const QUERY: Site = Site::new(0, Projection::Query);
const VALUE: Site = Site::new(1, Projection::Value);

fn parse(draft: &Draft) -> Result<PeftConfig, PeftConfigError> {
    PeftConfig::parse(&draft.config())
}

fn with(field: &str, value: Value) -> Result<PeftConfig, PeftConfigError> {
    parse(&Draft::new(0).set(field, value))
}

#[test]
fn what_peft_writes_by_default_is_accepted() {
    let defaults = json!({
        "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
        "auto_mapping": {"base_model_class": "X"}, "base_model_name_or_path": "any/model",
        "bias": "none", "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
        "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": true,
        "init_lora_weights": true, "kasa_config": null, "layer_replication": null,
        "layers_pattern": null, "layers_to_transform": null, "loftq_config": {},
        "lora_bias": false, "lora_dropout": 0.05, "lora_ga_config": null, "megatron_config": null,
        "megatron_core": "megatron.core", "modules_to_save": null, "monteclora_config": null,
        "peft_version": "0.21.2", "qalora_group_size": 16, "rank_pattern": {}, "revision": "main",
        "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null,
        "use_bdlora": null, "use_dora": false, "use_qalora": false, "use_rslora": false,
        "velora_config": null,
    });
    let mut draft = Draft::new(0);
    draft.config.extend(defaults.as_object().unwrap().clone());
    let config = parse(&draft).unwrap();
    assert_eq!((config.rank(QUERY).unwrap(), config.scaling(QUERY).unwrap()), (2, 2.0));
}

#[test]
fn features_that_change_the_mathematics_are_refused_by_name() {
    for (field, value) in [
        ("alora_invocation_tokens", json!([1, 2])),
        ("arrow_config", json!({"top_k": 3})),
        ("bias", json!("all")),
        ("bias", json!("lora_only")),
        ("corda_config", json!({"corda_method": "ipm"})),
        ("eva_config", json!({"rho": 2.0})),
        ("exclude_modules", json!(["q_proj"])),
        ("exclude_modules", json!("q_.*")),
        ("fan_in_fan_out", json!(true)),
        ("init_lora_weights", json!("pissa")),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("corda")),
        ("init_lora_weights", json!("loftq")),
        ("init_lora_weights", json!("eva")),
        ("kasa_config", json!({"beta": 1})),
        ("layer_replication", json!([[0, 1], [0, 2]])),
        ("layers_pattern", json!("layers")),
        ("layers_to_transform", json!([0])),
        ("layers_to_transform", json!(0)),
        ("loftq_config", json!({"loftq_bits": 4})),
        ("lora_bias", json!(true)),
        ("lora_ga_config", json!({"x": 1})),
        ("megatron_config", json!({"x": 1})),
        ("modules_to_save", json!(["lm_head"])),
        ("monteclora_config", json!({"x": 1})),
        ("target_parameters", json!(["experts.gate_up_proj"])),
        ("trainable_token_indices", json!([0])),
        ("use_bdlora", json!({"nblocks": 1})),
        ("use_dora", json!(true)),
        ("use_qalora", json!(true)),
        ("velora_config", json!({"x": 1})),
    ] {
        let error = with(field, value.clone()).unwrap_err();
        assert!(matches!(error, PeftConfigError::Unsupported(f) if f == field), "{field}: {value}");
        assert!(error.to_string().contains(field));
    }
}

#[test]
fn an_unknown_field_is_refused_only_if_it_is_set() {
    for value in [json!(null), json!(false), json!([]), json!({})] {
        assert!(with("future_switch", value).is_ok());
    }
    for value in [json!(true), json!(0), json!(""), json!([0]), json!({"x": null})] {
        let error = with("future_switch", value).unwrap_err();
        assert!(matches!(error, PeftConfigError::Unknown(f) if f == "future_switch"));
    }
}

#[test]
fn initialisations_that_leave_the_base_alone_are_accepted() {
    for value in [json!(true), json!(false), json!("gaussian"), json!("orthogonal"), json!(null)] {
        assert!(with("init_lora_weights", value).is_ok());
    }
}

#[test]
fn other_methods_than_lora_are_refused() {
    for kind in ["LOHA", "IA3", "lora", ""] {
        let error = with("peft_type", json!(kind)).unwrap_err();
        assert!(matches!(error, PeftConfigError::PeftType(k) if k == kind));
    }
    assert!(matches!(with("peft_type", json!(1)), Err(PeftConfigError::Value("peft_type"))));
}

#[test]
fn what_must_be_there_is_missed() {
    for field in ["peft_type", "r", "lora_alpha", "target_modules"] {
        let mut draft = Draft::new(0);
        draft.config.remove(field);
        assert!(matches!(parse(&draft), Err(PeftConfigError::Missing(f)) if f == field), "{field}");
    }
}

#[test]
fn wrong_types_and_ranges_are_refused() {
    for (field, value) in [
        ("r", json!(0)),
        ("r", json!(-1)),
        ("r", json!(2.5)),
        ("r", json!("2")),
        ("lora_alpha", json!("4")),
        ("lora_alpha", json!(null)),
        ("use_rslora", json!("yes")),
        ("target_modules", json!([])),
        ("target_modules", json!({})),
        ("target_modules", json!([1])),
        ("rank_pattern", json!([])),
        ("rank_pattern", json!({"q_proj": 0})),
        ("alpha_pattern", json!({"q_proj": "x"})),
    ] {
        let error = with(field, value.clone()).unwrap_err();
        assert!(
            matches!(error, PeftConfigError::Value(f) if f == field),
            "{field} {value}: {error}"
        );
    }
}

#[test]
fn text_that_is_not_one_json_object_is_refused() {
    for json in ["", "[]", "{\"r\": 1", "{\"r\": 1, \"r\": 2}", "{} {}", "{\"r\": 1e999}"] {
        let error = PeftConfig::parse(json.as_bytes()).unwrap_err();
        assert!(matches!(error, PeftConfigError::Json(_)), "{json}: {error}");
    }
}

#[test]
fn targets_outside_the_linear_layers_are_refused() {
    for target in ["lm_head", "embed_tokens", "c_attn", ".*_proj", "q_proj|v_proj", ""] {
        for value in [json!(target), json!(["q_proj", target])] {
            let error = with("target_modules", value).unwrap_err();
            assert!(matches!(error, PeftConfigError::Target(t) if t == target), "{target}");
        }
    }
}

#[test]
fn targets_match_whole_names_at_the_end_of_a_path() {
    let targets = |value, site| with("target_modules", value).unwrap().targets(site);
    assert!(targets(json!(["q_proj"]), QUERY));
    assert!(!targets(json!(["q_proj"]), VALUE));
    assert!(targets(json!(["self_attn.q_proj"]), QUERY));
    assert!(!targets(json!(["mlp.q_proj"]), QUERY));
    assert!(!targets(json!(["n.q_proj"]), QUERY));
    assert!(targets(json!(["model.layers.0.self_attn.q_proj"]), QUERY));
    assert!(!targets(json!(["model.layers.1.self_attn.q_proj"]), QUERY));
    assert!(targets(json!("all-linear"), QUERY) && targets(json!("all-linear"), VALUE));
}

#[test]
fn scaling_is_alpha_over_rank_or_over_its_root() {
    let plain = parse(&Draft::new(0).set("r", json!(16)).set("lora_alpha", json!(8))).unwrap();
    assert_eq!(plain.scaling(QUERY).unwrap(), 0.5);
    let draft = Draft::new(0).set("r", json!(16)).set("lora_alpha", json!(8.0));
    let stabilised = parse(&draft.set("use_rslora", json!(true))).unwrap();
    assert_eq!(stabilised.scaling(QUERY).unwrap(), 2.0);
}

#[test]
fn a_scaling_that_is_not_finite_is_refused() {
    let config = with("lora_alpha", json!(1e300)).unwrap();
    assert!(matches!(config.scaling(QUERY), Err(PeftConfigError::Scaling(QUERY))));
}

#[test]
fn patterns_give_modules_their_own_rank_and_alpha() {
    let draft = Draft::new(0)
        .set("rank_pattern", json!({"q_proj": 8, "^model.layers.1.self_attn.v_proj": 4}))
        .set("alpha_pattern", json!({"layers.0.self_attn.q_proj": 2}));
    let config = parse(&draft).unwrap();
    assert_eq!((config.rank(QUERY).unwrap(), config.scaling(QUERY).unwrap()), (8, 0.25));
    assert_eq!((config.rank(VALUE).unwrap(), config.scaling(VALUE).unwrap()), (4, 1.0));
    let other = Site::new(0, Projection::Value);
    assert_eq!((config.rank(other).unwrap(), config.scaling(other).unwrap()), (2, 2.0));
}

#[test]
fn patterns_with_the_syntax_of_regular_expressions_are_refused() {
    for pattern in [".*q_proj", "(q|v)_proj", "q_proj$", "layers\\.0", "[qv]_proj"] {
        let error = with("rank_pattern", json!({pattern: 4})).unwrap_err();
        assert!(matches!(error, PeftConfigError::Pattern { field: "rank_pattern", .. }));
    }
}

#[test]
fn patterns_that_disagree_are_refused() {
    let config = with("rank_pattern", json!({"q_proj": 4, "self_attn.q_proj": 8})).unwrap();
    let error = config.rank(QUERY).unwrap_err();
    assert!(matches!(error, PeftConfigError::Ambiguous { site: QUERY, .. }));
    let config = with("rank_pattern", json!({"q_proj": 4, "self_attn.q_proj": 4})).unwrap();
    assert_eq!(config.rank(QUERY).unwrap(), 4);
}
