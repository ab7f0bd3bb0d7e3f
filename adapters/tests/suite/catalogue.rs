//! Names, generations, leases, limits and conflicts.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use adapters::{
    Catalogue, CatalogueError, Counters, Digest, Doubt, Expected, Limits, Usage, Verification,
};
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{Draft, FINGERPRINT, card, catalogue, catalogue_within, name};

/// Bytes of one fixture adapter in memory.
const BYTES: u64 = 768;

/// A root with the adapters `a`, `b` and `c`, all different.
fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (seed, source) in ["a", "b", "c"].iter().enumerate() {
        Draft::new(seed as u32).write(&root.path().join(source));
    }
    root
}

fn load(catalogue: &Catalogue, alias: &str, source: &str) -> Digest {
    catalogue.load(&name(alias), source, Expected::Any).unwrap().digest
}

fn found(result: Result<impl Sized, CatalogueError>) -> Option<Digest> {
    match result.err() {
        Some(CatalogueError::Conflict { found, .. }) => found,
        other => panic!("not a conflict: {other:?}"),
    }
}

#[test]
fn an_unknown_name_is_an_error_never_the_base() {
    let root = root();
    let catalogue = catalogue(root.path());
    let error = catalogue.resolve(&name("gender")).unwrap_err();
    assert!(matches!(error, CatalogueError::Unknown(n) if n == name("gender")));
    assert_eq!(catalogue.get(&name("gender")), None);
    let error = catalogue.unload(&name("gender"), Expected::Any).unwrap_err();
    assert!(matches!(error, CatalogueError::Unknown(_)));
}

#[test]
fn what_is_loaded_is_listed_by_name() {
    let root = root();
    let catalogue = catalogue(root.path());
    let race = load(&catalogue, "race", "b");
    let gender = load(&catalogue, "gender", "a");
    let listed: Vec<_> =
        catalogue.list().into_iter().map(|info| (info.name, info.source, info.digest)).collect();
    let expected = [(name("gender"), "a".to_owned(), gender), (name("race"), "b".to_owned(), race)];
    assert_eq!(listed, expected);
    let info = catalogue.get(&name("race")).unwrap();
    assert_eq!((info.rank, info.resident_bytes), (2, BYTES));
}

#[test]
fn the_digest_is_that_of_the_content() {
    let root = root();
    let catalogue = catalogue(root.path());
    let draft = Draft::new(0);
    let expected = Digest::of(&[&draft.config(), &draft.weights()]);
    assert_eq!(load(&catalogue, "x", "a"), expected);
    assert_eq!(load(&catalogue, "y", "a"), expected);
    assert_ne!(load(&catalogue, "z", "b"), expected);
}

#[test]
fn a_swap_moves_the_name_and_leaves_leases_alone() {
    let root = root();
    let catalogue = catalogue(root.path());
    let old = load(&catalogue, "x", "a");
    let lease = catalogue.resolve(&name("x")).unwrap();
    let leases = || catalogue.get(&name("x")).unwrap().leases;
    assert_eq!(leases(), 1);
    let new = load(&catalogue, "x", "b");
    assert_eq!(leases(), 0, "leases are counted by generation, not by name");
    assert_eq!(lease.digest(), old);
    assert_eq!(catalogue.resolve(&name("x")).unwrap().digest(), new);
    let usage = catalogue.usage();
    assert_eq!((usage.live_generations, usage.retired_generations), (1, 1));
    assert_eq!(usage.resident_bytes, 2 * BYTES);
    drop(lease);
    assert_eq!(catalogue.usage().resident_bytes, BYTES);
}

#[test]
fn unloading_frees_the_bytes_when_the_last_lease_is_dropped() {
    let root = root();
    let catalogue = catalogue(root.path());
    load(&catalogue, "x", "a");
    let lease = catalogue.resolve(&name("x")).unwrap();
    let clone = lease.clone();
    catalogue.unload(&name("x"), Expected::Any).unwrap();
    assert!(matches!(catalogue.resolve(&name("x")), Err(CatalogueError::Unknown(_))));
    let leased =
        Usage { resident_bytes: BYTES, live_generations: 0, retired_generations: 1, leases: 1 };
    assert_eq!(catalogue.usage(), leased);
    drop(lease);
    assert_eq!(catalogue.usage(), leased);
    assert_eq!(clone.adapter().resident_bytes(), BYTES);
    drop(clone);
    assert_eq!(catalogue.usage(), Usage::default());
}

#[test]
fn a_lease_outlives_the_catalogue() {
    let root = root();
    let catalogue = catalogue(root.path());
    let digest = load(&catalogue, "x", "a");
    let lease = catalogue.resolve(&name("x")).unwrap();
    drop(catalogue);
    assert_eq!(lease.digest(), digest);
}

#[test]
fn changes_meet_their_expectations_or_change_nothing() {
    let root = root();
    let catalogue = catalogue(root.path());
    let x = name("x");
    let other = Digest::of(&[]);
    assert_eq!(found(catalogue.load(&x, "a", Expected::Generation(other))), None);
    let a = catalogue.load(&x, "a", Expected::Absent).unwrap().digest;
    assert_eq!(found(catalogue.load(&x, "b", Expected::Absent)), Some(a));
    assert_eq!(found(catalogue.load(&x, "b", Expected::Generation(other))), Some(a));
    assert_eq!(found(catalogue.unload(&x, Expected::Generation(other))), Some(a));
    assert_eq!(found(catalogue.unload(&x, Expected::Absent)), Some(a));
    assert_eq!(catalogue.get(&x).unwrap().digest, a);
    let b = catalogue.load(&x, "b", Expected::Generation(a)).unwrap().digest;
    catalogue.unload(&x, Expected::Generation(b)).unwrap();
    assert_eq!(catalogue.get(&x), None);
    assert_eq!(catalogue.counters(), Counters { loads: 1, swaps: 1, unloads: 1, refusals: 5 });
}

