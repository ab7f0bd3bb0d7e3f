//! From two files to low-rank weights, and back.

use adapters::Limits;
use adapters::lora::{Element, Lora, LoraError, LowRank};
use model::kernels::low_rank::Factors;
use model::kernels::packed::Precision;
use model::{Projection, ServedPrecision, Site};
use serde_json::json;

use crate::fixture::{BASE, Draft, Tensor, key, noise};

const QUERY: Site = Site::new(0, Projection::Query);

fn fault(spoil: impl FnOnce(&mut Draft)) -> LoraError {
    let mut draft = Draft::new(0);
    spoil(&mut draft);
    draft.parse().expect_err("the adapter is refused")
}

#[test]
fn weights_and_scaling_are_read_by_site() {
    let lora = Draft::new(0).parse().unwrap();
    assert_eq!(lora.sites.len(), 4);
    let query = &lora.sites[&QUERY];
    assert_eq!((query.rank, query.scaling), (2, 2.0));
    assert_eq!(query.a, noise(4, 8).collect::<Vec<_>>());
    assert_eq!(query.b, noise(!4, 8).collect::<Vec<_>>());
}

#[test]
fn wrong_prefixes_are_refused_at_load() {
    for wrong in [
        "model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.layers.0.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_embedding_A",
        "base_model.model.model.layers.00.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight",
        "base_model.model.model.layers.0.mlp.q_proj.lora_A.weight",
        "base_model.model.lm_head.lora_A.weight",
        "",
    ] {
        let error = fault(|d| d.tensor(&key(0, "self_attn.q_proj", 'A')).key = wrong.to_owned());
        assert!(matches!(error, LoraError::UnknownTensor(k) if k == wrong), "{wrong}");
    }
}

#[test]
fn one_foreign_tensor_among_good_ones_is_refused() {
    let error = fault(|d| d.tensors.push(Tensor::f32("extra", [1, 1], [0.0])));
    assert!(matches!(error, LoraError::UnknownTensor(k) if k == "extra"));
}

#[test]
fn half_a_pair_is_refused() {
    for (half, missing) in [('A', 'A'), ('B', 'B')] {
        let gone = key(0, "self_attn.q_proj", half);
        let error = fault(|d| d.tensors.retain(|t| t.key != gone));
        assert!(matches!(error, LoraError::Unpaired { site: QUERY, missing: m } if m == missing));
    }
}

#[test]
fn an_adapter_without_weights_is_refused() {
    assert!(matches!(fault(|d| d.tensors.clear()), LoraError::Empty));
}

#[test]
fn targets_and_weights_must_agree() {
    let more = fault(|d| d.config["target_modules"] = json!(["q_proj", "v_proj", "k_proj"]));
    assert!(matches!(more, LoraError::Targets(site) if site.projection == Projection::Key));
    let fewer = fault(|d| d.config["target_modules"] = json!(["q_proj"]));
    assert!(matches!(fewer, LoraError::Targets(site) if site.projection == Projection::Value));
    let all = fault(|d| d.config["target_modules"] = json!("all-linear"));
    assert!(matches!(all, LoraError::Targets(_)));
    let layer = fault(|d| d.tensors.retain(|t| !t.key.contains("layers.1.self_attn.q_proj")));
    assert!(matches!(layer, LoraError::Targets(site) if site.layer == 1));
}

#[test]
fn a_rank_other_than_the_configured_is_refused() {
    let error = fault(|d| d.config["r"] = json!(3));
    assert!(matches!(error, LoraError::Rank { found: 2, expected: 3, .. }));
    let error = fault(|d| {
        *d.tensor(&key(0, "self_attn.q_proj", 'B')) =
            Tensor::f32(&key(0, "self_attn.q_proj", 'B'), [4, 1], [0.0; 4]);
    });
    assert!(matches!(error, LoraError::Rank { site: QUERY, found: 1, expected: 2 }));
}

#[test]
fn a_rank_over_the_limit_is_refused() {
    let draft = Draft::new(0);
    let limits = Limits { rank: 1, ..Limits::default() };
    let error = Lora::parse(&draft.config(), &draft.weights(), &BASE, &limits).unwrap_err();
    assert!(matches!(error, LoraError::RankLimit { found: 2, limit: 1, .. }));
}

#[test]
fn a_width_other_than_the_bases_is_refused() {
    let a = key(0, "self_attn.q_proj", 'A');
    let error = fault(|d| *d.tensor(&a) = Tensor::f32(&a, [2, 3], [0.0; 6]));
    assert!(matches!(error, LoraError::Shape { half: 'A', found: 3, expected: 4, .. }));
    let b = key(0, "self_attn.q_proj", 'B');
    let error = fault(|d| *d.tensor(&b) = Tensor::f32(&b, [5, 2], [0.0; 10]));
    assert!(matches!(error, LoraError::Shape { half: 'B', found: 5, expected: 4, .. }));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = fault(|d| d.tensor(&key(1, "self_attn.v_proj", 'B')).set(3, value));
        assert!(matches!(error, LoraError::Weights(_)), "{value}");
    }
}

#[test]
fn packing_rounds_as_the_base_is_rounded_and_keeps_shapes() {
    let lora = Draft::new(0).parse().unwrap();
    for (served, precision, bytes) in [
        // A line and a scale for each sixteen rows of four inputs; A has four, B two.
        (ServedPrecision::Auto, Precision::Int8, 2 * (64 + 32)),
        (ServedPrecision::F32, Precision::F32, (4 + 2) * 64),
    ] {
        let packed = lora.pack(served).unwrap();
        let (full, packed_query) = (&lora.sites[&QUERY], packed.site(QUERY).unwrap());
        assert_eq!((packed_query.scaling, packed.rank()), (2.0, 2));
        let factors = Factors::new(precision, 2, &full.a, &full.b).unwrap();
        assert_eq!(packed_query.factors, factors);
        let widths = (packed_query.factors.inputs(), packed_query.factors.outputs());
        assert_eq!(widths, (4, 4));
        assert_eq!(packed.site(Site::new(0, Projection::Down)), None);
        // Two layers, queries and values.
        assert_eq!(packed.resident_bytes(), 2 * 2 * bytes);
    }
}

