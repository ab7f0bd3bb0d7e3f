//! The format of heads: it comes back as it was, and each fault has a test.

use gateway_toxicity::Category;
use gateway_toxicity::encoder::{CategoryHead, Description, Group, Heads, HeadsError, Layer};
use proptest::prelude::*;
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::fixture::{Replacement, close, description, heads, replace};

fn refusal(json: &[u8], tensors: &[u8]) -> HeadsError {
    Heads::parse(json, tensors).expect_err("refused")
}

/// What is said of a description that was changed.
fn refusal_of(change: impl FnOnce(&mut Value)) -> HeadsError {
    let heads = heads("sha256:00");
    let mut json: Value = serde_json::from_slice(&heads.json().expect("JSON")).expect("JSON");
    change(&mut json);
    refusal(json.to_string().as_bytes(), &heads.tensors().expect("tensors"))
}

/// What is said of a file whose tensor of that name is another one, or missing.
fn refusal_with(name: &str, replacement: Option<&Replacement>) -> HeadsError {
    let heads = heads("sha256:00");
    let tensors = heads.tensors().expect("tensors");
    refusal(&heads.json().expect("JSON"), &replace(&tensors, name, replacement))
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn heads_come_back_as_they_were_written() {
    let heads = heads("sha256:00");
    let again = Heads::parse(&heads.json().expect("JSON"), &heads.tensors().expect("tensors"));
    assert_eq!(again.expect("heads"), heads);
}

#[test]
fn scores_are_the_formula_of_the_format() {
    // z = ((3, 5) - (1, 1)) / (2, 4) = (1, 1).
    // Linear: 2 - 3 + 0.5 = -0.5, calibrated: 2 * -0.5 + 1 = 0, so 0.5.
    // Hidden: relu(1 + 1 - 1) = 1 and relu(-1 - 1 + 1) = 0, so 4 * 1 + 8 * 0 - 1 = 3.
    let head = |category, slope, intercept| CategoryHead::new(category, 0.5, slope, intercept);
    let group =
        |name: &str, hidden, head| Group { name: name.into(), hidden, categories: vec![head] };
    let description = Description {
        width: 2,
        groups: vec![
            group("a", None, head(Category::Hate, 2.0, 1.0)),
            group("b", Some(2), head(Category::Profanity, 1.0, 0.0)),
        ],
        ..description("sha256:00")
    };
    let layer = |weight: &[f32], bias: &[f32]| Layer { weight: weight.into(), bias: bias.into() };
    let layers = vec![
        (None, layer(&[2.0, -3.0], &[0.5])),
        (Some(layer(&[1.0, 1.0, -1.0, -1.0], &[-1.0, 1.0])), layer(&[4.0, 8.0], &[-1.0])),
    ];
    let heads = Heads::new(description, vec![1.0, 1.0], vec![2.0, 4.0], layers).expect("they fit");
    let vector = [3.0, 5.0];
    assert_eq!(heads.logits(&vector), [(Category::Hate, -0.5), (Category::Profanity, 3.0)]);
    let scores: Vec<f32> = heads.scores(&vector).iter().map(|(_, score)| score).collect();
    close(&scores, &[0.5, 1.0 / (1.0 + (-3.0f32).exp())], 1e-7);
}

#[test]
fn heads_can_be_calibrated_anew_but_not_renamed() {
    let heads = heads("sha256:00");
    let new = |category| CategoryHead::new(category, 0.4, 3.0, -0.5);
    let known = [Category::Toxicity, Category::BiasGender, Category::BiasRace];
    let vector: Vec<f32> = (0..8).map(|i| i as f32 / 8.0).collect();
    let again = heads.clone().calibrated(known.map(new).into()).expect("the same categories");
    assert_eq!(again.logits(&vector), heads.logits(&vector));
    let (category, logit) = heads.logits(&vector)[1];
    let score = again.scores(&vector).get(category).expect("known");
    close(&[score], &[1.0 / (1.0 + (-(3.0 * logit - 0.5)).exp())], 1e-6);
    let renamed = [Category::Toxicity, Category::BiasGender, Category::Hate].map(new);
    for wrong in [&renamed[..], &known.map(new)[..2], &[]] {
        assert!(heads.clone().calibrated(wrong.to_vec()).is_err());
    }
}

#[test]
fn each_field_of_the_description_is_checked() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change); 14] = [
        ("schema 2", |j| j["schema"] = json!(2)),
        ("name", |j| j["name"] = json!("Heads/../1")),
        ("width", |j| j["width"] = json!(0)),
        ("width", |j| j["width"] = json!(1u64 << 40)),
        ("words", |j| j["windows"]["words"] = json!(5000)),
        ("stride", |j| j["windows"]["stride"] = json!(13)),
        ("groups", |j| j["groups"] = json!([])),
        ("hidden", |j| j["groups"][1]["hidden"] = json!(0)),
        ("categories", |j| j["groups"][0]["categories"] = json!([])),
        ("threshold", |j| j["groups"][0]["categories"][0]["threshold"] = json!(0.0)),
        ("threshold", |j| j["groups"][0]["categories"][0]["threshold"] = json!(1.5)),
        ("slope", |j| j["groups"][0]["categories"][0]["slope"] = json!(-1.0)),
        ("group \"Harm\"", |j| j["groups"][0]["name"] = json!("Harm")),
        ("group \"harm\"", |j| j["groups"][1]["name"] = json!("harm")),
    ];
    for (named, change) in cases {
        let said = refusal_of(change).to_string();
        assert!(said.contains(named), "{said} does not name {named}");
    }
}

