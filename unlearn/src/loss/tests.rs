//! Losses and gradients beside PyTorch's (`tests/reference/losses.py`) and finite differences.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use serde::Deserialize;

use super::agreement::agreement;
use super::ascent::ascent;
use super::counterfactual::{mixture, squared_gap, tempered_gap};
use super::dpo::dpo;
use super::kl::kl;
use super::likelihood::log_likelihood;
use super::nll::nll;
use super::npo::npo;
use super::undial::undial;

#[derive(Deserialize)]
struct Fixture {
    logits: Vec<Vec<f32>>,
    other: Vec<Vec<f32>>,
    reference: Vec<Vec<f32>>,
    other_reference: Vec<Vec<f32>>,
    targets: Vec<u32>,
    sequences: Vec<u32>,
    choices: Vec<u32>,
    beta: f64,
    strength: f64,
    floor: f64,
    limit: f64,
    temper: f64,
    left_out: Vec<Vec<u32>>,
    naming: Vec<Vec<u32>>,
    expected: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    loss: f32,
    gradients: [Vec<Vec<f32>>; 2],
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/losses.json")).unwrap()
}

fn tensor(rows: &[Vec<f32>]) -> Tensor {
    Tensor::new(rows.to_vec(), &Device::Cpu).unwrap()
}

impl Fixture {
    /// The loss of that name, of logits after a text and after its counterfactual.
    fn loss(&self, name: &str, z: &Tensor, y: &Tensor) -> Result<Tensor> {
        let targets = Tensor::new(self.targets.clone(), &Device::Cpu)?;
        let likely = |logits: &Tensor| log_likelihood(logits, &targets);
        let reference = tensor(&self.reference);
        match name {
            "ascent" => ascent(&likely(z)?, None),
            "bounded_ascent" => ascent(&likely(z)?, Some(self.floor)),
            "nll" => nll(&likely(z)?),
            "npo" => {
                let sequences = Tensor::new(self.sequences.clone(), &Device::Cpu)?;
                npo(&likely(z)?, &likely(&reference)?, &sequences, 3, self.beta)
            }
            "dpo" => {
                let sequences = Tensor::new(self.choices.clone(), &Device::Cpu)?;
                dpo(&likely(z)?, &likely(&reference)?, &sequences, 2, self.beta)
            }
            "undial" => undial(z, &reference, &targets, self.strength),
            "kl" => kl(z, &reference),
            "squared_gap" => squared_gap(&likely(z)?, &likely(y)?, self.limit),
            "mixture" => mixture(z, y, [&reference, &tensor(&self.other_reference)]),
            "tempered_gap" => {
                let reference = [&reference, &tensor(&self.other_reference)];
                let left_out: Vec<_> = self.left_out.iter().map(Vec::as_slice).collect();
                tempered_gap(z, y, reference, self.temper, &left_out)
            }
            "agreement" => {
                let naming: Vec<_> = self.naming.iter().map(Vec::as_slice).collect();
                agreement(z, &reference, &naming)
            }
            other => candle_core::bail!("no loss is called {other}"),
        }
    }

    fn scalar(&self, name: &str, z: &Tensor, y: &Tensor) -> f32 {
        self.loss(name, z, y).unwrap().to_scalar().unwrap()
    }
}

#[test]
fn losses_and_gradients_are_pytorchs() {
    let fixture = fixture();
    assert_eq!(fixture.expected.len(), 11);
    for (name, expected) in &fixture.expected {
        let inputs =
            [&fixture.logits, &fixture.other].map(|v| Var::from_tensor(&tensor(v)).unwrap());
        let loss = fixture.loss(name, &inputs[0], &inputs[1]).unwrap();
        let value = loss.to_scalar::<f32>().unwrap();
        assert!((value - expected.loss).abs() < 2e-5, "{name}: {value} {}", expected.loss);
        let gradients = loss.backward().unwrap();
        for (input, want) in inputs.iter().zip(&expected.gradients) {
            let want = tensor(want);
            let got = gradients.get(input).cloned().unwrap_or(want.zeros_like().unwrap());
            let away = (got - want).unwrap().abs().unwrap().max_all().unwrap();
            assert!(away.to_scalar::<f32>().unwrap() < 1e-5, "{name}");
        }
    }
}

#[test]
fn gradients_are_finite_differences() {
    const STEP: f32 = 1e-2;
    let fixture = fixture();
    let other = tensor(&fixture.other);
    for name in fixture.expected.keys() {
        let logits = Var::from_tensor(&tensor(&fixture.logits)).unwrap();
        let gradients = fixture.loss(name, &logits, &other).unwrap().backward().unwrap();
        let gradient: Vec<Vec<f32>> = gradients.get(&logits).unwrap().to_vec2().unwrap();
        for (row, column) in [(0, 0), (2, 5), (5, 10), (3, fixture.targets[3] as usize)] {
            let moved = |by: f32| {
                let mut values = fixture.logits.clone();
                values[row][column] += by;
                fixture.scalar(name, &tensor(&values), &other)
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let got = gradient[row][column];
            assert!((slope - got).abs() < 2e-3, "{name} at {row}, {column}: {slope} {got}");
        }
    }
}

#[test]
fn a_target_outside_the_vocabulary_is_refused() {
    let logits = Tensor::zeros((1, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    for targets in [vec![4_u32], vec![0, 0]] {
        assert!(log_likelihood(&logits, &Tensor::new(targets, &Device::Cpu).unwrap()).is_err());
    }
}

#[test]
fn a_loss_at_its_goal_is_0() {
    let fixture = fixture();
    let reference = tensor(&fixture.reference);
    assert!(fixture.scalar("kl", &reference, &reference).abs() < 1e-5);
    let same = mixture(&reference, &reference, [&reference, &reference]).unwrap();
    assert!(same.to_scalar::<f32>().unwrap().abs() < 1e-5);
}

#[test]
fn only_columns_of_the_vocabulary_can_be_left_out() {
    let logits = Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    let gap =
        |left_out: &[&[u32]]| tempered_gap(&logits, &logits, [&logits, &logits], 0.5, left_out);
    assert!(gap(&[&[3], &[]]).is_ok());
    assert!(gap(&[&[4], &[]]).is_err());
    assert!(gap(&[&[0]]).is_err());
}
