//! A model that adapter sets are tried on.

use std::cell::OnceCell;
use std::sync::Arc;

use adapters::card::Word;
use adapters::{Digest, StackedDelta, TensorDelta};
use anyhow::Context as _;
use candle_core::{DType, Device};
use clap::ValueEnum;
use model::kernels::pool::Pool;
use model::{DenseDecoder, Model, NoDelta, PackedDecoder, ServedPrecision};
use unlearn::corpus::Part;
use unlearn::evaluation::{
    Chat, DenseScorer, Exam, Generator, LocalReader, PackedScorer, Predictor, Prompts,
    Questionnaire, Sheet, Test,
};

use super::judges::Judges;
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

/// The model, its adapters, and who judges what it says.
pub(super) struct Bench<'a> {
    model: &'a Model,
    shelf: Shelf<'a>,
    judges: Judges,
    precision: Precision,
    dense: OnceCell<DenseDecoder>,
    packed: OnceCell<PackedDecoder>,
    /// Tokens that no continuation has.
    barred: Vec<u32>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        model: &'a Model,
        shelf: Shelf<'a>,
        judges: Judges,
        precision: Precision,
    ) -> Self {
        let barred = model.tokenizer().control().iter().map(|(token, _)| *token).collect();
        let (dense, packed) = (OnceCell::new(), OnceCell::new());
        Self { model, shelf, judges, precision, dense, packed, barred }
    }

    /// Digest of the model's weights.
    pub(super) fn weights(&self) -> &str {
        self.model.fingerprint()
    }

    /// Name and version of each judge of continuations.
    pub(super) fn judges(&self) -> Vec<String> {
        self.judges.names()
    }

    /// The base's answers to ordinary prompts.
    pub(super) fn chat(&self, part: Part) -> anyhow::Result<Chat> {
        let mut base = Generator::new(self.packed()?, &NoDelta, &[]);
        Ok(Chat::answered(self.model, &mut base, part)?)
    }

    /// What sheets an exam gives: their test, domain and key.
    pub(super) fn identities(&self, exam: &Exam) -> anyhow::Result<Vec<(Test, Word, Digest)>> {
        Ok(match exam {
            Exam::Reading(exam) => vec![(exam.test, exam.domain.clone(), exam.key())],
            Exam::Continuing(prompts) => self.judges.identities(prompts),
            Exam::Chatting(chat) => vec![(Test::Chat, Word::parse("all")?, chat.key())],
        })
    }

    /// What the model with the adapters of `set` does in the exams, in their order.
    pub(super) fn sheets(&self, set: &AdapterSet, exams: &[&Exam]) -> anyhow::Result<Vec<Sheet>> {
        let mut sheets = Vec::new();
        for exam in exams {
            match exam {
                Exam::Reading(exam) => sheets.push(self.read(set, exam)?),
                Exam::Continuing(prompts) => sheets.extend(self.continued(set, prompts)?),
                Exam::Chatting(chat) => sheets.push(self.chatted(set, chat)?),
            }
        }
        Ok(sheets)
    }

    fn read(&self, set: &AdapterSet, exam: &Questionnaire) -> anyhow::Result<Sheet> {
        let bar = progress::bar(exam.test.name(), exam.questions());
        let sheet = self.with_scorer(set, |scorer| {
            let mut reader = LocalReader::new(self.model.tokenizer(), scorer);
            Ok(exam.ask(&mut reader, &mut |count| bar.inc(count as u64))?)
        });
        bar.finish_and_clear();
        sheet.with_context(|| format!("{}, {}", exam.test, exam.domain))
    }

    fn chatted(&self, set: &AdapterSet, chat: &Chat) -> anyhow::Result<Sheet> {
        if *set == AdapterSet::default() {
            return Ok(chat.base_sheet()?);
        }
        let bar = progress::bar("chat", chat.len());
        let sheet = self.with_scorer(&AdapterSet::default(), |base| {
            self.with_scorer(set, |adapted| {
                Ok(chat.compare(base, adapted, &mut |count| bar.inc(count as u64))?)
            })
        });
        bar.finish_and_clear();
        sheet
    }

    fn continued(&self, set: &AdapterSet, prompts: &Prompts) -> anyhow::Result<Vec<Sheet>> {
        let tokenizer = self.model.tokenizer();
        let delta = self.stacked(set)?;
        let mut generator = Generator::new(self.packed()?, &delta, &self.barred);
        let bar = progress::bar(prompts.test.name(), prompts.len());
        let tick = &mut |count: usize| bar.inc(count as u64);
        let said = generator.generate(&prompts.tokens(tokenizer)?, prompts.continuing(), tick)?;
        bar.finish_and_clear();
        let text = |tokens: &Vec<u32>| tokenizer.decode(tokens);
        let said: Vec<Vec<String>> =
            said.iter().map(|samples| samples.iter().map(text).collect()).collect();
        self.judges.sheets(prompts, &said)
    }

    /// Runs `job` with a scorer of the model under the adapters of `set`.
    fn with_scorer<T>(
        &self,
        set: &AdapterSet,
        job: impl FnOnce(&mut dyn Predictor) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        match self.precision {
            Precision::F32 => {
                let loras = self.shelf.loras(set)?;
                let delta = TensorDelta::new(&borrowed(&loras), &Device::Cpu)?;
                job(&mut DenseScorer::new(self.dense()?, &delta))
            }
            Precision::Served => {
                let delta = self.stacked(set)?;
                job(&mut PackedScorer::new(self.packed()?, &delta))
            }
        }
    }

    /// The adapters of `set` on every row, as the gateway would apply them.
    fn stacked(&self, set: &AdapterSet) -> anyhow::Result<StackedDelta> {
        let mut delta = StackedDelta::new(Arc::clone(self.packed()?.pool()));
        delta.add_rows(0..usize::MAX, &self.shelf.vector(set)?);
        Ok(delta)
    }

    fn dense(&self) -> anyhow::Result<&DenseDecoder> {
        if self.dense.get().is_none() {
            let opened = self.model.dense(DType::F32, &Device::Cpu)?;
            return Ok(self.dense.get_or_init(|| opened));
        }
        self.dense.get().context("the decoder is not there")
    }

    fn packed(&self) -> anyhow::Result<&PackedDecoder> {
        if self.packed.get().is_none() {
            let threads = std::thread::available_parallelism()?.get();
            let pool = Arc::new(Pool::new(threads));
            let opened = self.model.packed(ServedPrecision::Auto, pool)?;
            return Ok(self.packed.get_or_init(|| opened));
        }
        self.packed.get().context("the decoder is not there")
    }
}
