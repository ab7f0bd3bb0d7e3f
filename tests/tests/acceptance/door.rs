//! Adapters that must not get in.

use std::path::{Path, PathBuf};

use crate::client::Reply;
use crate::house::{House, copy_folder};

/// A copy of adapter `one` whose weights `change` has changed.
fn changed(house: &House, name: &str, change: impl Fn(&mut Vec<u8>)) -> Reply {
    let folder = house.adapters().join(name);
    copy_folder(&house.adapters().join("one"), &folder);
    let weights = weights(&folder);
    let mut bytes = std::fs::read(&weights).expect("the weights");
    change(&mut bytes);
    std::fs::write(&weights, bytes).expect("written");
    house.load(name, name)
}

fn weights(folder: &Path) -> PathBuf {
    folder.join("adapter_model.safetensors")
}

fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut found = 0;
    for start in 0..bytes.len() - from.len() {
        if bytes[start..].starts_with(from) {
            bytes[start..start + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "nothing to replace");
}

/// Nothing of it is there: not listed, not chosen, no memory held.
fn refused(house: &House, name: &str, reply: &Reply) {
    assert_eq!(reply.status, 422, "{name}: {}", reply.text());
    assert_eq!(house.get(&format!("/v1/adapters/{name}")).status, 404);
    assert!((house.metric("lethe_adapters_loaded") - 3.0).abs() < f64::EPSILON);
}

/// T7: vLLM loads it and answers as the base (issue 34186).
#[test]
fn an_adapter_whose_modules_match_nothing_is_refused() {
    let house = House::open();
    let reply = changed(&house, "prefix", |bytes| replace(bytes, b".layers.", b".leyers."));
    refused(&house, "prefix", &reply);
}

/// Measured: vLLM answers wrongly, or with nothing.
#[test]
fn wrong_widths_and_numbers_that_are_none_are_refused() {
    let house = House::open();
    let bytes = house.metric("lethe_adapters_resident_bytes");
    let reply = changed(&house, "width", |bytes| replace(bytes, b"[4,64]", b"[2,99]"));
    refused(&house, "width", &reply);
    let reply = changed(&house, "nan", |bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    refused(&house, "nan", &reply);
    let reply = changed(&house, "cut", |bytes| bytes.truncate(1_000));
    refused(&house, "cut", &reply);
    assert!((house.metric("lethe_adapters_resident_bytes") - bytes).abs() < f64::EPSILON);
}
