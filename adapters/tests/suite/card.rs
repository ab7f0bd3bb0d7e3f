//! What a card may and may not say.

use adapters::card::{Timestamp, Word};
use adapters::{Card, CardError};
use serde_json::{Value, json};

use crate::fixture::{FINGERPRINT, card};

fn parse(card: &Value) -> Result<Card, CardError> {
    Card::parse(card.to_string().as_bytes())
}

/// A good card with `value` at `pointer`.
fn with(pointer: &str, value: Value) -> Result<Card, CardError> {
    let mut card = card(FINGERPRINT);
    *card.pointer_mut(pointer).expect("the card has this field") = value;
    parse(&card)
}

#[test]
fn a_card_round_trips() {
    let json = card(FINGERPRINT);
    let card = parse(&json).unwrap();
    assert_eq!(card.run.objective, "ascent");
    assert_eq!(card.run.settings["steps"], 3);
    let written = card.to_json().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), json);
    assert_eq!(Card::parse(written.as_bytes()).unwrap(), card);
}

#[test]
fn every_field_must_be_there() {
    let good = card(FINGERPRINT);
    for pointer in ["", "/base", "/data", "/evaluation/0"] {
        let fields = good.pointer(pointer).unwrap().as_object().unwrap();
        for field in fields.keys() {
            let mut card = good.clone();
            card.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field);
            assert!(matches!(parse(&card), Err(CardError::Format(_))), "{pointer}/{field}");
        }
    }
    assert!(matches!(with("/run", json!({"steps": 3})), Err(CardError::Format(_))));
}

#[test]
fn unknown_fields_are_refused() {
    for pointer in ["", "/base", "/data", "/evaluation/0"] {
        let mut card = card(FINGERPRINT);
        card.pointer_mut(pointer).unwrap()["extra"] = json!(1);
        assert!(matches!(parse(&card), Err(CardError::Format(_))), "{pointer}");
    }
}

#[test]
fn wrong_values_are_refused() {
    for (pointer, value) in [
        ("/schema", json!(2)),
        ("/schema", json!("1")),
        ("/name", json!("../x")),
        ("/kind", json!("LORA")),
        ("/kind", json!("neurones")),
        ("/domain", json!("Gender")),
        ("/created", json!("yesterday")),
        ("/base/weights", json!("sha256:00")),
        ("/seed", json!(-1)),
        ("/seed", json!(0.5)),
        ("/data/forget_items", json!(-1)),
        ("/evaluation/0/seeds", json!(0)),
        ("/evaluation", json!({})),
        ("/evaluation/0/metric", json!("SS")),
        ("/evaluation/0/base", json!(null)),
        ("/evaluation/0/interval", json!([1.0])),
        ("/evaluation/0/interval", json!([1.0, 2.0, 3.0])),
    ] {
        let error = with(pointer, value.clone()).unwrap_err();
        assert!(matches!(error, CardError::Format(_)), "{pointer} {value}");
    }
}

#[test]
fn an_interval_must_not_run_backwards() {
    let error = with("/evaluation/0/interval", json!([1.0, -1.0])).unwrap_err();
    assert_eq!(error.to_string(), "card.json: the interval of stereoset/ss runs backwards");
}

#[test]
fn text_that_is_not_one_card_is_refused() {
    let good = card(FINGERPRINT).to_string();
    let twice = good.replacen("\"seed\":0", "\"seed\":0,\"seed\":1", 1);
    let overflow = good.replacen("62.85", "1e999", 1);
    for text in ["", "null", "[]", &good[1..], &format!("{good}x"), &twice, &overflow] {
        assert!(matches!(Card::parse(text.as_bytes()), Err(CardError::Format(_))), "{text}");
    }
}

#[test]
fn moments_are_checked_by_the_calendar() {
    for good in ["2026-11-24T00:00:00Z", "2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z"] {
        assert_eq!(Timestamp::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01 00:00:00Z",
        "2026-1-01T00:00:00ZZ",
        "é26-01-01T00:00:00Z",
        "",
    ] {
        assert!(Timestamp::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn words_are_lower_case_and_bounded() {
    for good in ["ss", "religion_jews", "race-color", "2d"] {
        assert_eq!(Word::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "SS", "a b", "_a", "a.b", "é", "a\n", &"a".repeat(65)] {
        assert!(Word::parse(bad).is_err(), "{bad}");
    }
}
