//! Merged weights, concatenated ranks and the unmerged sum are one function.

use adapters::lora::Lora;
use adapters::merge::{MergeError, concatenate, fold};
use adapters::{Limits, TensorDelta};
use candle_core::{Device, Tensor};
use model::{Delta as _, Projection, Site};
use serde_json::json;

use crate::fixture::{BASE, Draft, key, noise};

const QUERY: Site = Site::new(0, Projection::Query);

/// Rank 2 with alpha 4, and rank 1 with alpha 3 on the queries only.
fn mixed() -> (Lora, Lora) {
    let two = Draft::new(0).parse().unwrap();
    let mut draft = Draft::new(5)
        .set("r", json!(1))
        .set("lora_alpha", json!(3))
        .set("target_modules", json!(["q_proj"]));
    draft.tensors.retain(|t| t.key.contains("q_proj"));
    for layer in 0..BASE.layers {
        let a = draft.tensor(&key(layer, "self_attn.q_proj", 'A'));
        a.shape = vec![1, 4];
        a.bytes.truncate(16);
        let b = draft.tensor(&key(layer, "self_attn.q_proj", 'B'));
        b.shape = vec![4, 1];
        b.bytes.truncate(16);
    }
    (two, draft.parse().unwrap())
}

fn tensor(rows: usize, columns: usize, values: Vec<f32>) -> Tensor {
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

/// x W^T plus the delta, for three rows of x.
fn unmerged(site: Site, weight: &[f32], adapters: &[(&Lora, f32)]) -> Vec<f32> {
    let (inputs, outputs) = BASE.shape(site.projection);
    let x = tensor(3, inputs, noise(99, 3 * inputs).collect());
    let w = tensor(outputs, inputs, weight.to_vec());
    let mut y = x.matmul(&w.t().unwrap()).unwrap();
    TensorDelta::new(adapters, &Device::Cpu).unwrap().add(site, &x, &mut y).unwrap();
    y.flatten_all().unwrap().to_vec1().unwrap()
}

fn weight(site: Site) -> Vec<f32> {
    let (inputs, outputs) = BASE.shape(site.projection);
    noise(17, inputs * outputs).collect()
}

fn assert_close(one: &[f32], two: &[f32]) {
    assert_eq!(one.len(), two.len());
    let away = one.iter().zip(two).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(away < 1e-5, "{away}");
}

#[test]
fn merged_weights_equal_the_unmerged_sum() {
    let (two, one) = mixed();
    for scales in [(1.0, 1.0), (0.5, -0.75), (-1.0, 0.0)] {
        let adapters = [(&two, scales.0), (&one, scales.1)];
        for site in two.sites.keys().copied() {
            let base = weight(site);
            let mut merged = base.clone();
            fold(site, &mut merged, &adapters).unwrap();
            assert_ne!(merged, base);
            assert_close(&unmerged(site, &merged, &[]), &unmerged(site, &base, &adapters));
        }
    }
}

#[test]
fn concatenated_ranks_equal_the_weighted_sum() {
    let (two, one) = mixed();
    let adapters = [(&two, 0.5), (&one, -0.75)];
    let sum = concatenate(&adapters).unwrap();
    for (&site, low_rank) in &sum.sites {
        assert_eq!((low_rank.rank, low_rank.scaling), (3, 1.0));
        let base = weight(site);
        assert_close(&unmerged(site, &base, &[(&sum, 1.0)]), &unmerged(site, &base, &adapters));
    }
    assert_eq!(sum.sites.keys().collect::<Vec<_>>(), two.sites.keys().collect::<Vec<_>>());
}

#[test]
fn a_concatenation_saves_with_one_rank_and_reads_back() {
    let (two, one) = mixed();
    let sum = concatenate(&[(&two, 0.5), (&one, -0.75)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    sum.save(folder.path(), &BASE).unwrap();
    let config = std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["r"], &config["rank_pattern"]), (&json!(3), &json!({})));
    assert_eq!(Lora::load(folder.path(), &BASE, &Limits::default()).unwrap(), sum);
}

#[test]
fn sites_without_adapters_and_scale_0_leave_the_weight_as_it_is() {
    let (two, one) = mixed();
    for (site, scale) in [(Site::new(0, Projection::Down), 1.0), (QUERY, 0.0)] {
        let mut merged = weight(site);
        fold(site, &mut merged, &[(&two, scale), (&one, scale)]).unwrap();
        assert_eq!(merged, weight(site));
    }
}

#[test]
fn what_cannot_be_merged_is_refused() {
    let (two, one) = mixed();
    let mut short = vec![0.0; 15];
    let error = fold(QUERY, &mut short, &[(&two, 1.0)]).unwrap_err();
    assert_eq!(error, MergeError::Shape { site: QUERY, found: 15, expected: 16 });
    assert_eq!(concatenate(&[]).unwrap_err(), MergeError::Empty);
    assert_eq!(concatenate(&[(&two, 0.0)]).unwrap_err(), MergeError::Empty);

    let mut wide = one.clone();
    wide.sites.get_mut(&QUERY).unwrap().b.push(0.0);
    let pair = [(&two, 1.0), (&wide, 1.0)];
    assert_eq!(concatenate(&pair).unwrap_err(), MergeError::Disagreement(QUERY));
    assert_eq!(
        fold(QUERY, &mut weight(QUERY), &pair).unwrap_err(),
        MergeError::Disagreement(QUERY)
    );

    let mut large = two;
    large.sites.get_mut(&QUERY).unwrap().scaling = 1e30;
    let overflow = [(&large, 1e30)];
    assert_eq!(concatenate(&overflow).unwrap_err(), MergeError::NonFinite(QUERY));
    assert_eq!(
        fold(QUERY, &mut weight(QUERY), &overflow).unwrap_err(),
        MergeError::NonFinite(QUERY)
    );
}
