//! How fast training is, on seeded random tokens: speed does not depend on what a text says.

use std::time::{Duration, Instant};

use candle_core::Device;
use candle_core::backprop::GradStore;
use model::DenseDecoder;

use super::TrainError;
use super::delta::TrainableDelta;
use super::objective::{Objective, Reading, Stage};
use super::pool::Pool;
use super::run::{Shape, TextLoss};
use crate::mask::Masked;
use crate::optimiser::{AdamW, AdamWSettings};
use crate::random::Random;

/// A job: each step ascends on some texts and stays close to the base on others.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The adapter.
    pub shape: Shape,
    /// Texts to forget, and the tokens of each.
    pub forget: (usize, usize),
    /// Masked tokens of each, at its end.
    pub masked: usize,
    /// Texts to keep, and the tokens of each; half of them count.
    pub retain: (usize, usize),
    /// Whether activations are computed again rather than kept.
    pub recomputes: bool,
}

impl Job {
    /// Tokens that go through the model with gradients in a step.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.forget.0 * self.forget.1 + self.retain.0 * self.retain.1
    }

    /// Times `steps` steps after one that is not timed.
    ///
    /// # Errors
    /// [`TrainError`] if the model fails.
    pub fn time(
        &self,
        decoder: &DenseDecoder,
        device: &Device,
        steps: usize,
    ) -> Result<Duration, TrainError> {
        let delta = TrainableDelta::new(decoder.config(), &self.shape, 0, device)?;
        let settings =
            AdamWSettings { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.0, clip: 1.0 };
        let mut optimiser = AdamW::new(delta.variables(), settings)?;
        let objectives = self.objectives(decoder.config().vocabulary);
        let stage = Stage { decoder, delta: &delta, device, recomputes: self.recomputes };
        let mut started = Instant::now();
        for step in 1..=steps + 1 {
            if step == 2 {
                device.synchronize()?;
                started = Instant::now();
            }
            let mut gradients = GradStore::default();
            for objective in &objectives {
                let evaluated = objective.evaluate(&stage, step)?;
                gradients.extend(evaluated.backward(objective.weight, &stage)?)?;
            }
            optimiser.step(&gradients, 1e-4)?;
        }
        device.synchronize()?;
        Ok(started.elapsed())
    }

    fn objectives(&self, vocabulary: usize) -> Vec<Objective> {
        let mut random = Random::new(0);
        let mut items = |(rows, tokens): (usize, usize), masked: usize| {
            let item = |random: &mut Random| {
                #[expect(clippy::cast_possible_truncation, reason = "a vocabulary")]
                let tokens: Vec<u32> =
                    (0..tokens).map(|_| random.below(vocabulary) as u32).collect();
                let mask = (0..tokens.len()).map(|at| at > 0 && at + masked >= tokens.len());
                Masked { mask: mask.collect(), tokens }
            };
            (0..rows).map(|_| item(&mut random)).collect::<Vec<_>>()
        };
        let forget = Pool::new(items(self.forget, self.masked), self.forget.0, 0);
        let retain = Pool::new(items(self.retain, self.retain.1), self.retain.0, 0);
        let objective = |loss: TextLoss, weight, share, pool| Objective {
            name: "benchmark",
            weight,
            reading: Reading::Texts(loss, pool),
            share,
            seed: 0,
        };
        let forget = forget.map(|pool| objective(TextLoss::Ascent { floor: None }, 0.2, 1.0, pool));
        let retain = retain.map(|pool| objective(TextLoss::Kl, 2.0, 0.5, pool));
        forget.into_iter().chain(retain).collect()
    }
}