#[test]
fn of_two_loads_of_a_free_name_at_once_at_most_one_wins() {
    let root = root();
    for _ in 0..50 {
        let catalogue = catalogue(root.path());
        let start = Barrier::new(2);
        let attempt = |source: &'static str| {
            start.wait();
            catalogue.load(&name("x"), source, Expected::Absent).map(|info| info.digest)
        };
        let results = std::thread::scope(|scope| {
            [scope.spawn(|| attempt("a")), scope.spawn(|| attempt("b"))].map(|t| t.join().unwrap())
        });
        let winners: Vec<_> = results.iter().filter_map(|r| r.as_ref().ok()).collect();
        assert_eq!(winners, [&catalogue.get(&name("x")).unwrap().digest]);
        assert_eq!(catalogue.usage().resident_bytes, BYTES);
    }
}

#[test]
fn a_refused_swap_leaves_the_old_generation_serving() {
    let root = root();
    let catalogue = catalogue(root.path());
    let a = load(&catalogue, "x", "a");
    std::fs::write(root.path().join("b/adapter_model.safetensors"), b"junk").unwrap();
    for source in ["b", "none", "../a"] {
        let error = catalogue.load(&name("x"), source, Expected::Any).unwrap_err();
        assert!(matches!(error, CatalogueError::Adapter(_)), "{source}");
    }
    assert_eq!(catalogue.resolve(&name("x")).unwrap().digest(), a);
    assert_eq!(catalogue.usage().resident_bytes, BYTES);
}

#[test]
fn names_that_mean_something_else_are_refused() {
    let root = root();
    let catalogue = catalogue(root.path());
    for reserved in ["none", "other", "tiny"] {
        let error = catalogue.load(&name(reserved), "a", Expected::Any).unwrap_err();
        assert!(matches!(error, CatalogueError::Reserved(n) if n == name(reserved)));
    }
}

#[test]
fn the_number_of_names_is_limited_but_swaps_are_free() {
    let root = root();
    let catalogue = catalogue_within(root.path(), Limits { adapters: 2, ..Limits::default() });
    load(&catalogue, "x", "a");
    load(&catalogue, "y", "b");
    let error = catalogue.load(&name("z"), "c", Expected::Any).unwrap_err();
    assert!(matches!(error, CatalogueError::TooMany { limit: 2 }));
    load(&catalogue, "y", "c");
    catalogue.unload(&name("x"), Expected::Any).unwrap();
    load(&catalogue, "z", "c");
}

#[test]
fn the_byte_limit_counts_retired_generations_that_are_leased() {
    let root = root();
    let limits = Limits { resident_bytes: 2 * BYTES, ..Limits::default() };
    let catalogue = catalogue_within(root.path(), limits);
    load(&catalogue, "x", "a");
    let lease = catalogue.resolve(&name("x")).unwrap();
    load(&catalogue, "x", "b");
    let error = catalogue.load(&name("y"), "c", Expected::Any).unwrap_err();
    let full = CatalogueError::Full { needed: BYTES, resident: 2 * BYTES, limit: 2 * BYTES };
    assert_eq!(error.to_string(), full.to_string());
    drop(lease);
    load(&catalogue, "y", "c");
}

#[test]
fn a_thousand_swaps_under_leases_leave_memory_where_it_was() {
    let root = root();
    let catalogue = catalogue(root.path());
    let digests = [load(&catalogue, "x", "b"), load(&catalogue, "x", "a")];
    let before = catalogue.usage();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let lease = catalogue.resolve(&name("x")).unwrap();
                    assert!(digests.contains(&lease.digest()));
                }
            });
        }
        for i in 0..1000 {
            load(&catalogue, "x", if i % 2 == 0 { "b" } else { "a" });
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(catalogue.usage(), before);
    assert_eq!(catalogue.counters().swaps, 1001);
}

#[test]
fn an_adapter_is_verified_only_by_a_card_for_these_weights() {
    let root = root();
    let other = FINGERPRINT.replace("aa", "bb");
    std::fs::write(root.path().join("b/card.json"), card(FINGERPRINT).to_string()).unwrap();
    std::fs::write(root.path().join("c/card.json"), card(&other).to_string()).unwrap();
    let catalogue = catalogue(root.path());
    let unverified = |reason| Verification::Unverified { reason };
    for (source, expected) in [
        ("a", unverified(Doubt::NoCard)),
        ("b", Verification::Verified),
        ("c", unverified(Doubt::OtherBase { name: "tiny".to_owned() })),
    ] {
        load(&catalogue, source, source);
        let info = catalogue.get(&name(source)).unwrap();
        assert_eq!(info.verification, expected);
        assert_eq!(info.card.is_some(), source != "a");
    }
}

#[test]
fn a_damaged_card_is_refused() {
    let root = root();
    let mut damaged = card(FINGERPRINT);
    damaged["schema"] = json!(2);
    std::fs::write(root.path().join("a/card.json"), damaged.to_string()).unwrap();
    let error = catalogue(root.path()).load(&name("x"), "a", Expected::Any).unwrap_err();
    assert!(error.to_string().contains("schema 2 is not supported"), "{error}");
}

#[test]
fn a_root_that_is_not_there_is_an_error() {
    let root = root();
    let settings = adapters::CatalogueSettings {
        root: root.path().join("none"),
        state: None,
        limits: Limits::default(),
    };
    let error = Catalogue::open(settings, crate::fixture::base()).unwrap_err();
    assert!(matches!(error, CatalogueError::Root(_)));
}
