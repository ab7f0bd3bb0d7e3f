//! The loop.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Instant;

use adapters::TensorDelta;
use adapters::lora::Lora;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use model::{DenseDecoder, ModelError};

use super::checkpoint::{self, Best, CheckpointError, Progress};
use super::dataset::Dataset;
use super::delta::TrainableDelta;
use super::guard::Drift;
use super::objective::Stage;
use super::record::Record;
use super::run::Run;
use crate::optimiser::AdamW;

/// What the names of the best weights in a checkpoint begin with.
const BEST: &str = "best.";
/// And those of the moments.
const MOMENTS: [&str; 2] = ["mean.", "square."];

/// Why training stops without an adapter.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A loss or a gradient is not a number any more.
    #[error("step {step}: {what} is not finite")]
    NotFinite {
        /// Counted from 1.
        step: usize,
        /// The term's loss, or the gradient.
        what: String,
    },
    /// Already the first measurement was outside the budgets.
    #[error("no measurement was inside the budgets: lower the learning rate or the weights")]
    NothingInside,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// candle failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The state on disk.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// What came out of a run.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The weights at the best measurement.
    pub lora: Lora,
    /// That measurement.
    pub best: Best,
    /// Whether a budget ended the run before its last step.
    pub stopped: bool,
}

/// A run under way.
pub struct Trainer<'a> {
    run: &'a Run,
    dataset: &'a Dataset,
    decoder: &'a DenseDecoder,
    device: Device,
    delta: TrainableDelta,
    optimiser: AdamW,
    progress: Progress,
    /// The weights at the best measurement, in the order of the variables.
    best: Vec<Tensor>,
}

impl<'a> Trainer<'a> {
    /// A run at its start, or where the checkpoint at `path` has left it. `identity` tells runs
    /// apart: the digest of run file, base weights and data.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if the checkpoint is damaged or belongs to another run.
    pub fn open(
        run: &'a Run,
        dataset: &'a Dataset,
        decoder: &'a DenseDecoder,
        device: &Device,
        path: &Path,
    ) -> Result<Self, TrainError> {
        let delta = TrainableDelta::new(decoder.config(), &run.shape, run.seed, device)?;
        let optimiser = AdamW::new(delta.variables(), run.optimiser)?;
        let identity = dataset.identity().to_owned();
        let progress = Progress { identity, step: 0, best: None, outside: 0 };
        let device = device.clone();
        let best = Vec::new();
        let mut trainer = Self { run, dataset, decoder, device, delta, optimiser, progress, best };
        let saved = checkpoint::read(path, dataset.identity(), &trainer.device)?;
        if let Some((progress, tensors)) = saved {
            trainer.restore(progress, tensors)?;
        }
        Ok(trainer)
    }

    /// Steps taken so far.
    #[must_use]
    pub const fn step(&self) -> usize {
        self.progress.step
    }

    /// Takes all steps that are left, or stops at a budget. Each step is told to `observe`; a
    /// checkpoint is written to `path` at each measurement, after its step was told.
    ///
    /// # Errors
    /// [`TrainError`] with the step at which it failed.
    pub fn run(
        mut self,
        path: &Path,
        observe: &mut dyn FnMut(&Record),
    ) -> Result<Trained, TrainError> {
        let steps = self.run.schedule.steps;
        while self.progress.step < steps && !self.is_stopped() {
            let step = self.progress.step + 1;
            let mut record = self.take(step)?;
            self.progress.step = step;
            let measures = step.is_multiple_of(self.run.guards.every) || step == steps;
            if measures {
                let drift = self.measure()?;
                (record.perplexity, record.kl) = (Some(drift.perplexity), Some(drift.kl));
            }
            observe(&record);
            if measures {
                checkpoint::write(path, &self.progress, self.tensors())?;
            }
        }
        self.finish()
    }

