//! Logistic regression with an L2 penalty, for several outputs at once.
//!
//! For each output, the mean logistic loss over the texts whose label is known, plus
//! `l2 / 2 |w|^2`, is minimised by accelerated gradient steps on all texts. (Nesterov, "A method
//! for solving the convex programming problem with convergence rate O(1/k^2)", 1983.) The step is
//! what the curvature allows, so there is nothing to tune, and nothing is drawn.

use candle_core::{DType, Device, Result, Tensor};

/// Rounds of power iteration; the curvature is overestimated a little to be safe.
const POWER_ROUNDS: usize = 100;
const SAFETY: f64 = 1.05;

/// What is known of the texts.
pub(super) struct Texts {
    /// (N, E).
    pub(super) inputs: Tensor,
    /// (N, C), in [0, 1].
    pub(super) targets: Tensor,
    /// (N, C), 1 where the label is known.
    pub(super) known: Tensor,
}

/// What was found.
pub(super) struct Fitted {
    /// (C, E).
    pub(super) weight: Tensor,
    /// (C).
    pub(super) bias: Tensor,
}

/// Fits the weights in `rounds` steps. The bias is not penalised.
pub(super) fn fit(texts: &Texts, l2: f64, rounds: usize) -> Result<Fitted> {
    let (count, width) = texts.inputs.dims2()?;
    let ones = Tensor::ones((count, 1), DType::F32, &Device::Cpu)?;
    // (N, E + 1): the last input is the bias's.
    let inputs = Tensor::cat(&[&texts.inputs, &ones], 1)?;
    let shares = texts.known.broadcast_div(&texts.known.sum_keepdim(0)?.clamp(1.0, f64::MAX)?)?;
    let penalty = penalty(width, l2)?;
    let step = (curvature(&inputs, &shares)? * 0.25)?.affine(1.0, l2)?.recip()?;
    let outputs = texts.targets.dim(1)?;
    let mut weights = Tensor::zeros((width + 1, outputs), DType::F32, &Device::Cpu)?;
    let mut ahead = weights.clone();
    let mut momentum = 1.0_f64;
    for _ in 0..rounds {
        let chances = sigmoid(&inputs.matmul(&ahead)?)?;
        let errors = ((chances - &texts.targets)? * &shares)?;
        let slope = inputs.t()?.matmul(&errors)?;
        let gradient = (slope + ahead.broadcast_mul(&penalty)?)?;
        let next = (&ahead - gradient.broadcast_mul(&step)?)?;
        let grown = f64::midpoint(1.0, 4.0_f64.mul_add(momentum * momentum, 1.0).sqrt());
        ahead = (&next + ((&next - &weights)? * ((momentum - 1.0) / grown))?)?;
        (weights, momentum) = (next, grown);
    }
    Ok(Fitted {
        weight: weights.narrow(0, 0, width)?.t()?.contiguous()?,
        bias: weights.narrow(0, width, 1)?.squeeze(0)?,
    })
}

/// `1 / (1 + exp(-x))`, by way of tanh, which cannot overflow.
fn sigmoid(x: &Tensor) -> Result<Tensor> {
    (x * 0.5)?.tanh()?.affine(0.5, 0.5)
}

/// `l2` for each weight and 0 for the bias: (E + 1, 1).
fn penalty(width: usize, l2: f64) -> Result<Tensor> {
    let weights = Tensor::ones((width, 1), DType::F32, &Device::Cpu)?;
    let bias = Tensor::zeros((1, 1), DType::F32, &Device::Cpu)?;
    Tensor::cat(&[(weights * l2)?, bias], 0)
}

/// Somewhat more than the largest eigenvalue of `X^T diag(share) X` for each output: (1, C). The
/// loss curves at most a quarter as much.
fn curvature(inputs: &Tensor, shares: &Tensor) -> Result<Tensor> {
    let shape = (inputs.dim(1)?, shares.dim(1)?);
    let mut vectors = Tensor::ones(shape, DType::F32, &Device::Cpu)?;
    let mut length = vectors.sqr()?.sum_keepdim(0)?.sqrt()?;
    for _ in 0..POWER_ROUNDS {
        vectors = vectors.broadcast_div(&length)?;
        vectors = inputs.t()?.matmul(&(inputs.matmul(&vectors)? * shares)?)?;
        length = vectors.sqr()?.sum_keepdim(0)?.sqrt()?.clamp(1e-12, f64::MAX)?;
    }
    length * SAFETY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Texts of two numbers, and labels that follow `2 x - y + 0.5`; what is known of the second
    /// output is nothing but three texts of one kind and three of the other.
    fn texts(count: usize) -> Texts {
        let mut random = Random::new(3);
        let (mut inputs, mut targets, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..count {
            let (x, y) = (4.0 * random.unit() - 2.0, 4.0 * random.unit() - 2.0);
            let chance = 1.0 / (1.0 + (-(2.0 * x - y + 0.5)).exp());
            inputs.extend([x, y]);
            targets.extend([
                f32::from(u8::from(random.unit() < chance)),
                f32::from(u8::from(x > 0.0)),
            ]);
            known.extend([1.0, f32::from(u8::from(index < 6))]);
        }
        let tensor =
            |values, width| Tensor::from_vec(values, (count, width), &Device::Cpu).unwrap();
        Texts { inputs: tensor(inputs, 2), targets: tensor(targets, 2), known: tensor(known, 2) }
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_weights_that_made_the_labels_are_found() {
        let fitted = fit(&texts(20_000), 0.0, 300).unwrap();
        let (weight, bias) = (values(&fitted.weight), values(&fitted.bias));
        assert!((weight[0] - 2.0).abs() < 0.1 && (weight[1] + 1.0).abs() < 0.1, "{weight:?}");
        assert!((bias[0] - 0.5).abs() < 0.1, "{bias:?}");
    }

    #[test]
    fn at_the_end_the_gradient_is_nothing() {
        let (texts, l2) = (texts(400), 0.01);
        let fitted = fit(&texts, l2, 2000).unwrap();
        let logits = texts.inputs.matmul(&fitted.weight.t().unwrap()).unwrap();
        let logits = logits.broadcast_add(&fitted.bias).unwrap();
        let errors = (sigmoid(&logits).unwrap() - &texts.targets).unwrap();
        let errors = (errors * &texts.known).unwrap();
        let shares = errors.broadcast_div(&texts.known.sum_keepdim(0).unwrap()).unwrap();
        let slope = shares.t().unwrap().matmul(&texts.inputs).unwrap();
        let gradient = (slope + (&fitted.weight * l2).unwrap()).unwrap();
        assert!(values(&gradient).iter().all(|g| g.abs() < 1e-5), "{gradient}");
        assert!(values(&shares.sum(0).unwrap()).iter().all(|g| g.abs() < 1e-5));
    }

    #[test]
    fn what_is_not_known_teaches_nothing() {
        let texts = texts(400);
        let before = fit(&texts, 0.01, 100).unwrap();
        let unknown = (1.0 - &texts.known).unwrap();
        let targets = ((&texts.targets * &texts.known).unwrap() + unknown).unwrap();
        let after = fit(&Texts { targets, ..texts }, 0.01, 100).unwrap();
        assert_eq!(values(&before.weight), values(&after.weight));
    }
}
