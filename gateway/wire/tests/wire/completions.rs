use gateway_wire::{CompletionRequest, Prompt, RequestError};
use serde_json::{Value, json};

fn parse(prompt: Value, fields: Value) -> Result<CompletionRequest, RequestError> {
    let mut body = json!({"model": "m", "prompt": prompt});
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    CompletionRequest::parse(body.to_string().as_bytes())
}

#[test]
fn prompts_are_a_text_tokens_or_several_of_either() {
    let prompts = |value: Value| parse(value, json!({})).map(|request| request.prompts);
    let text = |text: &str| Prompt::Text(text.to_owned());
    assert_eq!(prompts(json!("a")), Ok(vec![text("a")]));
    assert_eq!(prompts(json!(["a", "b"])), Ok(vec![text("a"), text("b")]));
    assert_eq!(prompts(json!([1, 2])), Ok(vec![Prompt::Tokens(vec![1, 2])]));
    let several = vec![Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])];
    assert_eq!(prompts(json!([[1], [2, 3]])), Ok(several));
    for bad in [
        json!([]),
        json!(1),
        json!({}),
        json!([1, "a"]),
        json!([[-1]]),
        json!([[1.5]]),
        json!([null]),
    ] {
        let error = prompts(bad.clone()).expect_err(&bad.to_string());
        assert!(error.param.expect("named").starts_with("prompt"), "{bad}");
    }
}

#[test]
fn no_new_token_is_a_valid_limit_and_16_the_default() {
    let limit = |fields: Value| parse(json!("a"), fields).expect("a request").options.max_tokens;
    assert_eq!(limit(json!({"max_tokens": 0})), Some(0));
    assert_eq!(limit(json!({})), Some(16));
    assert_eq!(limit(json!({"min_tokens": 20})), Some(20));
}

#[test]
fn choices_over_all_prompts_are_bounded() {
    let prompts: Vec<_> = (0..65).map(|_| "a").collect();
    assert!(parse(json!(prompts), json!({"n": 1})).is_ok());
    let error = parse(json!(prompts), json!({"n": 2})).expect_err("130 choices");
    assert_eq!(error.param.as_deref(), Some("prompt"));
}

#[test]
fn ranking_and_infilling_are_refused_by_name() {
    assert!(parse(json!("a"), json!({"n": 2, "best_of": 2})).is_ok());
    for (fields, name) in [(json!({"best_of": 2}), "best_of"), (json!({"suffix": "x"}), "suffix")] {
        let error = parse(json!("a"), fields).expect_err("unsupported");
        assert_eq!((error.param.as_deref(), error.code()), (Some(name), "unsupported_parameter"));
    }
}
