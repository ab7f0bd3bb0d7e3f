use gateway_wire::{
    CategoryScore, ChatModeration, ChatRequest, CompletionRequest, ModerationItem, ModerationMode,
    ModerationParam, ModerationReply, ModerationRequest, ModerationResult, RequestError,
    STANDARD_CATEGORIES, Verdict,
};
use serde_json::{Value, json};

const SCORES: [CategoryScore; 3] = [
    CategoryScore { name: "hate", score: Some(0.75), flagged: true },
    CategoryScore { name: "bias/gender", score: Some(0.25), flagged: false },
    CategoryScore { name: "bias/race", score: None, flagged: false },
];

fn asked(moderation: Value) -> Result<Option<ModerationParam>, RequestError> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "prompt": "x", "moderation": moderation});
    let body = body.to_string();
    let chat = ChatRequest::parse(body.as_bytes()).map(|request| request.moderation);
    let completion = CompletionRequest::parse(body.as_bytes()).map(|request| request.moderation);
    assert_eq!(chat, completion, "both read it alike");
    chat
}

fn inputs(fields: Value) -> Result<ModerationRequest, RequestError> {
    ModerationRequest::parse(fields.to_string().as_bytes())
}

#[test]
fn who_asks_for_moderation_without_a_policy_asks_for_scores() {
    let modes = |moderation| {
        let param = asked(moderation).expect("good").expect("asked");
        assert_eq!(param.model, "s");
        (param.input, param.output)
    };
    use ModerationMode::{Block, Score};
    assert_eq!(modes(json!({"model": "s"})), (Score, Score));
    assert_eq!(modes(json!({"model": "s", "policy": null})), (Score, Score));
    let policy = json!({"input": {"mode": "block"}, "output": null});
    assert_eq!(modes(json!({"model": "s", "policy": policy})), (Block, Score));
    let policy = json!({"output": {"mode": "block"}});
    assert_eq!(modes(json!({"model": "s", "policy": policy})), (Score, Block));
    assert_eq!(asked(Value::Null), Ok(None));
}

#[test]
fn a_policy_that_is_not_understood_is_refused_by_name() {
    for (moderation, param) in [
        (json!({}), "moderation.model"),
        (json!("block"), "moderation"),
        (json!({"model": "s", "mode": "block"}), "moderation"),
        (json!({"model": "s", "policy": {"inputs": {}}}), "moderation.policy"),
        (json!({"model": "s", "policy": {"input": {}}}), "moderation.policy.input.mode"),
        (
            json!({"model": "s", "policy": {"input": {"mode": "off"}}}),
            "moderation.policy.input.mode",
        ),
        (
            json!({"model": "s", "policy": {"output": {"mode": "block", "x": 1}}}),
            "moderation.policy.output",
        ),
    ] {
        let error = asked(moderation).expect_err(param);
        assert_eq!(error.param.as_deref(), Some(param));
    }
}

#[test]
fn inputs_are_a_text_several_or_the_parts_of_one() {
    let texts = |input: Value| inputs(json!({"input": input})).map(|request| request.inputs);
    assert_eq!(texts(json!("a")), Ok(vec!["a".to_owned()]));
    assert_eq!(texts(json!(["a", ""])), Ok(vec!["a".to_owned(), String::new()]));
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    assert_eq!(texts(parts), Ok(vec!["a\nb".to_owned()]));
    let request = inputs(json!({"input": "a", "model": "s", "x": 1})).expect("good");
    assert_eq!((request.model.as_deref(), request.ignored), (Some("s"), vec!["other"]));
}

#[test]
fn an_image_and_what_is_no_input_are_refused_by_name() {
    let image = json!({"type": "image_url", "image_url": {"url": "https://example.org/x.png"}});
    for (fields, param, code) in [
        (json!({}), "input", "missing_required_parameter"),
        (json!({"input": 1}), "input", "invalid_type"),
        (json!({"input": []}), "input", "invalid_value"),
        (json!({"input": ["a", 1]}), "input[1]", "invalid_type"),
        (json!({"input": ["a", {"type": "text", "text": "b"}]}), "input[1]", "invalid_type"),
        (json!({"input": [{"type": "text"}]}), "input[0].text", "missing_required_parameter"),
        (json!({"input": [{"type": "video"}]}), "input[0].type", "invalid_value"),
        (json!({"input": [image]}), "input[0].type", "unsupported_parameter"),
        (json!({"input": vec!["a"; 2_049]}), "input", "invalid_value"),
        (json!({"input": "a", "model": 1}), "model", "invalid_type"),
    ] {
        let error = inputs(fields).expect_err(param);
        assert_eq!((error.param.as_deref(), error.code()), (Some(param), code));
    }
}

#[test]
fn a_reply_has_the_standard_categories_and_says_which_were_scored() {
    let verdict = Verdict::with_standard(SCORES);
    let reply = ModerationReply { id: "modr-1".to_owned(), model: "s", results: vec![verdict] };
    let reply = serde_json::to_value(reply).expect("JSON");
    assert_eq!((&reply["id"], &reply["model"]), (&json!("modr-1"), &json!("s")));
    let result = &reply["results"][0];
    assert_eq!(result["flagged"], true);
    for map in ["categories", "category_scores", "category_applied_input_types"] {
        let mut keys: Vec<_> = result[map].as_object().expect("a map").keys().collect();
        keys.sort_unstable();
        let mut wanted: Vec<_> = STANDARD_CATEGORIES.into_iter().chain(["bias/gender"]).collect();
        wanted.sort_unstable();
        assert_eq!(keys, wanted, "bias/race is not known, and not OpenAI's");
    }
    let of = |name: &str| {
        let maps = ["categories", "category_scores", "category_applied_input_types"];
        maps.map(|map| result[map][name].clone())
    };
    assert_eq!(of("hate"), [json!(true), json!(0.75), json!(["text"])]);
    assert_eq!(of("bias/gender"), [json!(false), json!(0.25), json!(["text"])]);
    assert_eq!(of("sexual"), [json!(false), json!(0.0), json!([])]);
}

#[test]
fn a_completion_is_told_known_categories_or_why_there_are_none() {
    let result = ModerationResult { model: "s".to_owned(), verdict: Verdict::of_known(SCORES) };
    let moderation = ChatModeration {
        input: ModerationItem::ModerationResults { model: "s".to_owned(), results: vec![result] },
        output: ModerationItem::Error { code: "overloaded", message: "too much to score" },
    };
    assert_eq!(
        serde_json::to_value(moderation).expect("JSON"),
        json!({
            "input": {"type": "moderation_results", "model": "s", "results": [{
                "type": "moderation_result", "model": "s", "flagged": true,
                "categories": {"hate": true, "bias/gender": false},
                "category_scores": {"hate": 0.75, "bias/gender": 0.25},
                "category_applied_input_types": {"hate": ["text"], "bias/gender": ["text"]},
            }]},
            "output": {"type": "error", "code": "overloaded", "message": "too much to score"},
        })
    );
}
