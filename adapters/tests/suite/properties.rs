//! What holds for all inputs.

use adapters::card::{Measurement, Word};
use adapters::lora::{Lora, PeftConfig};
use adapters::{AdapterName, Card, Catalogue, CatalogueSettings, Digest, Expected, Limits};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;

use crate::fixture::{BASE, Draft, FINGERPRINT, base, card, name};

/// A change to bytes: flip one, cut, insert or repeat.
#[derive(Debug, Clone)]
enum Mutation {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Swap(Index, Index),
}

impl Mutation {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            4 => (any::<Index>(), any::<u8>()).prop_map(|(at, to)| Self::Set(at, to)),
            1 => any::<Index>().prop_map(Self::Cut),
            1 => (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, b)| Self::Insert(at, b)),
            2 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Self::Swap(a, b)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let at = |index: &Index| index.index(length);
        match self {
            Self::Set(index, to) => {
                let at = at(index);
                bytes[at] = *to;
            }
            Self::Cut(index) => bytes.truncate(at(index)),
            Self::Insert(index, more) => {
                let at = at(index);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Swap(a, b) => bytes.swap(at(a), at(b)),
        }
    }
}

fn mutated(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    vec(Mutation::any(), 1..5).prop_map(move |mutations| {
        let mut bytes = bytes.clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        bytes
    })
}

fn is_finite(lora: &Lora) -> bool {
    lora.sites
        .values()
        .all(|s| s.scaling.is_finite() && s.a.iter().chain(&s.b).all(|v| v.is_finite()))
}

fn fits(lora: &Lora) -> bool {
    lora.sites.iter().all(|(site, s)| {
        let (inputs, outputs) = BASE.shape(site.projection);
        (s.a.len(), s.b.len()) == (s.rank * inputs, outputs * s.rank)
    })
}

/// Whether two cards are equal, numbers to one part in 10^15: `serde_json` reads a number of many
/// digits to within one unit in the last place.
fn same(one: &Card, two: &Card) -> bool {
    let numbers = |card: &Card| -> Vec<f64> {
        let of = |m: &Measurement| [m.base, m.adapter, m.delta, m.interval[0], m.interval[1]];
        card.evaluation.iter().flat_map(of).collect()
    };
    let without = |card: &Card| {
        let mut card = card.clone();
        for m in &mut card.evaluation {
            (m.base, m.adapter, m.delta, m.interval) = (0.0, 0.0, 0.0, [0.0; 2]);
        }
        card
    };
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-15 * a.abs().max(f64::MIN_POSITIVE);
    without(one) == without(two) && numbers(one).iter().zip(&numbers(two)).all(close)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn spoilt_weight_files_never_panic_and_never_load_anything_unfit(
        weights in mutated(Draft::new(0).weights()),
    ) {
        if let Ok(lora) = Lora::parse(&Draft::new(0).config(), &weights, &BASE, &Limits::default()) {
            prop_assert!(is_finite(&lora) && fits(&lora));
        }
    }

    #[test]
    fn spoilt_configurations_never_panic_and_never_load_anything_unfit(
        config in mutated(Draft::new(0).config()),
    ) {
        if let Ok(lora) = Lora::parse(&config, &Draft::new(0).weights(), &BASE, &Limits::default()) {
            prop_assert!(is_finite(&lora) && fits(&lora));
        }
    }

    #[test]
    fn random_bytes_are_neither_weights_nor_configuration_nor_card(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(PeftConfig::parse(&bytes).is_err());
        prop_assert!(Card::parse(&bytes).is_err());
        prop_assert!(Lora::parse(&Draft::new(0).config(), &bytes, &BASE, &Limits::default()).is_err());
    }

    #[test]
    fn a_spoilt_card_that_is_still_a_card_round_trips(
        bytes in mutated(card(FINGERPRINT).to_string().into_bytes()),
    ) {
        if let Ok(card) = Card::parse(&bytes) {
            let again = Card::parse(card.to_json().unwrap().as_bytes()).unwrap();
            prop_assert!(same(&again, &card), "{again:?}\n{card:?}");
        }
    }

    #[test]
    fn measurements_round_trip(
        values in prop::array::uniform4(any::<f64>().prop_filter("JSON has no other", |v| v.is_finite())),
        metric in "[a-z0-9][a-z0-9_-]{0,63}",
        seed in any::<u64>(),
    ) {
        let mut card = Card::parse(card(FINGERPRINT).to_string().as_bytes()).unwrap();
        card.seed = seed;
        let m = &mut card.evaluation[0];
        m.metric = Word::parse(&metric).unwrap();
        (m.base, m.adapter) = (values[0], values[1]);
        m.interval = [values[2].min(values[3]), values[2].max(values[3])];
        let again = Card::parse(card.to_json().unwrap().as_bytes()).unwrap();
        prop_assert!(same(&again, &card), "{again:?}\n{card:?}");
    }

    #[test]
    fn names_are_exactly_the_grammar(text in "\\PC{0,70}|[a-z0-9._-]{0,70}|[a-zA-Z0-9/._-]{0,8}") {
        let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let grammatical = (1..=64).contains(&text.len())
            && text.starts_with(first)
            && text.chars().all(|c| first(c) || "._-".contains(c));
        prop_assert_eq!(AdapterName::parse(&text).is_ok(), grammatical);
    }

    #[test]
    fn digests_round_trip_as_text(bytes in vec(any::<u8>(), 0..40)) {
        let digest = Digest::of(&[&bytes]);
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_set_of_adapters_survives_a_restart(
        sources in btree_map("[a-z][a-z0-9._-]{0,20}", prop::bool::ANY, 0..8),
        unloaded in any::<Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        Draft::new(0).write(&root.join("a"));
        Draft::new(1).write(&root.join("b"));
        let settings = CatalogueSettings {
            root, state: Some(folder.path().join("state.json")), limits: Limits::default(),
        };
        let catalogue = Catalogue::open(settings.clone(), base()).unwrap();
        for (alias, first) in &sources {
            if !["none", "other", "tiny"].contains(&alias.as_str()) {
                let source = if *first { "a" } else { "b" };
                catalogue.load(&name(alias), source, Expected::Absent).unwrap();
            }
        }
        let loaded = catalogue.list();
        if !loaded.is_empty() {
            catalogue.unload(&loaded[unloaded.index(loaded.len())].name, Expected::Any).unwrap();
        }
        let again = Catalogue::open(settings, base()).unwrap();
        prop_assert!(again.restore_faults().is_empty());
        prop_assert_eq!(again.list(), catalogue.list());
    }

    #[test]
    fn a_spoilt_state_opens_or_is_refused_and_never_serves_another_digest(
        state in mutated(
            json!({"schema": 1, "adapters": {"x": {"source": "a", "digest": Digest::of(&[
                &Draft::new(0).config(), &Draft::new(0).weights(),
            ])}}}).to_string().into_bytes(),
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        Draft::new(0).write(&root.join("a"));
        let path = folder.path().join("state.json");
        std::fs::write(&path, state).unwrap();
        let settings = CatalogueSettings { root, state: Some(path), limits: Limits::default() };
        let expected = Digest::of(&[&Draft::new(0).config(), &Draft::new(0).weights()]);
        if let Ok(catalogue) = Catalogue::open(settings, base()) {
            prop_assert!(catalogue.list().iter().all(|info| info.digest == expected));
        }
    }
}
