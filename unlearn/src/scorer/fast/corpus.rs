//! What the network is shown: real texts and the grammar's, some misspelled, as piece ids.

use candle_core::{Device, Result, Tensor};
use gateway_toxicity::{Category, FastScorer, Scores};

use super::network::Batch;
use super::run::FastRun;
use crate::corpus::Part;
use crate::random::Random;
use crate::scorer::data::Example;
use crate::scorer::grammar::Grammar;
use crate::scorer::perturbation::Perturbation;

/// Texts are put into batches with others about as long, out of this many batches' worth.
const POOL: usize = 100;
/// The most words of a text that are misspelled.
const MISSPELLED: usize = 2;

/// A text as the network reads it.
#[derive(Debug, Clone)]
struct Text {
    pieces: Vec<u32>,
    labels: Scores,
}

/// The training texts.
pub(super) struct Corpus<'a> {
    pub(super) examples: &'a [Example],
    pub(super) grammar: &'a Grammar,
    /// Cuts texts into pieces.
    pub(super) cutter: &'a FastScorer,
    /// The piece that hidden ones become.
    pub(super) unknown: u32,
}

/// One step's input: pieces, labels (B, categories), and which labels are known.
pub(super) struct Step {
    pub(super) batch: Batch,
    pub(super) labels: Tensor,
    pub(super) known: Tensor,
}

impl Corpus<'_> {
    /// One pass's batches, in random order.
    pub(super) fn pass(&self, run: &FastRun, random: &mut Random) -> Result<Vec<Step>> {
        let real = self.examples.iter().filter(|example| example.part == Part::Train);
        let mut texts: Vec<Text> = real.map(|example| self.text(example, run, random)).collect();
        for _ in 0..run.training.sentences {
            let sentence = self.grammar.sentence(random);
            texts.push(self.text(&sentence.example, run, random));
        }
        random.shuffle(&mut texts);
        for pool in texts.chunks_mut(run.training.batch * POOL) {
            pool.sort_by_key(|text| text.pieces.len());
        }
        let mut steps = texts.chunks(run.training.batch).map(step).collect::<Result<Vec<_>>>()?;
        random.shuffle(&mut steps);
        Ok(steps)
    }

    fn text(&self, example: &Example, run: &FastRun, random: &mut Random) -> Text {
        let misspelled = random.unit() < run.training.perturbed;
        let mut pieces = if misspelled {
            let perturbation = *random.pick(&Perturbation::ALL);
            let count = 1 + random.below(MISSPELLED);
            self.cutter.pieces(&perturbation.apply(&example.text, count, random))
        } else {
            self.cutter.pieces(&example.text)
        };
        for piece in &mut pieces {
            if random.unit() < run.network.piece_dropout {
                *piece = self.unknown;
            }
        }
        Text { pieces, labels: example.labels }
    }
}

fn step(texts: &[Text]) -> Result<Step> {
    let longest = texts.iter().map(|text| text.pieces.len()).max().unwrap_or(0);
    let (mut pieces, mut mask) = (Vec::new(), Vec::new());
    let (mut labels, mut known) = (Vec::new(), Vec::new());
    for text in texts {
        let missing = longest - text.pieces.len();
        pieces.extend(text.pieces.iter().copied().chain(std::iter::repeat_n(0, missing)));
        mask.extend(text.pieces.iter().map(|_| 1_f32).chain(std::iter::repeat_n(0.0, missing)));
        for category in Category::ALL {
            let label = text.labels.get(category);
            labels.push(label.unwrap_or(0.0));
            known.push(f32::from(u8::from(label.is_some())));
        }
    }
    let (count, heads, device) = (texts.len(), Category::ALL.len(), &Device::Cpu);
    Ok(Step {
        batch: Batch {
            pieces: Tensor::from_vec(pieces, (count, longest), device)?,
            mask: Tensor::from_vec(mask, (count, longest, 1), device)?,
        },
        labels: Tensor::from_vec(labels, (count, heads), device)?,
        known: Tensor::from_vec(known, (count, heads), device)?,
    })
}
