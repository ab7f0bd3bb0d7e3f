//! A model that adapter sets are tried on.

use std::sync::Arc;

use adapters::{StackedDelta, TensorDelta};
use anyhow::Context as _;
use candle_core::{DType, Device};
use clap::ValueEnum;
use model::kernels::pool::Pool;
use model::{DenseDecoder, Model, PackedDecoder, ServedPrecision};
use unlearn::evaluation::{DenseScorer, LocalReader, PackedScorer, Questionnaire, Scorer, Sheet};

use crate::cli::base::adapters::{AdapterSet, Shelf, borrowed};
use crate::cli::progress;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// Exact, by the decoder that trains.
    F32,
    /// As requests are answered.
    Served,
}

impl Precision {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Served => "served",
        }
    }
}

/// The model, its decoder and its adapters.
pub(super) struct Bench<'a> {
    model: &'a Model,
    shelf: Shelf<'a>,
    decoder: Decoder,
}

enum Decoder {
    Dense(DenseDecoder),
    Packed(Box<PackedDecoder>),
}

impl<'a> Bench<'a> {
    pub(super) fn open(
        model: &'a Model,
        shelf: Shelf<'a>,
        precision: Precision,
    ) -> anyhow::Result<Self> {
        let decoder = match precision {
            Precision::F32 => Decoder::Dense(model.dense(DType::F32, &Device::Cpu)?),
            Precision::Served => {
                let threads = std::thread::available_parallelism()?.get();
                let pool = Arc::new(Pool::new(threads));
                Decoder::Packed(Box::new(model.packed(ServedPrecision::Auto, pool)?))
            }
        };
        Ok(Self { model, shelf, decoder })
    }

    /// Digest of the model's weights.
    pub(super) fn weights(&self) -> &str {
        self.model.fingerprint()
    }

    /// What the model with the adapters of `set` makes of the questionnaires.
    pub(super) fn sheets(
        &self,
        set: &AdapterSet,
        questionnaires: &[&Questionnaire],
    ) -> anyhow::Result<Vec<Sheet>> {
        match &self.decoder {
            Decoder::Dense(decoder) => {
                let loras = self.shelf.loras(set)?;
                let delta = TensorDelta::new(&borrowed(&loras), &Device::Cpu)?;
                self.ask(&mut DenseScorer::new(decoder, &delta), questionnaires)
            }
            Decoder::Packed(decoder) => {
                let mut delta = StackedDelta::new(Arc::clone(decoder.pool()));
                delta.add_rows(0..usize::MAX, &self.shelf.vector(set)?);
                self.ask(&mut PackedScorer::new(decoder, &delta), questionnaires)
            }
        }
    }

    fn ask(
        &self,
        scorer: &mut dyn Scorer,
        questionnaires: &[&Questionnaire],
    ) -> anyhow::Result<Vec<Sheet>> {
        let mut reader = LocalReader::new(self.model.tokenizer(), scorer);
        let ask = |questionnaire: &&Questionnaire| {
            let bar = progress::bar(questionnaire.test.name(), questionnaire.questions());
            let sheet = questionnaire.ask(&mut reader, &mut |count| bar.inc(count as u64));
            bar.finish_and_clear();
            sheet.with_context(|| format!("{}, {}", questionnaire.test, questionnaire.domain))
        };
        questionnaires.iter().map(ask).collect()
    }
}
