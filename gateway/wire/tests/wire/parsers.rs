//! Outside bytes of any kind: an answer, never a panic.

use gateway_wire::{
    ChatRequest, CompletionRequest, DetokenizeRequest, Fault, LoadRequest, ModerationRequest,
    TokenizeRequest, VllmLoadRequest, VllmUnloadRequest,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse_as_everything(body: &[u8]) {
    let _ = ChatRequest::parse(body);
    let _ = CompletionRequest::parse(body);
    let _ = TokenizeRequest::parse(body);
    let _ = DetokenizeRequest::parse(body);
    let _ = LoadRequest::parse(body);
    let _ = ModerationRequest::parse(body);
    let _ = VllmLoadRequest::parse(body);
    let _ = VllmUnloadRequest::parse(body);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec![
                    "name", "scale", "id", "type", "text", "role", "content", "model", "policy",
                    "input", "output", "mode"
                ]),
                inner,
                0..4
            )
            .prop_map(|fields| fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()),
        ]
    })
}

const FIELDS: [&str; 25] = [
    "model",
    "messages",
    "prompt",
    "temperature",
    "n",
    "stop",
    "seed",
    "max_tokens",
    "logit_bias",
    "adapters",
    "lora",
    "stream",
    "stream_options",
    "response_format",
    "tools",
    "tool_choice",
    "logprobs",
    "tokens",
    "name",
    "source",
    "lora_name",
    "expected_generation",
    "moderation",
    "policy",
    "input",
];

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        parse_as_everything(&body);
    }

    #[test]
    fn known_fields_with_arbitrary_values_never_panic(
        fields in prop::collection::btree_map(prop::sample::select(FIELDS.to_vec()), any_json(), 0..6)
    ) {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
        for (name, value) in fields {
            body[name] = value;
        }
        let body = body.to_string();
        parse_as_everything(body.as_bytes());
        // What is accepted is in range.
        if let Ok(request) = ChatRequest::parse(body.as_bytes()) {
            prop_assert!((0.0..=2.0).contains(&request.options.temperature));
            prop_assert!((1..=128).contains(&request.options.n));
            prop_assert!(!request.messages.is_empty());
        }
    }

    #[test]
    fn a_cut_body_is_refused(cut in 1_usize..60) {
        let body = br#"{"model": "m", "messages": [{"role": "user", "content": "x"}]}"#;
        prop_assert!(ChatRequest::parse(&body[..body.len() - cut]).is_err());
    }
}

#[test]
fn a_body_that_is_no_json_object_is_refused_as_a_whole() {
    for (body, code) in [
        (&b""[..], "invalid_json"),
        (b"[]", "invalid_type"),
        (b"\xff\xfe", "invalid_json"),
        (b"{\"model\": \"\\ud800\"}", "invalid_json"),
        (b"{\"adapters\": [{\"name\": \"a\", \"scale\": NaN}]}", "invalid_json"),
        (b"{\"temperature\": 1e999}", "invalid_json"),
        (b"{} {}", "invalid_json"),
    ] {
        let error = ChatRequest::parse(body).expect_err("no JSON object");
        assert_eq!((error.param.clone(), error.code()), (None, code), "{error}");
    }
}

#[test]
fn json_beyond_the_depth_that_is_followed_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!("{{\"model\": {deep}}}");
    let error = ChatRequest::parse(body.as_bytes()).expect_err("too deep");
    assert_eq!(error.fault, Fault::TooDeep);
}
