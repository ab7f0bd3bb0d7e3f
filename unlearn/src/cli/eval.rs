//! `lethe-unlearn eval`

pub(super) mod examiner;
pub(super) mod judges;
mod remote;

use std::path::{Path, PathBuf};

use adapters::card::Word;
use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use unlearn::corpus::Part;
use unlearn::evaluation::{Amount, Exam, Report, Sheet, Source, Test, read_text, stereoset};

use super::base::BaseArgs;
use super::base::adapters::{AdapterSet, FolderArgs, Seeds};
use super::device::DeviceArgs;
use super::peer::Peer;
use examiner::{Examiner, Precision};
use judges::Judges;
use remote::RemoteArgs;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    remote: RemoteArgs,
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
        let (part, prompts, samples) = (self.part.part(), self.prompts, self.samples);
        let source = Source { data, part, amount: Amount { prompts, samples } };
        let report = match self.remote.chosen() {
            Some(chosen) => self.remote.measure(chosen, &self.tests, &source, &self.domains)?,
            None => self.examine(&source)?,
        };
        print!("{report}");
        self.json.as_deref().map_or(Ok(()), |file| write_json(file, &report))
    }

    /// The report of the model here, and of adapters on it.
    fn examine(&self, source: &Source<'_>) -> anyhow::Result<Report> {
        let model = self.base.open()?;
        let judges = Judges::start(self.peer.as_ref())?;
        let shelf = self.folder.open(&model);
        let examiner = Examiner::new(&model, shelf, judges, self.precision, self.device.open()?)?;
        let exams = examiner.exams(&self.tests, source, &self.domains)?;
        let exams: Vec<&Exam> = exams.iter().collect();
        let base = examiner.sheets(&AdapterSet::default(), &exams, self.against.as_deref())?;
        let compare = |seeds: &Seeds| examiner.compare(seeds, &exams, &base, |_| None);
        let sets = self.adapters.iter().map(compare).collect::<anyhow::Result<_>>()?;
        Ok(examiner.report(source.part, &base, sets))
    }
}

/// Writes a result as JSON.
pub(super) fn write_json(file: &Path, report: &impl Serialize) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn flags_that_an_endpoint_cannot_heed_are_refused() {
        let parse = |flags: &str| {
            let line = format!("lethe-unlearn eval --data d --endpoint http://x/v1 {flags}");
            Cli::try_parse_from(line.split(' '))
        };
        assert!(parse("--served base,other --tests crows_pairs --domains gender").is_ok());
        assert!(parse("--tests crows_pairs").is_err(), "no model is named");
        for local in
            ["--adapters a", "--precision served", "--device cpu", "--against f", "--samples 3"]
        {
            assert!(parse(&format!("--served base {local}")).is_err(), "{local}");
        }
    }
}
