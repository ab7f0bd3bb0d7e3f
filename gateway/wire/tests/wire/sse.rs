use gateway_wire::sse;
use proptest::prelude::*;

/// What a client makes of a stream: the data of each event. After the HTML standard.
fn decode(stream: &str) -> Vec<String> {
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut data: Option<String> = None;
    for line in stream.split_terminator('\n') {
        if line.is_empty() {
            events.extend(data.take());
        } else if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            data = Some(data.map_or_else(|| value.to_owned(), |old| format!("{old}\n{value}")));
        }
    }
    events
}

#[test]
fn the_last_event_is_the_word_that_clients_wait_for() {
    assert_eq!(sse::DONE, "data: [DONE]\n\n");
    assert_eq!(decode(sse::DONE), ["[DONE]"]);
}

#[test]
fn comments_are_no_events() {
    assert_eq!(decode(sse::KEEP_ALIVE), Vec::<String>::new());
    let stream = format!("{}{}{}", sse::text_event("a"), sse::KEEP_ALIVE, sse::text_event("b"));
    assert_eq!(decode(&stream), ["a", "b"]);
}

proptest! {
    #[test]
    fn texts_come_out_as_they_went_in(texts in prop::collection::vec("[a-z\n\r: ]{0,20}|.{0,20}", 0..5)) {
        let stream: String = texts.iter().map(|text| sse::text_event(text)).collect();
        let lines = |text: &String| text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert_eq!(decode(&stream), texts.iter().map(lines).collect::<Vec<_>>());
    }

    #[test]
    fn json_is_one_line(text in any::<String>()) {
        let mut events = sse::text_event("before").into_bytes();
        let before = events.len();
        sse::append_json(&mut events, &text).expect("a string is JSON");
        let events = String::from_utf8(events).expect("UTF-8");
        prop_assert_eq!(events[before..].matches('\n').count(), 2);
        let decoded = decode(&events);
        prop_assert_eq!(decoded.len(), 2);
        prop_assert_eq!(serde_json::from_str::<String>(&decoded[1]).expect("JSON"), text);
    }
}

#[test]
fn what_is_no_json_appends_nothing() {
    let mut events = b"data: a\n\n".to_vec();
    let no_json = std::collections::HashMap::from([(vec![1], 1)]);
    assert!(sse::append_json(&mut events, &no_json).is_err());
    assert_eq!(events, b"data: a\n\n");
}
