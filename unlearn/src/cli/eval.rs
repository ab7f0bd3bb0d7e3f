//! `lethe-unlearn eval`

mod bench;
mod judges;

use std::path::{Path, PathBuf};

use adapters::card::Word;
use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use model::Model;
use unlearn::corpus::Part;
use unlearn::evaluation::{
    Amount, Baseline, Comparison, Exam, Report, Sheet, Source, Test, read_text, stereoset,
};

use super::base::BaseArgs;
use super::base::adapters::{AdapterSet, FolderArgs, Seeds};
use bench::{Bench, Precision};
use judges::{Judges, Peer};

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    folder: FolderArgs,
    /// Adapters and their scales, compared with the base, such as gender+race@0.5; may be repeated.
    /// The same set from other seeds stands after a comma.
    #[arg(long, value_name = "NAME[@SCALE]+...[,...]")]
    adapters: Vec<Seeds>,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR", required_unless_present = "scores")]
    data: Option<PathBuf>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "stereoset,perplexity")]
    tests: Vec<Test>,
    /// Only these domains of the tests [default: all].
    #[arg(long, value_delimiter = ',', value_parser = Word::parse, value_name = "DOMAIN")]
    domains: Vec<Word>,
    /// The part of the data: choices are made on valid, and test is only reported.
    #[arg(long, default_value = "valid")]
    part: MeasuredPart,
    /// How weights are held.
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Prompts of a domain that are continued, at most.
    #[arg(long, default_value_t = 40)]
    prompts: usize,
    /// Continuations of each prompt.
    #[arg(long, default_value_t = 12)]
    samples: usize,
    /// A program that judges continuations beside our scorer: it reads JSON strings, a line each,
    /// and answers each with a number from 0 to 1.
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Option<Peer>,
    /// Keeps the base's numbers: what is in this file is not measured again, what is measured is
    /// added to it.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Measures no model: aggregates StereoSet scores that someone published, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Also writes the result here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A part of the data that is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MeasuredPart {
    Valid,
    Test,
}

impl MeasuredPart {
    const fn part(self) -> Part {
        match self {
            Self::Valid => Part::Valid,
            Self::Test => Part::Test,
        }
    }
}

impl EvalArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match (&self.scores, &self.data) {
            (Some(scores), _) => print_published(scores),
            (None, Some(data)) => self.evaluate(data),
            (None, None) => anyhow::bail!("say where the data sets are with --data"),
        }
    }

    fn evaluate(&self, data: &Path) -> anyhow::Result<()> {
        ensure!(self.prompts > 0 && self.samples > 0, "there is a prompt and a sample at least");
        let model = self.base.open()?;
        let judges = Judges::start(self.peer.as_ref())?;
        let bench = Bench::new(&model, self.folder.open(&model), judges, self.precision);
        let exams = self.exams(data, &model, &bench)?;
        let base = self.base_sheets(&bench, &exams)?;
        let compare = |seeds: &Seeds| compare(&bench, &exams, &base, seeds);
        let report = Report {
            model: model.name().into(),
            weights: model.fingerprint().into(),
            precision: self.precision.name().into(),
            part: self.part.part(),
            judges: bench.judges(),
            base: base.iter().flat_map(Sheet::measurements).collect(),
            sets: self.adapters.iter().map(compare).collect::<anyhow::Result<_>>()?,
        };
        print!("{report}");
        self.json.as_deref().map_or(Ok(()), |file| write_json(file, &report))
    }

    fn exams(&self, data: &Path, model: &Model, bench: &Bench<'_>) -> anyhow::Result<Vec<Exam>> {
        let (part, prompts, samples) = (self.part.part(), self.prompts, self.samples);
        let source = Source { data, part, amount: Amount { prompts, samples } };
        let mut all = Vec::new();
        for &test in &self.tests {
            if test == Test::Chat {
                all.push(Exam::Chatting(bench.chat(part)?));
            } else {
                all.extend(source.exams(test, Some(model.tokenizer()))?);
            }
        }
        let chosen = |domain: &Word| self.domains.is_empty() || self.domains.contains(domain);
        all.retain(|exam| exam.domain().is_none_or(&chosen));
        ensure!(!all.is_empty(), "no test has these domains");
        Ok(all)
    }

    /// The base's sheets of each exam: kept ones, and those that are missing.
    fn base_sheets(&self, bench: &Bench<'_>, exams: &[Exam]) -> anyhow::Result<Vec<Sheet>> {
        let mut kept = Baseline::new(bench.weights(), self.precision.name());
        if let Some(file) = self.against.as_deref().filter(|file| file.exists()) {
            kept = kept.read(file)?;
        }
        let mut sheets = Vec::new();
        for exam in exams {
            let wanted = bench.identities(exam)?;
            let found = |kept: &Baseline| -> Option<Vec<Sheet>> {
                wanted
                    .iter()
                    .map(|(test, domain, key)| kept.find(*test, domain, *key).cloned())
                    .collect()
            };
            if found(&kept).is_none() {
                kept.add(bench.sheets(&AdapterSet::default(), &[exam])?);
                self.against.as_deref().map_or(Ok(()), |file| kept.write(file))?;
            }
            sheets.extend(found(&kept).context("an exam gave another sheet than it should")?);
        }
        Ok(sheets)
    }
}

/// What the adapters of some seeds change on average.
fn compare(
    bench: &Bench<'_>,
    exams: &[Exam],
    base: &[Sheet],
    seeds: &Seeds,
) -> anyhow::Result<Comparison> {
    let exams: Vec<&Exam> = exams.iter().collect();
    let sheets = |set: &AdapterSet| bench.sheets(set, &exams);
    let adapted = seeds.0.iter().map(sheets).collect::<anyhow::Result<Vec<_>>>()?;
    let mut measurements = Vec::new();
    for (index, base) in base.iter().enumerate() {
        let adapted: Vec<&Sheet> = adapted.iter().map(|sheets| &sheets[index]).collect();
        measurements.extend(base.compare(&adapted)?);
    }
    let applied = seeds.0.iter().map(AdapterSet::applied).collect();
    Ok(Comparison { set: seeds.to_string(), seeds: applied, measurements })
}

fn write_json(file: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

fn print_published(file: &Path) -> anyhow::Result<()> {
    let items = stereoset::parse(&read_text(file)?)?;
    for measurement in stereoset::published(&items)?.iter().flat_map(Sheet::measurements) {
        println!("{measurement}");
    }
    Ok(())
}
