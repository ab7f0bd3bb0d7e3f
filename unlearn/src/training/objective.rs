//! From a term of the run file and a step to a loss.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use model::{Delta, DenseDecoder, ModelError, NoDelta};

use super::batch::{Batch, Tape, logits};
use super::batches::mixed;
use super::pool::Pool;
use super::run::{PairLoss, TextLoss};
use crate::loss::agreement::agreement;
use crate::loss::ascent::ascent;
use crate::loss::counterfactual::{mixture, squared_gap, tempered_gap};
use crate::loss::dpo::dpo;
use crate::loss::exchange::exchange;
use crate::loss::kl::kl;
use crate::loss::likelihood::log_likelihood;
use crate::loss::nll::nll;
use crate::loss::npo::npo;
use crate::loss::undial::undial;
use crate::mask::{Choice, Masked, Pair};
use crate::random::Random;

/// A term with the texts it reads.
pub(super) struct Objective {
    pub(super) name: &'static str,
    pub(super) weight: f64,
    pub(super) reading: Reading,
    /// Share of the masked tokens that a step takes.
    pub(super) share: f64,
    pub(super) seed: u64,
}

/// A loss and texts of its kind.
pub(super) enum Reading {
    Texts(TextLoss, Pool<Masked>),
    Pairs(PairLoss, Pool<Pair>),
    Choices { beta: f64, pool: Pool<Choice> },
}

/// A term's loss at a step.
#[derive(Default)]
pub(super) struct Evaluated {
    /// A scalar, before its weight; nothing if the step's texts have no token that counts.
    pub(super) loss: Option<Tensor>,
    /// Tokens that went through the model with gradients.
    pub(super) tokens: usize,
    tape: Option<Tape>,
}

impl Evaluated {
    /// The gradients of the weighted loss.
    pub(super) fn backward(self, weight: f64, stage: &Stage<'_>) -> Result<GradStore, ModelError> {
        let Some(loss) = self.loss else { return Ok(GradStore::default()) };
        let mut gradients = (loss * weight)?.backward()?;
        if let Some(tape) = self.tape {
            tape.backward(stage.decoder, stage.delta, &mut gradients)?;
        }
        Ok(gradients)
    }
}

/// What losses are computed on.
pub(super) struct Stage<'a> {
    pub(super) decoder: &'a DenseDecoder,
    pub(super) delta: &'a dyn Delta<Tensor>,
    pub(super) device: &'a Device,
    /// Whether layers are computed again in the backward pass.
    pub(super) recomputes: bool,
}

impl Objective {
    /// The loss of the step's texts.
    pub(super) fn evaluate(&self, stage: &Stage<'_>, step: usize) -> Result<Evaluated, ModelError> {
        let mut random = Random::new(mixed(self.seed, step as u64));
        let scene = Scene { stage, tape: Tape::default() };
        match &self.reading {
            Reading::Texts(loss, pool) => {
                let items = pool.batch(step);
                let asked = items.iter().enumerate().flat_map(|(i, item)| item_places(i, item));
                let asked = self.shared(asked.collect(), &mut random);
                let sequences: Vec<&[u32]> = items.iter().map(|i| i.tokens.as_slice()).collect();
                scene.of_texts(*loss, &sequences, &asked)
            }
            Reading::Pairs(loss, pool) => {
                let pairs = pool.batch(step);
                let asked = pairs.iter().enumerate().flat_map(|(i, pair)| pair_places(i, pair));
                let asked = self.shared(asked.collect(), &mut random);
                scene.of_pairs(*loss, &pairs, &asked)
            }
            Reading::Choices { beta, pool } => scene.of_choices(*beta, &pool.batch(step)),
        }
    }

    /// The share of the positions that this step takes, in order.
    fn shared<T>(&self, mut asked: Vec<T>, random: &mut Random) -> Vec<T> {
        if self.share < 1.0 && !asked.is_empty() {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a count"
            )]
            let kept = ((asked.len() as f64 * self.share).ceil() as usize).max(1);
            random.shuffle(&mut asked);
            asked.truncate(kept);
        }
        asked
    }
}

