//! The fused operations beside candle's, forward and backward.

use std::slice::from_ref;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::ops;
use candle_nn::rotary_emb::rope_slow;

use super::frozen::Frozen;
use super::heads::Heads;
use super::{gate, norm, softmax};
use crate::kernels::elementwise::Rotation;
use crate::kernels::linear::tests::Noise;

fn noise(seed: u64, shape: &[usize]) -> Var {
    let mut noise = Noise::new(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| noise.next()).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

/// Asserts that two functions of `inputs` agree, and so do the gradients of a weighted sum of what
/// they give.
fn same(inputs: &[Var], one: impl Fn() -> Result<Tensor>, two: impl Fn() -> Result<Tensor>) {
    let results = [one().unwrap(), two().unwrap()];
    let weights = noise(99, results[0].dims());
    close(&results[0], &results[1]);
    let gradients =
        results.map(|y| (y * &*weights).unwrap().sum_all().unwrap().backward().unwrap());
    for input in inputs {
        close(gradients[0].get(input).unwrap(), gradients[1].get(input).unwrap());
    }
}

fn close(a: &Tensor, b: &Tensor) {
    assert_eq!(a.dims(), b.dims());
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (a, b) in values(a).into_iter().zip(values(b)) {
        assert!((a - b).abs() <= 2e-5 * b.abs().max(1.0), "{a} {b}");
    }
}

#[test]
fn a_frozen_layer_is_candles_product_and_leaves_its_weight_alone() {
    let (x, weight) = (noise(1, &[7, 12]), noise(2, &[5, 12]));
    let frozen = Frozen::Exact(weight.as_tensor().clone());
    same(from_ref(&x), || frozen.apply(&x), || x.matmul(&weight.t()?));
    let loss = frozen.apply(&x).unwrap().sum_all().unwrap();
    assert!(loss.backward().unwrap().get(&weight).is_none());
    assert!(frozen.apply(&weight.t().unwrap()).is_err());
}

#[test]
fn a_layer_in_brain_floats_is_near_the_exact_one_forward_and_back() {
    let (x, weight) = (noise(1, &[7, 12]), noise(2, &[5, 12]));
    let frozen = match Frozen::new(weight.as_tensor(), DType::BF16, &Device::Cpu) {
        Ok(frozen) => frozen,
        Err(error) => return assert!(error.to_string().contains("use f32")),
    };
    let exact = x.matmul(&weight.t().unwrap()).unwrap();
    let brain = frozen.apply(&x).unwrap();
    let gradient = |y: &Tensor| y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
    let gradients = [&exact, &brain].map(|y| gradient(y).get(&x).unwrap().clone());
    for (near, exact) in [(&brain, &exact), (&gradients[1], &gradients[0])] {
        let away = (near - exact).unwrap().abs().unwrap().max_all().unwrap();
        assert!(away.to_scalar::<f32>().unwrap() < 0.05);
    }
    assert!(frozen.apply(&weight.t().unwrap()).is_err());
}

#[test]
fn the_fused_norm_is_candles() {
    let (x, weight) = (noise(3, &[9, 37]), noise(4, &[37]));
    same(
        from_ref(&x),
        || norm::rms_norm(&x, &weight, 1e-5),
        || ops::rms_norm_slow(&x, &weight, 1e-5),
    );
}

#[test]
fn the_fused_gate_is_candles() {
    let (gate, up) = (noise(5, &[9, 37]), noise(6, &[9, 37]));
    same(&[gate.clone(), up.clone()], || gate::gated(&gate, &up), || gate.silu()? * &*up);
}

#[test]
fn the_fused_softmax_is_candles_and_never_looks_ahead() {
    let scores = noise(7, &[2, 15, 5]);
    let composed = || {
        let mask: Vec<f32> =
            (0..75).map(|i| if i % 5 > i / 5 % 5 { f32::NEG_INFINITY } else { 0.0 }).collect();
        let mask = Tensor::from_vec(mask, (1, 15, 5), &Device::Cpu)?;
        ops::softmax(&(scores.as_tensor() * 0.3)?.broadcast_add(&mask)?, 2)
    };
    same(from_ref(&scores), || softmax::causal_softmax(&scores, 0.3), composed);
    let weights = softmax::causal_softmax(&scores, 0.3).unwrap().to_vec3::<f32>().unwrap();
    assert_eq!(weights[1][7][3..], [0.0, 0.0]);
}

#[test]
fn heads_are_split_rotated_and_merged_as_by_candle() {
    let (batch, length, head_dim) = (2, 5, 8);
    let rotation = Rotation::new(10_000.0, head_dim, length).into();
    let heads = Heads { batch, length, head_dim, rotation, angles: None };
    let x = noise(8, &[batch * length, 3 * head_dim]);
    let split = || x.reshape((batch, length, 3, head_dim))?.transpose(1, 2)?.contiguous();
    same(from_ref(&x), || heads.split(&x), split);
    let frequencies = crate::kernels::elementwise::frequencies(10_000.0, head_dim);
    let angles: Vec<f32> =
        (0..length).flat_map(|t| frequencies.iter().map(move |f| t as f32 * f)).collect();
    let angles = Tensor::from_vec(angles, (length, head_dim / 2), &Device::Cpu).unwrap();
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    same(from_ref(&x), || heads.rotated(&x), || rope_slow(&split()?, &cos, &sin));
    let y = noise(9, &[batch, 3, length, head_dim]);
    same(
        from_ref(&y),
        || heads.merge(&y),
        || y.transpose(1, 2)?.reshape((batch * length, 3 * head_dim)),
    );
}
