//! Which scorer a program loads.

use gateway_server::Loaded;
use gateway_server::local;

use crate::house::settings;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures");

fn load(flags: &[(&'static str, &str)]) -> anyhow::Result<Loaded> {
    let home = tempfile::tempdir().expect("a folder");
    let (model, adapters) = (format!("{FIXTURES}/tiny-llama"), format!("{FIXTURES}/adapters"));
    let home = home.path().to_str().expect("a path");
    let own = [("model", &*model), ("adapters", &*adapters), ("home", home)];
    local::load(&settings(&[&own, flags].concat()))
}

#[test]
fn the_embedded_scorer_serves_unless_another_is_named() {
    let scorer = load(&[]).expect("loaded").scorer;
    assert!(scorer.version().starts_with("lethe-toxicity-"), "{}", scorer.version());
}

#[test]
fn an_encoder_serves_where_a_folder_is_named() {
    let folder = format!("{FIXTURES}/encoders/bert");
    let scorer = load(&[("scoring.encoder", &folder)]).expect("loaded").scorer;
    assert!(scorer.version().starts_with("classifier-"), "{}", scorer.version());
    assert_eq!(scorer.score(&["the cat"]).expect("scores")[0].iter().count(), 3);
}

#[test]
fn a_folder_without_an_encoder_is_an_error_without_its_path() {
    let folder = format!("{FIXTURES}/tiny-llama");
    let error = load(&[("scoring.encoder", &folder)]).err().expect("refused");
    let said = format!("{error:#}");
    assert!(said.starts_with("the scorer cannot be used: "), "{said}");
    assert!(!said.contains("fixtures"), "{said}");
}
