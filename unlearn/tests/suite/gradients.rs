//! Gradients of an adapter through the whole decoder, beside finite differences.

use candle_core::{DType, Device, Tensor, Var};
use model::{DenseDecoder, Projection};
use unlearn::loss::likelihood::log_likelihood;
use unlearn::loss::nll::nll;
use unlearn::training::{Shape, TrainableDelta};

use crate::open;

const TOKENS: [u32; 9] = [5, 77, 130, 12, 201, 9, 44, 90, 61];
/// The masked tokens, by place.
const ASKED: [usize; 3] = [2, 5, 6];

fn shape() -> Shape {
    Shape { rank: 3, alpha: 6.0, projections: Projection::ALL.to_vec() }
}

/// An adapter whose B is not zero any more.
fn delta(decoder: &DenseDecoder) -> TrainableDelta {
    let delta = TrainableDelta::new(decoder.config(), &shape(), 1, &Device::Cpu).unwrap();
    for (index, b) in delta.variables().iter().skip(1).step_by(2).enumerate() {
        let (rows, columns) = b.dims2().unwrap();
        let value = |at: usize| ((at * 31 + index * 7) % 23) as f32 / 115.0 - 0.1;
        let values: Vec<f32> = (0..rows * columns).map(value).collect();
        b.set(&Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()).unwrap();
    }
    delta
}

fn hidden(decoder: &DenseDecoder, delta: &TrainableDelta, tokens: &[u32]) -> Tensor {
    let tokens = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    decoder.hidden(&tokens, delta).unwrap().squeeze(0).unwrap()
}

/// The mean NLL of the masked tokens.
fn loss(decoder: &DenseDecoder, hidden: &Tensor) -> Tensor {
    let rows: Vec<u32> = ASKED.iter().map(|at| *at as u32 - 1).collect();
    let targets: Vec<u32> = ASKED.iter().map(|at| TOKENS[*at]).collect();
    let rows = hidden.index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap();
    let logits = decoder.logits(&rows).unwrap();
    nll(&log_likelihood(&logits, &Tensor::new(targets, &Device::Cpu).unwrap()).unwrap()).unwrap()
}

#[test]
fn every_variable_has_the_gradient_of_finite_differences() {
    const STEP: f32 = 2e-2;
    let decoder = open("tiny-llama").dense(DType::F32, &Device::Cpu).unwrap();
    let delta = delta(&decoder);
    let value = || {
        let loss = loss(&decoder, &hidden(&decoder, &delta, &TOKENS));
        loss.to_scalar::<f32>().unwrap()
    };
    let gradients = loss(&decoder, &hidden(&decoder, &delta, &TOKENS)).backward().unwrap();
    for (number, variable) in delta.variables().iter().enumerate() {
        let gradient: Vec<f32> =
            gradients.get(variable).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        // Along the gradient the loss changes most, and noise matters least.
        let length = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
        let before = variable.as_tensor().copy().unwrap();
        let moved = |by: f32| {
            let along: Vec<f32> = gradient.iter().map(|g| g / length * by).collect();
            let along = Tensor::from_vec(along, before.dims(), &Device::Cpu).unwrap();
            variable.set(&(&before + along).unwrap()).unwrap();
            let value = value();
            variable.set(&before).unwrap();
            value
        };
        let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
        assert!((slope - length).abs() < 0.02 * length + 1e-4, "{number}: {slope} {length}");
    }
}

#[test]
fn positions_that_are_not_asked_get_exactly_no_gradient() {
    let decoder = open("tiny-llama").dense(DType::F32, &Device::Cpu).unwrap();
    let hidden = Var::from_tensor(&hidden(&decoder, &delta(&decoder), &TOKENS)).unwrap();
    let gradients = loss(&decoder, &hidden).backward().unwrap();
    let gradient: Vec<Vec<f32>> = gradients.get(&hidden).unwrap().to_vec2().unwrap();
    for (position, gradient) in gradient.iter().enumerate() {
        let asked = ASKED.contains(&(position + 1));
        assert_eq!(gradient.iter().any(|g| *g != 0.0), asked, "{position}");
    }
}

#[test]
fn tokens_after_the_last_masked_one_change_nothing() {
    let decoder = open("tiny-llama").dense(DType::F32, &Device::Cpu).unwrap();
    let delta = delta(&decoder);
    let of = |tokens: &[u32]| {
        let gradients = loss(&decoder, &hidden(&decoder, &delta, tokens)).backward().unwrap();
        let variables = delta.variables();
        let gradient = |v: &Var| gradients.get(v).unwrap().flatten_all().unwrap();
        variables.iter().flat_map(|v| gradient(v).to_vec1::<f32>().unwrap()).collect::<Vec<_>>()
    };
    let mut other = TOKENS;
    (other[7], other[8]) = (3, 250);
    let (one, two) = (of(&TOKENS), of(&other));
    let away = one.iter().zip(two).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
    assert!(away < 1e-6, "{away}");
}
