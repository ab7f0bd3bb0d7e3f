use gateway_wire::{ChatRequest, Delivery, Fault, RequestError, ResponseFormat, Role};
use serde_json::{Value, json};

/// The smallest request with `fields` on top.
fn parse(fields: Value) -> Result<ChatRequest, RequestError> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in fields.as_object().expect("an object") {
        body[name] = value.clone();
    }
    ChatRequest::parse(body.to_string().as_bytes())
}

fn refusal(fields: Value) -> RequestError {
    parse(fields.clone()).expect_err(&fields.to_string())
}

#[test]
fn defaults_are_those_of_openai() {
    let request = parse(json!({})).expect("the smallest request");
    let options = request.options;
    assert_eq!((options.temperature, options.top_p, options.n), (1.0, 1.0, 1));
    assert_eq!((options.max_tokens, options.seed), (None, None));
    assert_eq!(request.delivery, Delivery::Whole);
    assert_eq!(request.adapters, None);
    assert!(request.ignored.is_empty());
}

#[test]
fn null_is_the_same_as_absent() {
    let nulls = json!({"temperature": null, "stop": null, "tools": null, "seed": null,
        "stream_options": null, "logit_bias": null, "adapters": null, "audio": null, "x": null});
    assert_eq!(parse(nulls), parse(json!({})));
}

#[test]
fn every_number_has_its_range_and_the_fault_names_it() {
    for (name, values) in [
        ("temperature", vec![json!(-0.1), json!(2.1)]),
        ("top_p", vec![json!(-0.1), json!(1.1)]),
        ("min_p", vec![json!(1.1)]),
        ("presence_penalty", vec![json!(-2.1), json!(2.1)]),
        ("frequency_penalty", vec![json!(-2.1), json!(2.1)]),
        ("repetition_penalty", vec![json!(0), json!(11)]),
        ("n", vec![json!(0), json!(129)]),
        ("max_tokens", vec![json!(0), json!(-1), json!(1e300)]),
        ("max_completion_tokens", vec![json!(0)]),
        ("top_k", vec![json!(-2)]),
        ("min_tokens", vec![json!(-1)]),
    ] {
        for value in values {
            let error = refusal(json!({name: value}));
            assert_eq!(error.param.as_deref(), Some(name));
            assert!(matches!(error.fault, Fault::Range { .. }), "{error}");
        }
    }
}

#[test]
fn every_field_has_its_type_and_the_fault_names_it() {
    for name in [
        "temperature",
        "top_p",
        "n",
        "max_tokens",
        "seed",
        "stream",
        "logprobs",
        "stop",
        "logit_bias",
        "response_format",
        "stream_options",
        "adapters",
        "lora",
        "messages",
        "stop_token_ids",
        "ignore_eos",
        "model",
    ] {
        let wrong = if name == "stop" { json!(1) } else { json!("x") };
        let wrong = if name == "model" { json!(["m"]) } else { wrong };
        let error = refusal(json!({name: wrong}));
        assert_eq!(error.param.as_deref(), Some(name));
        assert_eq!(error.code(), "invalid_type", "{error}");
    }
    assert_eq!(refusal(json!({"n": 1.5})).code(), "invalid_type");
}

#[test]
fn whole_floats_are_integers_and_seeds_span_64_bits() {
    assert_eq!(parse(json!({"n": 2.0})).expect("2.0 is 2").options.n, 2);
    let seed = |value: i64| parse(json!({"seed": value})).expect("a seed").options.seed;
    assert_eq!(seed(i64::MIN), Some(1 << 63));
    assert_eq!(seed(-1), Some(u64::MAX));
}