/// B A at a site, (outputs, inputs).
fn product(low_rank: &LowRank) -> Vec<f32> {
    let (rank, inputs) = (low_rank.rank, low_rank.a.len() / low_rank.rank);
    let rows = low_rank.b.chunks_exact(rank);
    let value = |row: &[f32], input: usize| -> f32 {
        row.iter().enumerate().map(|(r, b)| b * low_rank.a[r * inputs + input]).sum()
    };
    rows.flat_map(|row| (0..inputs).map(move |input| value(row, input))).collect()
}

#[test]
fn what_is_unpacked_has_the_products_of_what_was_packed() {
    let mut draft = Draft::new(0);
    draft.tensor(&key(0, "self_attn.q_proj", 'A')).set(0, 1e20);
    let lora = draft.parse().unwrap();
    // Rounding to 8 bits moves a value by at most 1/254 of its group's largest.
    for (served, tolerance) in [(ServedPrecision::F32, 1e-6), (ServedPrecision::Auto, 0.02)] {
        let unpacked = lora.pack(served).unwrap().unpack();
        assert_eq!(
            unpacked.sites.keys().collect::<Vec<_>>(),
            lora.sites.keys().collect::<Vec<_>>()
        );
        for (site, low_rank) in &lora.sites {
            let (wanted, found) = (product(low_rank), product(&unpacked.sites[site]));
            let largest = wanted.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
            for (wanted, found) in wanted.iter().zip(&found) {
                assert!((wanted - found).abs() <= tolerance * largest, "{wanted} {found}");
            }
            assert_eq!(unpacked.sites[site].scaling, low_rank.scaling);
        }
    }
}

#[test]
fn weights_too_large_to_be_multiplied_are_refused() {
    let mut draft = Draft::new(0);
    draft.tensor(&key(0, "self_attn.q_proj", 'A')).set(0, 1e30);
    assert!(draft.parse().unwrap().pack(ServedPrecision::Auto).is_ok());
    draft.tensor(&key(0, "self_attn.q_proj", 'B')).set(0, 1e30);
    let packed = draft.parse().unwrap().pack(ServedPrecision::Auto);
    assert!(matches!(packed, Err(LoraError::NonFinite(QUERY))));
}

#[test]
fn what_is_saved_reads_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut lora = Draft::new(0).parse().unwrap();
    lora.save(folder.path(), &BASE).unwrap();
    let limits = Limits::default();
    assert_eq!(Lora::load(folder.path(), &BASE, &limits).unwrap(), lora);
    let config = std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["target_modules"], json!(["q_proj", "v_proj"]));
    assert_eq!((&config["r"], &config["lora_alpha"]), (&json!(2), &json!(4)));

    // A site of its own rank and scaling, and a layer left out.
    let odd = lora.sites.get_mut(&Site::new(1, Projection::Value)).unwrap();
    (odd.rank, odd.scaling) = (1, 0.3);
    odd.a.truncate(4);
    odd.b.truncate(2);
    lora.sites.remove(&QUERY);
    lora.save(folder.path(), &BASE).unwrap();
    assert_eq!(Lora::load(folder.path(), &BASE, &limits).unwrap(), lora);
}

#[test]
fn brain_floats_are_rounded_and_take_half_the_bytes() {
    let (full, half) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut lora = Draft::new(3).parse().unwrap();
    lora.sites.get_mut(&QUERY).unwrap().b[0] = 1.003_921;
    lora.save_as(full.path(), &BASE, Element::F32).unwrap();
    lora.save_as(half.path(), &BASE, Element::Bf16).unwrap();
    let read = Lora::load(half.path(), &BASE, &Limits::default()).unwrap();
    // Brain floats between 1 and 2 are 1/128 apart.
    assert_eq!(read.sites[&QUERY].b[0], 1.007_812_5);
    let values = |lora: &Lora| {
        lora.sites.values().flat_map(|s| [s.a.clone(), s.b.clone()].concat()).collect::<Vec<_>>()
    };
    for (rounded, exact) in values(&read).into_iter().zip(values(&lora)) {
        assert!((rounded - exact).abs() <= exact.abs() / 256.0, "{rounded} {exact}");
    }
    // Beside its header, whose length differs by its numbers' digits.
    let bytes = |folder: &tempfile::TempDir| {
        let file = std::fs::read(folder.path().join("adapter_model.safetensors")).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap());
        file.len() as u64 - 8 - header
    };
    assert_eq!(bytes(&full), 2 * bytes(&half));
}

#[test]
fn the_same_weights_are_saved_as_the_same_bytes() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&one, &two] {
        Draft::new(7).parse().unwrap().save(folder.path(), &BASE).unwrap();
    }
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let bytes = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).unwrap();
        assert_eq!(bytes(&one), bytes(&two));
    }
}

#[test]
fn weights_that_are_not_finite_are_not_saved() {
    let folder = tempfile::tempdir().unwrap();
    let mut lora = Draft::new(0).parse().unwrap();
    lora.sites.get_mut(&QUERY).unwrap().b[0] = f32::NAN;
    let error = lora.save(&folder.path().join("out"), &BASE).unwrap_err();
    assert!(matches!(error, LoraError::NonFinite(QUERY)));
    assert!(!folder.path().join("out").exists());
}
