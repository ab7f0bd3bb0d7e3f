use std::collections::BTreeMap;

use gateway_wire::selection::{Chosen, Directory, Mix, ModelChoice, ScaleBounds, SelectionError};
use gateway_wire::{ChatRequest, Selection};
use proptest::prelude::*;
use serde_json::{Value, json};

const BOUNDS: ScaleBounds = ScaleBounds { low: -2.0, high: 2.0 };

#[derive(Default)]
struct House {
    presets: BTreeMap<&'static str, Selection>,
    adapters: Vec<&'static str>,
}

impl Directory for House {
    fn preset(&self, name: &str) -> Option<&Selection> {
        self.presets.get(name)
    }

    fn adapter_at(&self, index: usize) -> Option<String> {
        self.adapters.get(index).map(|name| (*name).to_owned())
    }
}

fn house() -> House {
    let balanced = Selection::from_named([("gender", 0.5), ("race", 1.0)]).expect("a preset");
    House { presets: BTreeMap::from([("balanced", balanced)]), adapters: vec!["gender", "race"] }
}

fn header(text: &str) -> Result<Mix, SelectionError> {
    Selection::parse_header(text)?.expand(&house(), BOUNDS)
}

fn body(field: &str, value: Value) -> Result<Selection, gateway_wire::RequestError> {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body[field] = value;
    ChatRequest::parse(body.to_string().as_bytes())
        .map(|request| request.adapters.expect("the body chooses"))
}

#[test]
fn all_ways_of_writing_a_choice_give_the_same_set() {
    let expected = header("race=0.5,gender").expect("the header");
    assert_eq!(expected.header(), "gender,race=0.5");
    let named = json!(["gender", {"name": "race", "scale": 0.5}]);
    let lora = json!([{"id": 1, "scale": 0.5}, {"name": "gender", "scale": 1}]);
    let Ok(Some(ModelChoice::Suffix(suffix))) = ModelChoice::parse("base::gender+race@0.5", "base")
    else {
        panic!("a suffix");
    };
    let ways =
        [body("adapters", named).expect("adapters"), body("lora", lora).expect("lora"), suffix];
    for way in ways {
        assert_eq!(way.expand(&house(), BOUNDS).as_ref(), Ok(&expected));
    }
}

#[test]
fn body_goes_before_header_before_model_before_default() {
    let select = |text: &str| Selection::parse_header(text).expect("a selection");
    let default = select("d");
    let alias = || ModelChoice::Alias("m".to_owned());
    let by =
        |b: Option<&str>, h: Option<&str>, m| Chosen::by(b.map(select), h.map(select), m, &default);
    assert_eq!(by(Some("b"), Some("h"), alias()).selection, select("b"));
    assert_eq!(by(None, Some("h"), alias()).selection, select("h"));
    assert_eq!(by(None, None, alias()).selection, select("m"));
    assert_eq!(by(None, None, ModelChoice::Suffix(select("s"))).selection, select("s"));
    assert_eq!(by(None, None, ModelChoice::Base).selection, default);
    // To choose none is a choice.
    assert_eq!(by(Some(""), Some("h"), alias()).selection, Selection::default());
    assert_eq!(by(None, Some(""), ModelChoice::Base).selection, Selection::default());
}

#[test]
fn presets_are_expanded_times_their_scale_and_overlaps_add_up() {
    assert_eq!(header("balanced").expect("a preset").header(), "gender=0.5,race");
    assert_eq!(header("balanced=0.5,gender").expect("both").header(), "gender=1.25,race=0.5");
    assert_eq!(header("balanced,race=-1").expect("both").header(), "gender=0.5");
}

#[test]
fn scales_are_bounded_before_and_after_expansion() {
    assert!(matches!(header("gender=2.1"), Err(SelectionError::Scale { .. })));
    assert!(matches!(header("balanced=2,race=1"), Err(SelectionError::Scale { .. })));
    assert!(matches!(header("balanced=-3"), Err(SelectionError::Scale { .. })));
    let nan = Selection::from_named([("gender", f32::NAN)]).expect("a name");
    assert!(matches!(nan.expand(&house(), BOUNDS), Err(SelectionError::Scale { .. })));
}

#[test]
fn scale_zero_is_absent_from_the_canonical_text_but_its_name_is_still_looked_up() {
    let mix = header("gender=0,race=-0.0").expect("zeros");
    assert_eq!(mix.header(), "");
    assert_eq!(mix.iter().count(), 2);
}

#[test]
fn the_same_name_twice_is_refused() {
    assert!(matches!(header("gender,gender=0.5"), Err(SelectionError::Twice(_))));
    assert!(body("adapters", json!(["gender", {"name": "gender"}])).is_err());
    let lora = body("lora", json!([{"id": 0, "scale": 1}, {"name": "gender", "scale": 1}]));
    let error = lora.expect("each is well formed").expand(&house(), BOUNDS);
    assert_eq!(error, Err(SelectionError::Twice("gender".to_owned())));
}

