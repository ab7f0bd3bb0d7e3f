//! Which crate may import which, and what none may do without.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// A crate of ours.
struct Rule {
    name: &'static str,
    /// The crates of ours that it may import.
    may_import: &'static [&'static str],
    /// Crates of others that it must never depend on.
    never: &'static [&'static str],
}

const HTTP: [&str; 4] = ["actix-web", "actix-http", "hyper", "axum"];

const RULES: [Rule; 9] = [
    Rule { name: "model", may_import: &[], never: &["tokio"] },
    Rule { name: "adapters", may_import: &["model"], never: &["tokio"] },
    Rule { name: "gateway-wire", may_import: &[], never: &["tokio", "candle-core", "candle-nn"] },
    Rule { name: "gateway-toxicity", may_import: &[], never: &["tokio"] },
    Rule { name: "gateway-engine", may_import: &["model", "adapters"], never: &[] },
    Rule {
        name: "gateway-mistralrs",
        may_import: &["gateway-engine", "adapters", "model"],
        never: &[],
    },
    Rule {
        name: "gateway-server",
        may_import: &[
            "gateway-wire",
            "gateway-engine",
            "gateway-mistralrs",
            "gateway-toxicity",
            "adapters",
            "model",
        ],
        never: &["candle-core", "candle-nn", "mistralrs-core"],
    },
    Rule { name: "unlearn", may_import: &["model", "adapters", "gateway-toxicity"], never: &[] },
    Rule {
        name: "acceptance",
        may_import: &["gateway-server", "gateway-engine", "gateway-wire", "adapters"],
        never: &[],
    },
];

/// The crates that may speak HTTP.
const SERVERS: [&str; 2] = ["gateway-server", "acceptance"];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("metadata")
}

fn imports(package: &Package) -> impl Iterator<Item = &str> {
    let shipped = package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development);
    shipped.map(|dependency| dependency.name.as_str())
}

/// Why the crate `name` must not depend on `import`, if it must not.
fn fault(name: &str, import: &str) -> Option<String> {
    let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
        return Some(format!("{name} has no rule in this file"));
    };
    let ours = RULES.iter().any(|rule| rule.name == import);
    if ours && !rule.may_import.contains(&import) {
        return Some(format!("{name} must not import {import}"));
    }
    if rule.never.contains(&import) {
        return Some(format!("{name} must not depend on {import}"));
    }
    let http = HTTP.contains(&import) && !SERVERS.contains(&name);
    http.then(|| format!("{name} must not speak HTTP through {import}"))
}

#[test]
fn every_arrow_between_crates_is_one_that_the_house_allows() {
    for package in &metadata().packages {
        let name = package.name.as_str();
        assert!(RULES.iter().any(|rule| rule.name == name), "{name} has no rule in this file");
        let faults: Vec<_> = imports(package).filter_map(|import| fault(name, import)).collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn forbidden_arrows_are_seen() {
    for (name, import) in [
        ("model", "adapters"),
        ("adapters", "gateway-engine"),
        ("gateway-engine", "gateway-wire"),
        ("gateway-server", "candle-core"),
        ("gateway-server", "mistralrs-core"),
        ("gateway-engine", "gateway-mistralrs"),
        ("gateway-wire", "tokio"),
        ("unlearn", "gateway-server"),
        ("unlearn", "actix-web"),
        ("a-crate-without-a-rule", "serde"),
    ] {
        assert!(fault(name, import).is_some(), "{name} to {import}");
    }
    for (name, import) in
        [("adapters", "model"), ("gateway-server", "actix-web"), ("model", "half")]
    {
        assert_eq!(fault(name, import), None);
    }
}

#[test]
fn every_crate_has_the_lints_of_the_house() {
    for package in metadata().packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        let inherits = manifest.contains("[lints]\nworkspace = true\n");
        assert!(inherits, "{} does not inherit the lints", package.name);
    }
}