#[test]
fn model_and_messages_are_required() {
    for (body, param) in [
        (json!({"messages": []}), "model"),
        (json!({"model": "m"}), "messages"),
        (json!({"model": "m", "messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"model": "m", "messages": [{"content": ""}]}), "messages[0].role"),
        (
            json!({"model": "m", "messages": [{"role": "assistant", "content": null}]}),
            "messages[0].content",
        ),
    ] {
        let error =
            ChatRequest::parse(body.to_string().as_bytes()).expect_err("a field is missing");
        assert_eq!(error, RequestError::at(param, Fault::Missing));
    }
    assert_eq!(refusal(json!({"messages": []})).param.as_deref(), Some("messages"));
}

#[test]
fn content_is_text_or_text_parts_and_other_parts_are_refused_by_name() {
    let say =
        |content: Value| parse(json!({"messages": [{"role": "developer", "content": content}]}));
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let message = say(parts).expect("text parts").messages.remove(0);
    assert_eq!((message.role, message.content.as_str()), (Role::System, "ab"));
    let error =
        say(json!([{"type": "image_url", "image_url": {"url": "x"}}])).expect_err("an image");
    assert_eq!(error.param.as_deref(), Some("messages[0].content[0].type"));
    assert!(error.to_string().contains("image_url"));
    assert!(say(json!([{"type": "text"}])).is_err());
}

#[test]
fn roles_of_tools_are_refused() {
    for role in ["tool", "function", "root", ""] {
        let error = refusal(json!({"messages": [{"role": role, "content": "x"}]}));
        assert_eq!(error.param.as_deref(), Some("messages[0].role"));
    }
}

#[test]
fn fields_that_would_change_the_answer_are_refused_by_name() {
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (name, value) in [
        ("tools", tool.clone()),
        ("functions", tool),
        ("tool_choice", json!("required")),
        ("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        ("modalities", json!(["text", "audio"])),
        ("audio", json!({"voice": "x"})),
        ("web_search_options", json!({})),
        ("guided_json", json!({})),
        ("verbosity", json!("low")),
    ] {
        let error = refusal(json!({name: value}));
        assert_eq!(error.param.as_deref(), Some(name));
        assert_eq!(error.code(), "unsupported_parameter");
    }
}

#[test]
fn harmless_fields_are_counted_by_name_and_unknown_ones_as_other() {
    let request = parse(json!({"user": "u", "metadata": {"k": "v"}, "store": true,
        "service_tier": "auto", "modalities": ["text"], "tool_choice": "auto", "tools": [],
        "frobnicate": 1}));
    let mut ignored = request.expect("harmless").ignored;
    ignored.sort_unstable();
    assert_eq!(ignored, ["metadata", "other", "service_tier", "store", "tools", "user"]);
}

#[test]
fn a_refused_switch_that_says_what_is_so_anyway_is_harmless() {
    for (name, default) in [("skip_special_tokens", true), ("use_beam_search", false)] {
        assert!(parse(json!({name: default})).is_ok());
        assert_eq!(refusal(json!({name: !default})).param.as_deref(), Some(name));
    }
}

#[test]
fn tools_that_may_not_be_called_are_harmless() {
    assert!(parse(json!({"tools": [{"type": "function"}], "tool_choice": "none"})).is_ok());
}

#[test]
fn stops_are_a_text_or_up_to_four() {
    let stops = |value: Value| parse(json!({"stop": value})).map(|request| request.options.stop);
    assert_eq!(stops(json!("a")), Ok(vec!["a".to_owned()]));
    assert_eq!(stops(json!(["a", "b", "c", "d"])).expect("four").len(), 4);
    for bad in [json!(["a", "b", "c", "d", "e"]), json!(""), json!([""]), json!(["x".repeat(1025)])]
    {
        assert!(stops(bad).expect_err("bad stop").param.expect("named").starts_with("stop"));
    }
    assert!(stops(json!([1])).is_err());
}

#[test]
fn logit_bias_has_token_ids_and_bounded_values() {
    let bias = |value: Value| parse(json!({"logit_bias": value})).map(|r| r.options.logit_bias);
    assert_eq!(bias(json!({"42": -100, "7": 0.5})).expect("biases").len(), 2);
    for bad in [json!({"foo": 0}), json!({"+1": 0}), json!({"01": 0}), json!({"4294967296": 0})] {
        assert_eq!(bias(bad).expect_err("no token").param.as_deref(), Some("logit_bias"));
    }
    let error = bias(json!({"42": 101})).expect_err("above 100");
    assert_eq!(error.param.as_deref(), Some("logit_bias.42"));
}

#[test]
fn top_logprobs_needs_logprobs_and_ends_at_20() {
    assert_eq!(parse(json!({"logprobs": true})).expect("logprobs").logprobs, Some(0));
    let top = parse(json!({"logprobs": true, "top_logprobs": 20})).expect("20").logprobs;
    assert_eq!(top, Some(20));
    for bad in [json!({"top_logprobs": 1}), json!({"logprobs": true, "top_logprobs": 21})] {
        assert_eq!(refusal(bad).param.as_deref(), Some("top_logprobs"));
    }
}

#[test]
fn stream_options_need_a_stream() {
    let error = refusal(json!({"stream_options": {"include_usage": true}}));
    assert_eq!(error.param.as_deref(), Some("stream_options"));
    let request = parse(json!({"stream": true, "stream_options": {"include_usage": true}}));
    assert_eq!(request.expect("a stream").delivery, Delivery::Stream { usage: true });
}

#[test]
fn response_formats_are_checked() {
    let format = |value: Value| parse(json!({"response_format": value})).map(|r| r.format);
    assert_eq!(format(json!({"type": "text"})), Ok(ResponseFormat::Text));
    assert_eq!(format(json!({"type": "json_object"})), Ok(ResponseFormat::JsonObject));
    let schema = json!({"type": "object"});
    let named = json!({"type": "json_schema",
        "json_schema": {"name": "n", "schema": schema, "strict": true}});
    assert_eq!(format(named), Ok(ResponseFormat::JsonSchema(schema)));
    for (bad, param) in [
        (json!({}), "response_format.type"),
        (json!({"type": "yaml"}), "response_format.type"),
        (json!({"type": "json_schema"}), "response_format.json_schema"),
        (
            json!({"type": "json_schema", "json_schema": {"schema": {}}}),
            "response_format.json_schema.name",
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "n"}}),
            "response_format.json_schema.schema",
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "n", "schema": true}}),
            "response_format.json_schema.schema",
        ),
    ] {
        assert_eq!(format(bad).expect_err("a bad format").param.as_deref(), Some(param));
    }
}

#[test]
fn the_newer_token_limit_wins() {
    let request = parse(json!({"max_completion_tokens": 3, "max_tokens": 5})).expect("both");
    assert_eq!(request.options.max_tokens, Some(3));
    let error = refusal(json!({"max_tokens": 3, "min_tokens": 4}));
    assert_eq!(error.param.as_deref(), Some("min_tokens"));
}