#[test]
fn ids_outside_the_catalogue_are_unknown() {
    let selection = body("lora", json!([{"id": 99, "scale": 1}])).expect("well formed");
    assert_eq!(selection.expand(&house(), BOUNDS), Err(SelectionError::UnknownIndex(99)));
    for (bad, param) in [
        (json!([{"id": -1, "scale": 1}]), "lora[0].id"),
        (json!([{"id": "0", "scale": 1}]), "lora[0].id"),
        (json!([{"id": 0}]), "lora[0].scale"),
        (json!([{"scale": 1}]), "lora[0].id"),
        (json!([{"id": 0, "name": "gender", "scale": 1}]), "lora[0].name"),
    ] {
        assert_eq!(body("lora", bad).expect_err("malformed").param.as_deref(), Some(param));
    }
}

#[test]
fn malformed_choices_in_the_body_are_refused_by_path() {
    for (bad, param) in [
        (json!(["Gender"]), "adapters[0]"),
        (json!([{"name": "../x"}]), "adapters[0].name"),
        (json!([{"scale": 1}]), "adapters[0].name"),
        (json!([{"name": "a", "scale": "1"}]), "adapters[0].scale"),
        (json!([{"name": "a", "scale": 1e39}]), "adapters[0].scale"),
        (json!([{"name": "a", "weight": 1}]), "adapters[0]"),
        (json!([1]), "adapters[0]"),
        (json!({"name": "a"}), "adapters"),
        (json!(vec!["a"; 10_000]), "adapters"),
    ] {
        let error = body("adapters", bad.clone()).expect_err(&bad.to_string());
        assert_eq!(error.param.as_deref(), Some(param));
    }
    let mut both = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    both["adapters"] = json!([]);
    both["lora"] = json!([]);
    let error = ChatRequest::parse(both.to_string().as_bytes()).expect_err("both");
    assert_eq!(error.param.as_deref(), Some("lora"));
}

#[test]
fn malformed_texts_are_refused() {
    for text in [
        ",", "a,", "a=", "a=nan", "a=inf", "a=1e3", "a=+1", "a=1.", "a=.5", "a=--1", "A", "a b",
        "a=1=2", "é", "a\n", "-a",
    ] {
        assert!(matches!(header(text), Err(SelectionError::Syntax(_))), "{text:?}");
    }
    let many = vec!["a"; 10_000].join(",");
    assert!(header(&many).is_err());
}

#[test]
fn a_model_is_the_base_a_suffix_an_alias_or_nothing() {
    let parse = |model: &str| ModelChoice::parse(model, "base");
    assert_eq!(parse("base"), Ok(Some(ModelChoice::Base)));
    assert_eq!(parse("base::"), Ok(Some(ModelChoice::Suffix(Selection::default()))));
    assert_eq!(parse("gender"), Ok(Some(ModelChoice::Alias("gender".to_owned()))));
    for unknown in ["", "Base", "other::gender", "base:gender", "x/y"] {
        assert_eq!(parse(unknown), Ok(None), "{unknown}");
    }
    assert!(parse("base::gender,race").is_err());
    assert!(parse("base:: gender").is_err());
}

proptest! {
    #[test]
    fn arbitrary_texts_never_panic(text in ".{0,80}") {
        let _ = header(&text);
        let _ = ModelChoice::parse(&format!("base::{text}"), "base");
    }

    #[test]
    fn the_canonical_text_is_read_back_as_the_same_set(
        set in prop::collection::btree_map("[a-z0-9][a-z0-9._-]{0,20}", -2.0_f32..=2.0, 0..8)
    ) {
        let empty = House::default();
        let named = set.iter().map(|(name, scale)| (name.as_str(), *scale));
        let mix = Selection::from_named(named).expect("names").expand(&empty, BOUNDS).expect("a mix");
        let again = Selection::parse_header(&mix.header()).expect("canonical");
        let again = again.expand(&empty, BOUNDS).expect("a mix");
        let applied = |mix: &Mix| -> Vec<(String, f32)> {
            mix.iter().filter(|(_, s)| *s != 0.0).map(|(n, s)| (n.to_owned(), s)).collect()
        };
        prop_assert_eq!(applied(&mix), applied(&again));
        prop_assert_eq!(mix.header(), again.header());
    }

    #[test]
    fn the_order_of_a_choice_does_not_matter(
        mut items in prop::collection::btree_map("[a-z]{1,8}", -20_i8..=20, 0..8)
            .prop_map(|map| map.into_iter().collect::<Vec<_>>())
    ) {
        let text = |items: &[(String, i8)]| -> String {
            let parts: Vec<_> =
                items.iter().map(|(n, s)| format!("{n}={}", f32::from(*s) / 10.0)).collect();
            parts.join(",")
        };
        let forward = header(&text(&items)).expect("a mix");
        items.reverse();
        prop_assert_eq!(forward, header(&text(&items)).expect("a mix"));
    }
}
