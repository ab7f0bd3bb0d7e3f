use std::path::Path;

use gateway_server::settings::{KEYS, Layers, Settings, Source};
use gateway_server::settings::{Mode, OnFailure};
use gateway_toxicity::Category;
use proptest::prelude::*;

fn build(layers: Layers) -> Result<Settings, Vec<String>> {
    Settings::build(layers).map_err(|error| error.faults)
}

fn file(text: &str) -> Layers {
    Layers { file: Some(text.to_owned()), home: "/cache/lethe".into(), ..Layers::default() }
}

fn pair(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    vec![(name, value.to_owned())]
}

#[test]
fn defaults_are_good_settings() {
    let settings = build(file("")).expect("defaults");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.home, Path::new("/cache/lethe"));
    assert_eq!((settings.adapters, settings.engine.threads), (None, None));
    assert_eq!(settings.effective.len(), KEYS.len());
    assert!(settings.effective.iter().all(|setting| setting.source == Source::Default));
}

#[test]
fn flags_go_before_the_environment_before_the_file_before_defaults() {
    let port = |layers| build(layers).expect("good").listen.port();
    let mut layers = file("listen = '127.0.0.1:1'");
    assert_eq!(port(Layers { file: layers.file.clone(), ..Layers::default() }), 1);
    layers.environment = pair("listen", "127.0.0.1:2");
    let environment = layers.environment.clone();
    assert_eq!(port(layers), 2);
    let mut layers = file("listen = '127.0.0.1:1'");
    layers.environment = environment;
    layers.flags = pair("listen", "127.0.0.1:3");
    assert_eq!(port(layers), 3);
}

#[test]
fn all_faults_are_reported_together_with_their_sources() {
    let mut layers = file(
        "listne = 'x'\nlisten = 7\nadapters = []\n[limits]\nbody_bytes = 0\nbody = 1\n\
         [presets.Bad]\na = 1\n[presets.loud]\na = 9.5\n[presets.outer]\nloud2 = 1\n[presets.loud2]\na = 1",
    );
    layers.environment = pair("log.format", "xml");
    layers.flags = pair("scales.low", "3");
    let faults = build(layers).expect_err("faults").join("\n");
    for part in [
        "listne (file): there is no such key",
        "listen (file): it must be an address",
        "adapters (file): it must be a text",
        "limits.body_bytes (file): it must be a whole number from 1",
        "limits.body (file): there is no such key",
        "log.format (environment): it must be one of plain, json",
        "scales.low (flag): it is above scales.high",
        "presets.Bad (file): an adapter name",
        "presets.loud (file): the scale of a is out of bounds",
    ] {
        assert!(faults.contains(part), "{part} is not in\n{faults}");
    }
    assert!(build(file("x")).expect_err("no TOML")[0].starts_with("the settings file:"));
    let nested = "[presets.a]\nb = 1\n[presets.b]\nc = 1";
    assert!(build(file(nested)).expect_err("nested")[0].contains("a preset cannot name a preset"));
}

#[test]
fn moderation_scores_by_default_and_says_what_it_does_not_understand() {
    let settings = build(file("")).expect("defaults").moderation;
    let policy = settings.policy;
    assert_eq!((policy.input, policy.output), (Mode::Score, Mode::Score));
    assert_eq!((policy.on_failure, settings.thresholds.len()), (OnFailure::Closed, 0));
    let text =
        "[moderation]\noutput = 'block'\non_failure = 'open'\nthresholds = 'hate=0.5, bias/race=1'";
    let settings = build(file(text)).expect("good").moderation;
    assert_eq!(settings.thresholds, [(Category::Hate, 0.5), (Category::BiasRace, 1.0)]);
    assert_eq!(
        (settings.policy.output, settings.policy.on_failure),
        (Mode::Block, OnFailure::Open)
    );
    for thresholds in
        ["hate", "hate=", "hate=1.1", "hate=-0.1", "hate=NaN", "rage=0.5", "hate=0,hate=0", ","]
    {
        let faults = build(file(&format!("[moderation]\nthresholds = '{thresholds}'")));
        let faults = faults.expect_err(thresholds);
        assert!(faults[0].starts_with("moderation.thresholds (file): it must be"), "{faults:?}");
    }
}

