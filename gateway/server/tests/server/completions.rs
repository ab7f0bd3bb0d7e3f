use gateway_engine::scripted::Script;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::house::{House, MODEL};

fn saying(reply: &str) -> House {
    House::open(Script { reply: Some(reply.to_owned()), ..Script::default() })
}

fn complete(house: &House, fields: Value) -> Reply {
    let mut body = json!({"model": MODEL, "prompt": "ab"});
    body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("fields"));
    house.post("/v1/completions", body)
}

#[test]
fn a_completion_is_answered_in_the_shape_of_openai() {
    let reply = complete(&saying("Hello."), json!({"adapters": ["gender"]}));
    assert_eq!((reply.status, reply.header("x-lethe-adapters")), (200, Some("gender")));
    assert_json_snapshot!(reply.json(), {".id" => "[id]", ".created" => 0});
}

#[test]
fn echo_with_logprobs_and_no_new_token_scores_the_prompt() {
    let fields = json!({"prompt": "né", "echo": true, "logprobs": 1, "max_tokens": 0});
    let reply = complete(&saying("x"), fields).json();
    assert_json_snapshot!(reply["choices"]);
    assert_eq!(reply["usage"]["completion_tokens"], 0);
}

#[test]
fn echoed_prompts_come_before_the_answer_as_text_or_from_tokens() {
    let house = saying("cd");
    let text = |fields| complete(&house, fields).json()["choices"][0]["text"].clone();
    assert_eq!(text(json!({"echo": true})), "abcd");
    assert_eq!(text(json!({"echo": true, "prompt": [97, 98]})), "abcd");
    assert_eq!(text(json!({"prompt": [97, 98]})), "cd");
}

#[test]
fn several_prompts_have_n_choices_each_in_order() {
    let house = House::open(Script::default());
    let texts = |fields| -> Vec<String> {
        let reply = complete(&house, fields).json();
        let choices = reply["choices"].as_array().expect("choices").clone();
        let indexed = choices.iter().enumerate();
        indexed
            .map(|(i, c)| {
                assert_eq!(c["index"], i);
                c["text"].to_string()
            })
            .collect()
    };
    let both = texts(json!({"prompt": ["a", "bc"], "n": 2, "seed": 1, "max_tokens": 99}));
    let first = texts(json!({"prompt": "a", "n": 2, "seed": 1, "max_tokens": 99}));
    let second = texts(json!({"prompt": "bc", "n": 2, "seed": 1, "max_tokens": 99}));
    assert_eq!(both, [first, second].concat());
}

#[test]
fn a_stream_says_what_the_whole_completion_says() {
    let house = House::open(Script::default());
    for echo in [false, true] {
        let whole = complete(&house, json!({"seed": 3, "echo": echo, "logprobs": 1}));
        let mut fields = json!({"seed": 3, "echo": echo, "logprobs": 1, "stream": true});
        fields["stream_options"] = json!({"include_usage": true});
        let chunks = complete(&house, fields).chunks();
        let whole = whole.json();
        let pieces = || chunks.iter().map(|chunk| &chunk["choices"][0]);
        let text: String = pieces().filter_map(|piece| piece["text"].as_str()).collect();
        assert_eq!(json!(text), whole["choices"][0]["text"]);
        let offsets: Vec<_> = pieces()
            .filter_map(|piece| piece["logprobs"]["text_offset"].as_array())
            .flatten()
            .cloned()
            .collect();
        assert_eq!(json!(offsets), whole["choices"][0]["logprobs"]["text_offset"]);
        let last = chunks.last().expect("chunks");
        assert_eq!((&last["usage"], &last["choices"]), (&whole["usage"], &json!([])));
        assert_eq!(chunks[0]["lethe"], whole["lethe"]);
    }
}

#[test]
fn tokens_and_texts_become_each_other() {
    let house = saying("x");
    let tokens =
        house.post("/tokenize", json!({"prompt": "<|im_end|>a", "return_token_strs": true}));
    assert_json_snapshot!(tokens.json());
    let text = house.post("/detokenize", json!({"model": MODEL, "tokens": [257, 97]}));
    assert_eq!(text.json(), json!({"prompt": "<|im_end|>a"}));
    let chat = json!({"messages": [{"role": "user", "content": "a"}]});
    assert!(house.post("/tokenize", chat).json()["count"].as_u64().expect("a count") > 10);
}
