use gateway_wire::{
    DetokenizeRequest, ExpectedGeneration, LoadRequest, TokenizeInput, TokenizeRequest,
    VllmLoadRequest, VllmUnloadRequest,
};
use serde_json::json;

#[test]
fn vllm_loads_only_absent_names_unless_in_place() {
    let expected = |fields: serde_json::Value| {
        let mut body = json!({"lora_name": "a", "lora_path": "a"});
        body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("one"));
        VllmLoadRequest::parse(body.to_string().as_bytes()).map(|request| request.load.expected)
    };
    let digest = format!("sha256:{}", "0f".repeat(32));
    assert_eq!(expected(json!({})), Ok(ExpectedGeneration::Absent));
    assert_eq!(expected(json!({"load_inplace": true})), Ok(ExpectedGeneration::Any));
    assert_eq!(
        expected(json!({"expected_generation": digest})),
        Ok(ExpectedGeneration::Digest(digest))
    );
    for bad in ["", "sha256:", "sha256:XY", "md5:00"] {
        let error = expected(json!({"expected_generation": bad})).expect_err(bad);
        assert_eq!(error.param.as_deref(), Some("expected_generation"));
    }
}

#[test]
fn management_refuses_unknown_fields_and_missing_ones() {
    let bodies = [
        json!({"name": "a"}),
        json!({"source": "a"}),
        json!({"name": "a", "source": ""}),
        json!({"name": "a", "source": "a\n"}),
        json!({"name": "a", "source": "a", "sorce": "b"}),
    ];
    for body in bodies {
        assert!(LoadRequest::parse(body.to_string().as_bytes()).is_err(), "{body}");
    }
    assert!(VllmUnloadRequest::parse(b"{}").is_err());
    assert!(VllmUnloadRequest::parse(br#"{"lora_name": "a", "lora_int_id": 3}"#).is_ok());
}

#[test]
fn tokenize_takes_a_text_or_a_conversation_never_both() {
    let parse = |body: serde_json::Value| TokenizeRequest::parse(body.to_string().as_bytes());
    let messages = json!([{"role": "user", "content": "a"}]);
    let text = parse(json!({"prompt": "a", "return_token_strs": true})).expect("a text");
    assert_eq!((text.input, text.strings), (TokenizeInput::Text("a".to_owned()), true));
    assert!(matches!(
        parse(json!({"messages": messages})).expect("a chat").input,
        TokenizeInput::Chat(_)
    ));
    assert!(parse(json!({"prompt": "a", "messages": messages})).is_err());
    assert!(parse(json!({"prompt": "a", "add_special_tokens": false})).is_err());
    assert!(parse(json!({})).is_err());
    assert!(DetokenizeRequest::parse(br#"{"tokens": [1, -2]}"#).is_err());
}
