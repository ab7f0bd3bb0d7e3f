//! Puts exams to a model, with one set of adapters after another.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::card::Word;
use adapters::{Applied, Digest, StackedDelta, TensorDelta};
use anyhow::{Context as _, ensure};
use candle_core::{DType, Device};
use clap::ValueEnum;
use model::kernels::pool::Pool;
use model::{DenseDecoder, Model, NoDelta, PackedDecoder, ServedPrecision};
use serde::Deserialize;
use unlearn::corpus::Part;
use unlearn::evaluation::{
    Chat, Comparison, DenseScorer, Exam, Examinee, Generator, LocalReader, PackedScorer, Predictor,
    Prompts, Questionnaire, Report, Sheet, SheetFile, Source, Test,
};

use super::judges::Judges;
use crate::cli::base::adapters::{AdapterSet, Seeds, Shelf, borrowed};
use crate::cli::progress;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
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
pub(crate) struct Examiner<'a> {
    model: &'a Model,
    shelf: Shelf<'a>,
    judges: Judges,
    precision: Precision,
    /// Where exact weights are; what is as served is on the CPU.
    device: Device,
    dense: OnceCell<DenseDecoder>,
    packed: OnceCell<PackedDecoder>,
    /// Tokens that no continuation has.
    barred: Vec<u32>,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(
        model: &'a Model,
        shelf: Shelf<'a>,
        judges: Judges,
        precision: Precision,
        device: Device,
    ) -> anyhow::Result<Self> {
        ensure!(
            device.is_cpu() || precision == Precision::F32,
            "weights as served are measured on the CPU: another device needs the precision f32"
        );
        let barred = model.tokenizer().control().iter().map(|(token, _)| *token).collect();
        let (dense, packed) = (OnceCell::new(), OnceCell::new());
        Ok(Self { model, shelf, judges, precision, device, dense, packed, barred })
    }

    /// The report of what was measured.
    pub(crate) fn report(&self, part: Part, base: &[Sheet], sets: Vec<Comparison>) -> Report {
        Report {
            model: self.model.name().to_owned(),
            weights: self.model.fingerprint().to_owned(),
            precision: self.arithmetic(),
            part,
            judges: self.judges.names(),
            base: base.iter().flat_map(Sheet::measurements).collect(),
            sets,
            tables: Vec::new(),
        }
    }

    /// How numbers are computed. A GPU rounds otherwise than a CPU.
    fn arithmetic(&self) -> String {
        let on = if self.device.is_cpu() { "" } else { ", cuda" };
        format!("{}{on}", self.precision.name())
    }

    /// The base's answers to ordinary prompts.
    fn chat(&self, part: Part) -> anyhow::Result<Chat> {
        let mut base = Generator::new(self.packed()?, &NoDelta, &[]);
        Ok(Chat::answered(self.model, &mut base, part)?)
    }

    /// What sheets an exam gives: their test, domain and key.
    fn identities(&self, exam: &Exam) -> anyhow::Result<Vec<(Test, Word, Digest)>> {
        Ok(match exam {
            Exam::Reading(exam) => vec![(exam.test, exam.domain.clone(), exam.key())],
            Exam::Continuing(prompts) => self.judges.identities(prompts),
            Exam::Chatting(chat) => vec![(Test::Chat, Word::parse("all")?, chat.key())],
        })
    }

    /// What the model with the adapters of `set` does in the exams, in their order. What is in the
    /// file `kept` is not measured again; what is measured is added to it, exam by exam.
    pub(crate) fn sheets(
        &self,
        set: &AdapterSet,
        exams: &[&Exam],
        kept: Option<&Path>,
    ) -> anyhow::Result<Vec<Sheet>> {
        let mut file = SheetFile::new(self.examinee(set)?);
        if let Some(path) = kept.filter(|path| path.exists()) {
            file = file.read(path)?;
        }
        let mut sheets = Vec::new();
        for exam in exams {
            let wanted = self.identities(exam)?;
            let found = |file: &SheetFile| -> Option<Vec<Sheet>> {
                let sheet = |(test, domain, key): &(Test, Word, Digest)| {
                    file.find(*test, domain, *key).cloned()
                };
                wanted.iter().map(sheet).collect()
            };
            if found(&file).is_none() {
                file.add(self.examine(set, exam)?);
                kept.map_or(Ok(()), |path| file.write(path))?;
            }
            sheets.extend(found(&file).context("an exam gave another sheet than it should")?);
        }
        Ok(sheets)
    }

    /// What adapters change on average over the sets, each made from another seed.
    pub(crate) fn compare(
        &self,
        seeds: &Seeds,
        exams: &[&Exam],
        base: &[Sheet],
        kept: impl Fn(&AdapterSet) -> Option<PathBuf>,
    ) -> anyhow::Result<Comparison> {
        let sheets = |set: &AdapterSet| self.sheets(set, exams, kept(set).as_deref());
        let adapted = seeds.0.iter().map(sheets).collect::<anyhow::Result<Vec<_>>>()?;
        let mut measurements = Vec::new();
        for (index, base) in base.iter().enumerate() {
            let adapted: Vec<&Sheet> = adapted.iter().map(|sheets| &sheets[index]).collect();
            measurements.extend(base.compare(&adapted)?);
        }
        let applied = seeds.0.iter().map(AdapterSet::applied).collect();
        Ok(Comparison { set: seeds.to_string(), seeds: applied, measurements })
    }

    /// Every exam of the tests, those on other domains left out.
    pub(crate) fn exams(
        &self,
        tests: &[Test],
        source: &Source<'_>,
        domains: &[Word],
    ) -> anyhow::Result<Vec<Exam>> {
        let mut all = Vec::new();
        for &test in tests {
            if test == Test::Chat {
                all.push(Exam::Chatting(self.chat(source.part)?));
            } else {
                all.extend(source.exams(test, Some(self.model.tokenizer()))?);
            }
        }
        keep_domains(&mut all, domains)?;
        Ok(all)
    }

    fn examinee(&self, set: &AdapterSet) -> anyhow::Result<Examinee> {
        let vector = self.shelf.vector(set)?;
        let adapter = |applied: &Applied| format!("{}@{}", applied.lease.digest(), applied.scale);
        Ok(Examinee {
            weights: self.model.fingerprint().to_owned(),
            precision: self.arithmetic(),
            adapters: vector.entries().iter().map(adapter).collect(),
        })
    }

    fn examine(&self, set: &AdapterSet, exam: &Exam) -> anyhow::Result<Vec<Sheet>> {
        Ok(match exam {
            Exam::Reading(exam) => vec![self.read(set, exam)?],
            Exam::Continuing(prompts) => self.continued(set, prompts)?,
            Exam::Chatting(chat) => vec![self.chatted(set, chat)?],
        })
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
                let delta = TensorDelta::new(&borrowed(&loras), &self.device)?;
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
        let mut delta = StackedDelta::default();
        delta.add_rows(0..usize::MAX, &self.shelf.vector(set)?);
        Ok(delta)
    }

    fn dense(&self) -> anyhow::Result<&DenseDecoder> {
        if self.dense.get().is_none() {
            let opened = self.model.dense(DType::F32, &self.device)?;
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

/// Leaves out exams on other domains than these, if any are named.
pub(super) fn keep_domains(exams: &mut Vec<Exam>, domains: &[Word]) -> anyhow::Result<()> {
    let chosen = |domain: &Word| domains.is_empty() || domains.contains(domain);
    exams.retain(|exam| exam.domain().is_none_or(chosen));
    ensure!(!exams.is_empty(), "no test has these domains");
    Ok(())
}