/// The masked tokens of a text.
fn item_places(index: usize, item: &Masked) -> Vec<(usize, usize)> {
    (1..item.tokens.len()).filter(|at| item.mask[*at]).map(|at| (index, at)).collect()
}

/// The masked tokens of a text that its counterfactual says too, and where.
fn pair_places(index: usize, pair: &Pair) -> Vec<(usize, usize, usize)> {
    let places = pair.aligned.iter().filter(|aligned| pair.mask[aligned.original]);
    places.map(|aligned| (index, aligned.original, aligned.swapped)).collect()
}

/// A loss under way.
struct Scene<'a> {
    stage: &'a Stage<'a>,
    tape: Tape,
}

impl Scene<'_> {
    /// Hidden states with the delta, or without it and without gradients.
    fn hidden(&self, batch: &Batch, side: Side) -> Result<Tensor, ModelError> {
        let Stage { decoder, delta, recomputes, .. } = *self.stage;
        match side {
            Side::Base => batch.hidden(decoder, &NoDelta),
            Side::Adapted if recomputes => batch.recorded(decoder, delta, &self.tape),
            Side::Adapted => batch.hidden(decoder, delta),
        }
    }

    fn evaluated(self, loss: Tensor, tokens: usize) -> Evaluated {
        let tape = self.stage.recomputes.then_some(self.tape);
        Evaluated { loss: Some(loss), tokens, tape }
    }

    /// A loss over positions (sequence, place) of texts.
    fn of_texts(
        self,
        loss: TextLoss,
        sequences: &[&[u32]],
        asked: &[(usize, usize)],
    ) -> Result<Evaluated, ModelError> {
        let Stage { decoder, device, .. } = *self.stage;
        let tokens = sequences.iter().map(|tokens| tokens.len()).sum();
        if asked.is_empty() {
            return Ok(Evaluated::default());
        }
        let batch = Batch::new(sequences, device)?;
        let rows: Vec<u32> = asked.iter().map(|(i, at)| batch.row(*i, *at)).collect();
        let targets: Vec<u32> = asked.iter().map(|(i, at)| sequences[*i][*at]).collect();
        let targets = Tensor::new(targets, device)?;
        let at_rows = |side| logits(decoder, &self.hidden(&batch, side)?, &rows);
        let here = at_rows(Side::Adapted)?;
        let likely = || log_likelihood(&here, &targets);
        let loss = match loss {
            TextLoss::Ascent { floor } => ascent(&likely()?, floor)?,
            TextLoss::Npo { beta } => {
                let reference = log_likelihood(&at_rows(Side::Base)?, &targets)?;
                let (of, count) = numbered(asked.iter().map(|(index, _)| *index));
                npo(&likely()?, &reference, &Tensor::new(of, device)?, count, beta)?
            }
            TextLoss::Undial { strength } => {
                undial(&here, &at_rows(Side::Base)?, &targets, strength)?
            }
            TextLoss::Negate | TextLoss::Nll => nll(&likely()?)?,
            TextLoss::Kl => kl(&here, &at_rows(Side::Base)?)?,
        };
        Ok(self.evaluated(loss, tokens))
    }

    /// Direct preference optimisation over all that follows the beginnings.
    fn of_choices(self, beta: f64, choices: &[&Choice]) -> Result<Evaluated, ModelError> {
        let Stage { decoder, device, .. } = *self.stage;
        let preferred = choices.iter().map(|choice| &choice.preferred);
        let items: Vec<_> = preferred.chain(choices.iter().map(|choice| &choice.other)).collect();
        let sequences: Vec<&[u32]> = items.iter().map(|item| item.tokens.as_slice()).collect();
        let places = items.iter().enumerate().flat_map(|(i, item)| item_places(i, item));
        let (mut rows, mut targets, mut of) = (Vec::new(), Vec::new(), Vec::new());
        let batch = Batch::new(&sequences, device)?;
        for (index, at) in places {
            rows.push(batch.row(index, at));
            targets.push(sequences[index][at]);
            #[expect(clippy::cast_possible_truncation, reason = "a batch's sequences")]
            of.push(index as u32);
        }
        let targets = Tensor::new(targets, device)?;
        let likely = |side| -> Result<Tensor, ModelError> {
            let logits = logits(decoder, &self.hidden(&batch, side)?, &rows)?;
            Ok(log_likelihood(&logits, &targets)?)
        };
        let of = Tensor::new(of, device)?;
        let loss = dpo(&likely(Side::Adapted)?, &likely(Side::Base)?, &of, choices.len(), beta)?;
        Ok(self.evaluated(loss, sequences.iter().map(|tokens| tokens.len()).sum()))
    }

    /// A loss over aligned positions (pair, place in the original, place in the swapped text).
    fn of_pairs(
        self,
        loss: PairLoss,
        pairs: &[&Pair],
        asked: &[(usize, usize, usize)],
    ) -> Result<Evaluated, ModelError> {
        if asked.is_empty() {
            return Ok(Evaluated::default());
        }
        let originals = pairs.iter().map(|pair| pair.tokens.as_slice());
        let swapped = pairs.iter().map(|pair| pair.swapped.as_slice());
        let sequences: Vec<&[u32]> = originals.chain(swapped).collect();
        let Stage { decoder, device, .. } = *self.stage;
        let tokens = sequences.iter().map(|tokens| tokens.len()).sum();
        let batch = Batch::new(&sequences, device)?;
        let originals: Vec<u32> = asked.iter().map(|(i, at, _)| batch.row(*i, *at)).collect();
        let second = |(i, _, at): &(usize, usize, usize)| batch.row(pairs.len() + i, *at);
        let swapped: Vec<u32> = asked.iter().map(second).collect();
        let both = |side| -> Result<[Tensor; 2], ModelError> {
            let hidden = self.hidden(&batch, side)?;
            let exchanges = asked.iter().map(|(index, ..)| pairs[*index].exchanged.clone());
            let there = logits(decoder, &hidden, &swapped)?;
            let there = exchange(&there, exchanges.collect())?;
            Ok([logits(decoder, &hidden, &originals)?, there])
        };
        let [here, there] = both(Side::Adapted)?;
        let loss = match loss {
            PairLoss::SquaredGap { limit } => {
                let targets: Vec<u32> =
                    asked.iter().map(|(index, at, _)| pairs[*index].tokens[*at]).collect();
                let targets = Tensor::new(targets, device)?;
                let likely = |logits| log_likelihood(logits, &targets);
                squared_gap(&likely(&here)?, &likely(&there)?, limit)?
            }
            PairLoss::Mixture => {
                let [one, two] = both(Side::Base)?;
                mixture(&here, &there, [&one, &two])?
            }
            PairLoss::TemperedGap { temper, agreement: weight } => {
                let [one, two] = both(Side::Base)?;
                let naming = asked.iter().map(|(index, ..)| pairs[*index].naming.as_slice());
                let naming: Vec<_> = naming.collect();
                let gap = tempered_gap(&here, &there, [&one, &two], temper, &naming)?;
                if weight == 0.0 {
                    return Ok(self.evaluated(gap, tokens));
                }
                let kept = [agreement(&here, &one, &naming)?, agreement(&there, &two, &naming)?];
                (gap + ((&kept[0] + &kept[1])? * (weight / 2.0))?)?
            }
        };
        Ok(self.evaluated(loss, tokens))
    }
}

/// With the adapter or without.
#[derive(Debug, Clone, Copy)]
enum Side {
    Base,
    Adapted,
}

/// Numbers from 0 for the sequences that occur, and how many there are.
fn numbered(sequences: impl Iterator<Item = usize>) -> (Vec<u32>, usize) {
    let mut seen: Vec<usize> = Vec::new();
    let number = |sequence| {
        let at = seen.iter().position(|known| *known == sequence).unwrap_or_else(|| {
            seen.push(sequence);
            seen.len() - 1
        });
        #[expect(clippy::cast_possible_truncation, reason = "a batch's sequences")]
        let at = at as u32;
        at
    };
    let numbers = sequences.map(number).collect();
    let count = seen.len();
    (numbers, count)
}