#[test]
fn unknown_fields_and_categories_are_refused() {
    assert!(matches!(refusal_of(|j| j["extra"] = json!(1)), HeadsError::Json(_)));
    let unknown = refusal_of(|j| j["groups"][0]["categories"][0]["category"] = json!("rudeness"));
    assert!(matches!(unknown, HeadsError::Json(_)));
}

#[test]
fn a_category_in_two_heads_is_refused() {
    let twice = refusal_of(|j| j["groups"][0]["categories"][0]["category"] = json!("bias/race"));
    assert!(matches!(twice, HeadsError::Category(name) if name == "bias/race"));
}

#[test]
fn a_missing_tensor_is_named() {
    let missing = refusal_with("bias.hidden.bias", None);
    assert!(matches!(missing, HeadsError::MissingTensor(name) if name == "bias.hidden.bias"));
}

#[test]
fn a_tensor_that_nothing_needs_is_refused() {
    let extra = refusal_with("harm.hidden.bias", Some(&(Dtype::F32, vec![1], f32s(&[0.0]))));
    assert!(matches!(extra, HeadsError::UnknownTensor(name) if name == "harm.hidden.bias"));
}

#[test]
fn a_tensor_of_another_shape_or_type_is_refused() {
    for (dtype, shape) in [(Dtype::F32, vec![2]), (Dtype::I32, vec![1]), (Dtype::F32, vec![1, 1])] {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        let error = refusal_with("harm.output.bias", Some(&(dtype, shape, bytes)));
        assert!(matches!(error, HeadsError::Shape { .. }), "{error}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let error = refusal_with("harm.output.bias", Some(&(Dtype::F32, vec![1], f32s(&[f32::NAN]))));
    assert!(matches!(error, HeadsError::NotFinite(name) if name == "harm.output.bias"));
}

#[test]
fn a_deviation_of_zero_is_refused() {
    let error = refusal_with("deviation", Some(&(Dtype::F32, vec![8], f32s(&[0.0; 8]))));
    assert!(matches!(error, HeadsError::Value { field: "deviation" }));
}

#[test]
fn a_truncated_file_is_refused() {
    let heads = heads("sha256:00");
    let tensors = heads.tensors().expect("tensors");
    let error = refusal(&heads.json().expect("JSON"), &tensors[..tensors.len() - 4]);
    assert!(matches!(error, HeadsError::Safetensors(_)));
}

proptest! {
    #[test]
    fn any_bytes_give_heads_or_an_error(
        at in 0usize..4000,
        byte in any::<u8>(),
        in_json in any::<bool>(),
    ) {
        let heads = heads("sha256:00");
        let (mut json, mut tensors) = (heads.json().expect("JSON"), heads.tensors().expect("tensors"));
        let spoiled = if in_json { &mut json } else { &mut tensors };
        let at = at % spoiled.len();
        spoiled[at] = byte;
        if let Ok(parsed) = Heads::parse(&json, &tensors) {
            let again = Heads::parse(&parsed.json().expect("JSON"), &parsed.tensors().expect("tensors"));
            prop_assert_eq!(again.expect("what was accepted"), parsed);
        }
    }
}
