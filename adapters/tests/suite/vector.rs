//! The canonical form of adapters and scales.

use adapters::{AdapterVector, Catalogue, Expected, Lease, VectorError};
use tempfile::TempDir;

use crate::fixture::{Draft, catalogue, name};

struct House {
    _root: TempDir,
    catalogue: Catalogue,
}

impl House {
    /// Adapters `gender` and `race`, and `twin` with the content of `gender`.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let catalogue = catalogue(root.path());
        for (alias, seed) in [("gender", 0), ("race", 1), ("twin", 0)] {
            Draft::new(seed).write(&root.path().join(alias));
            catalogue.load(&name(alias), alias, Expected::Absent).unwrap();
        }
        Self { _root: root, catalogue }
    }

    fn lease(&self, alias: &str) -> Lease {
        self.catalogue.resolve(&name(alias)).unwrap()
    }

    fn vector(&self, adapters: &[(&str, f32)]) -> Result<AdapterVector, VectorError> {
        AdapterVector::new(adapters.iter().map(|(n, s)| (self.lease(n), *s)).collect())
    }
}

#[test]
fn order_of_naming_does_not_matter() {
    let house = House::new();
    let one = house.vector(&[("race", 0.5), ("gender", 1.0)]).unwrap();
    let two = house.vector(&[("gender", 1.0), ("race", 0.5)]).unwrap();
    assert_eq!(one.key(), two.key());
    assert_eq!(one.set_name(), "gender+race");
    let scales: Vec<_> = one.entries().iter().map(|a| a.scale).collect();
    assert_eq!(scales, [1.0, 0.5]);
}

#[test]
fn scale_0_of_either_sign_is_absent() {
    let house = House::new();
    let vector = house.vector(&[("gender", 0.0), ("race", -0.0)]).unwrap();
    assert!(vector.is_empty());
    assert_eq!(vector.key(), AdapterVector::default().key());
    assert_eq!(vector.set_name(), "none");
    drop(vector);
    assert_eq!(house.catalogue.usage().leases, 0);
}

#[test]
fn a_name_that_stands_twice_is_refused_even_at_scale_0() {
    let house = House::new();
    for scales in [(1.0, 1.0), (0.0, 1.0)] {
        let error = house.vector(&[("gender", scales.0), ("race", 1.0), ("gender", scales.1)]);
        assert_eq!(error.unwrap_err(), VectorError::Duplicate(name("gender")));
    }
}

#[test]
fn scales_that_are_not_finite_are_refused() {
    let house = House::new();
    for scale in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = house.vector(&[("gender", 1.0), ("race", scale)]);
        assert_eq!(error.unwrap_err(), VectorError::Scale(name("race")));
    }
}

#[test]
fn keys_differ_by_content_and_by_every_bit_of_a_scale() {
    let house = House::new();
    let key = |adapters: &[(&str, f32)]| house.vector(adapters).unwrap().key();
    let next = f32::from_bits(1.0f32.to_bits() + 1);
    assert_ne!(key(&[("gender", 1.0)]), key(&[("gender", next)]));
    assert_ne!(key(&[("gender", 1.0)]), key(&[("gender", -1.0)]));
    assert_ne!(key(&[("gender", 1.0)]), key(&[("race", 1.0)]));
    assert_ne!(key(&[("gender", 1.0)]), key(&[("gender", 1.0), ("race", 1.0)]));
    assert_eq!(key(&[("gender", 1.0)]), key(&[("twin", 1.0)]));
}