    /// One step: losses, gradients, weights.
    fn take(&mut self, step: usize) -> Result<Record, TrainError> {
        let started = Instant::now();
        let mut gradients = GradStore::default();
        let mut losses = BTreeMap::new();
        let mut tokens = 0;
        let stage = Stage {
            decoder: self.decoder,
            delta: &self.delta,
            device: &self.device,
            recomputes: self.run.checkpoint_activations,
        };
        for (number, objective) in self.dataset.objectives().iter().enumerate() {
            let evaluated = objective.evaluate(&stage, step)?;
            let Some(loss) = &evaluated.loss else { continue };
            let value = loss.to_scalar::<f32>()?;
            let name = format!("{}-{}", number + 1, objective.name);
            if !value.is_finite() {
                return Err(TrainError::NotFinite { step, what: format!("the loss {name}") });
            }
            losses.insert(name, value);
            tokens += evaluated.tokens;
            if objective.weight > 0.0 {
                gradients.extend(evaluated.backward(objective.weight, &stage)?)?;
            }
        }
        let learning_rate = self.run.schedule.rate(step);
        let gradient_norm = self.optimiser.step(&gradients, learning_rate)?;
        if !gradient_norm.is_finite() {
            return Err(TrainError::NotFinite { step, what: "the gradient".into() });
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
        let tokens_per_second = tokens as f64 / started.elapsed().as_secs_f64();
        let (perplexity, kl) = (None, None);
        Ok(Record { step, losses, learning_rate, gradient_norm, perplexity, kl, tokens_per_second })
    }

    /// How far the model is now; remembers the weights if that is inside the budgets.
    fn measure(&mut self) -> Result<Drift, TrainError> {
        let lora = self.delta.to_lora()?;
        let fixed = TensorDelta::new(&[(&lora, self.sign())], &self.device)?;
        let drift = self.dataset.guard().measure(self.decoder, &fixed)?;
        let guards = &self.run.guards;
        if drift.perplexity <= guards.perplexity && drift.kl <= guards.kl {
            self.progress.best = Some(Best { step: self.progress.step, drift });
            let copies = self.delta.variables().into_iter().map(|var| var.as_tensor().copy());
            self.best = copies.collect::<candle_core::Result<_>>()?;
            self.progress.outside = 0;
        } else {
            self.progress.outside += 1;
        }
        Ok(drift)
    }

    /// Whether the run was outside a budget for too long.
    const fn is_stopped(&self) -> bool {
        self.progress.outside >= self.run.guards.patience
    }

    /// The scale at which the adapter will serve, beside the weights as they learn.
    fn sign(&self) -> f32 {
        if self.run.negates() { -1.0 } else { 1.0 }
    }

    fn finish(self) -> Result<Trained, TrainError> {
        let stopped = self.is_stopped();
        let best = self.progress.best.ok_or(TrainError::NothingInside)?;
        for (variable, value) in self.delta.variables().iter().zip(&self.best) {
            variable.set(value)?;
        }
        let mut lora = self.delta.to_lora()?;
        if self.run.negates() {
            // One factor of the two: their product changes its sign.
            for low_rank in lora.sites.values_mut() {
                low_rank.b.iter_mut().for_each(|value| *value = -*value);
            }
        }
        Ok(Trained { lora, best, stopped })
    }

    /// Everything that a checkpoint holds, by name.
    fn tensors(&self) -> BTreeMap<String, Tensor> {
        let mut tensors = BTreeMap::new();
        let (_, moments) = self.optimiser.state();
        for ((name, variable), moments) in self.delta.named().zip(moments) {
            for (prefix, moment) in MOMENTS.into_iter().zip(moments) {
                tensors.insert(format!("{prefix}{name}"), moment.clone());
            }
            tensors.insert(name, variable.as_tensor().clone());
        }
        for ((name, _), best) in self.delta.named().zip(&self.best) {
            tensors.insert(format!("{BEST}{name}"), best.clone());
        }
        tensors
    }

    fn restore(
        &mut self,
        progress: Progress,
        mut tensors: HashMap<String, Tensor>,
    ) -> Result<(), TrainError> {
        let mut moments = Vec::new();
        let mut best = Vec::new();
        for (name, variable) in self.delta.named() {
            let mut take = |prefix: &str| {
                let found = tensors.remove(&format!("{prefix}{name}"));
                found.filter(|t| t.dims() == variable.dims()).ok_or(CheckpointError::Damaged)
            };
            variable.set(&take("")?)?;
            moments.push([take(MOMENTS[0])?, take(MOMENTS[1])?]);
            if progress.best.is_some() {
                best.push(take(BEST)?);
            }
        }
        self.optimiser.restore(progress.step, moments.into_iter());
        (self.progress, self.best) = (progress, best);
        Ok(())
    }
}