#[test]
fn beyond_this_machine_needs_keys_or_to_be_said_twice() {
    for key in ["listen", "ops_listen"] {
        let layers =
            |allowed: &str| file(&format!("{key} = '0.0.0.0:80'\nallow_remote = {allowed}"));
        let faults = build(layers("false")).expect_err("said once");
        assert!(faults.len() == 1 && faults[0].contains("allow_remote"), "{faults:?}");
        assert!(build(layers("true")).is_ok());
        // Or nobody can use it who has no key.
        let guarded = file(&format!("{key} = '[::]:80'\n[keys]\nfile = 'keys.toml'"));
        assert!(build(guarded).is_ok());
        let unguarded = file(&format!("{key} = '[::]:80'\n[keys]\nfile = ''"));
        assert!(build(unguarded).expect_err("no keys")[0].contains("keys.file"));
    }
}

#[test]
fn keys_are_in_no_two_places_and_presets_are_selections() {
    let mut names: Vec<_> = KEYS.iter().map(gateway_server::settings::Key::variable).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), KEYS.len());
    let settings = build(file("[presets.p]\ngender = 0.5\nrace = -1")).expect("good");
    assert_eq!(settings.policy.presets["p"].names().collect::<Vec<_>>(), ["gender", "race"]);
}

proptest! {
    /// Whatever is said where, each key has the value of the highest layer that says something.
    #[test]
    fn the_highest_layer_wins_for_each_key(
        said in prop::collection::vec((0_usize..3, 0_usize..3, 1_u32..1_000), 0..12)
    ) {
        const NAMES: [&str; 3] = ["limits.requests", "limits.body_bytes", "limits.adapters"];
        let mut layers = [[None; 3]; 3];
        for (layer, key, value) in said {
            layers[layer][key] = Some(value);
        }
        let pairs = |layer: [Option<u32>; 3]| -> Vec<(&'static str, String)> {
            let said = NAMES.into_iter().zip(layer);
            said.filter_map(|(name, value)| Some((name, value?.to_string()))).collect()
        };
        let file: String = pairs(layers[0])
            .iter()
            .map(|(name, value)| format!("{} = {value}\n", name.trim_start_matches("limits.")))
            .collect();
        let settings = build(Layers {
            environment: pairs(layers[1]),
            flags: pairs(layers[2]),
            ..self::file(&format!("[limits]\n{file}"))
        });
        let effective = settings.expect("good").effective;
        for (key, name) in NAMES.into_iter().enumerate() {
            let highest = layers.iter().rev().find_map(|layer| layer[key]);
            let found = effective.iter().find(|setting| setting.name == name).expect("the key");
            let default = KEYS.iter().find(|key| key.name == name).expect("the key").default;
            prop_assert_eq!(&found.value, &highest.map_or(default.to_owned(), |v| v.to_string()));
        }
    }
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_collector_needs_the_feature_that_tells_it() {
    let faults = build(file("[otel]\nendpoint = 'http://c'")).expect_err("a fault");
    assert!(faults[0].contains("without the feature otel"), "{faults:?}");
}

#[cfg(feature = "otel")]
#[test]
fn spans_go_nowhere_unless_a_collector_is_named_by_a_plain_url() {
    let otel = build(file("")).expect("defaults").otel;
    assert_eq!((otel.endpoint, otel.service_name.as_str(), otel.sample), (None, "lethe", 1.0));
    let text = "[otel]\nendpoint = 'https://collector/base'\nservice_name = 'a'\nsample = 0.25";
    let otel = build(file(text)).expect("good").otel;
    assert_eq!(otel.endpoint.as_deref(), Some("https://collector/base"));
    assert_eq!((otel.service_name.as_str(), otel.sample), ("a", 0.25));
    for endpoint in [
        "collector",
        "localhost:4318",
        "ftp://c",
        "http://",
        "http://u:secret@c",
        "http://c?secret",
    ] {
        let faults = build(file(&format!("[otel]\nendpoint = '{endpoint}'"))).expect_err(endpoint);
        assert!(faults[0].starts_with("otel.endpoint (file): it must"), "{faults:?}");
        assert!(!faults[0].contains("secret"), "{faults:?}");
    }
    let faults = build(file("[otel]\nservice_name = ' '\nsample = 1.5")).expect_err("faults");
    assert_eq!(faults.len(), 2, "{faults:?}");
}
