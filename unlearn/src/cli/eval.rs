//! `lethe-unlearn eval`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::TensorDelta;
use anyhow::{Context as _, ensure};
use candle_core::{DType, Device};
use clap::{Args, ValueEnum};
use model::kernels::pool::Pool;
use model::{Model, NoDelta, ServedPrecision};
use unlearn::evaluation::{
    AppliedAdapter, DenseScorer, Measurement, PackedScorer, Report, Scorer, perplexity, read_text,
    stereoset,
};

use super::base::{AdapterArgs, BaseArgs, Chosen, borrowed};
use super::progress;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    adapters: AdapterArgs,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR", required_unless_present = "scores")]
    data: Option<PathBuf>,
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "stereoset,perplexity")]
    tests: Vec<Test>,
    /// How weights are held.
    #[arg(long, default_value = "f32")]
    precision: Precision,
    /// Measures no model: aggregates StereoSet scores that someone published, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    scores: Option<PathBuf>,
    /// Also writes the result here, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Test {
    Stereoset,
    Perplexity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// Exact, by the decoder that trains.
    F32,
    /// As requests are answered.
    Served,
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
        let model = self.base.open()?;
        let chosen = self.adapters.load(model.checkpoint().config())?;
        let tests = Tests { data, chosen: &self.tests, model: &model };
        let measurements = match self.precision {
            Precision::F32 => {
                let decoder = model.dense(DType::F32, &Device::Cpu)?;
                let delta = TensorDelta::new(&borrowed(&chosen), &Device::Cpu)?;
                tests.run(&mut DenseScorer::new(&decoder, &delta))?
            }
            Precision::Served => {
                ensure!(chosen.is_empty(), "adapters are measured with --precision f32");
                let threads = std::thread::available_parallelism()?.get();
                let decoder = model.packed(ServedPrecision::Auto, Arc::new(Pool::new(threads)))?;
                tests.run(&mut PackedScorer::new(&decoder, &NoDelta))?
            }
        };
        let report = Report {
            model: model.name().into(),
            weights: model.fingerprint().into(),
            precision: self.precision.name().into(),
            adapters: chosen.iter().map(applied).collect(),
            measurements,
        };
        print!("{report}");
        self.json.as_deref().map_or(Ok(()), |file| write_json(file, &report))
    }
}

impl Precision {
    const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Served => "served",
        }
    }
}

fn applied(adapter: &Chosen) -> AppliedAdapter {
    AppliedAdapter { name: adapter.name.to_string(), scale: adapter.scale }
}

fn write_json(file: &Path, report: &Report) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)? + "\n";
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// The chosen tests and what they need beside a scorer.
struct Tests<'a> {
    data: &'a Path,
    chosen: &'a [Test],
    model: &'a Model,
}

impl Tests<'_> {
    fn run(&self, scorer: &mut dyn Scorer) -> anyhow::Result<Vec<Measurement>> {
        let mut measurements = Vec::new();
        if self.chosen.contains(&Test::Stereoset) {
            measurements.extend(self.stereoset(scorer).context("StereoSet")?);
        }
        if self.chosen.contains(&Test::Perplexity) {
            measurements.push(self.perplexity(scorer).context("perplexity")?);
        }
        Ok(measurements)
    }

    fn stereoset(&self, scorer: &mut dyn Scorer) -> anyhow::Result<Vec<Measurement>> {
        let items = stereoset::parse(&read_text(&self.data.join(stereoset::FILE))?)?;
        let bar = progress::bar("StereoSet", items.len() * 3);
        let tick = &mut |count: usize| bar.inc(count as u64);
        let scored = stereoset::score(&items, self.model.tokenizer(), scorer, tick)?;
        bar.finish_and_clear();
        Ok(stereoset::aggregate(&scored))
    }

    fn perplexity(&self, scorer: &mut dyn Scorer) -> anyhow::Result<Measurement> {
        let text = read_text(&self.data.join(perplexity::FILE))?;
        let windows = perplexity::windows(&text, self.model.tokenizer())?;
        let bar = progress::bar("perplexity", windows.len());
        let tick = &mut |count: usize| bar.inc(count as u64);
        let measured = perplexity::measure(&windows, scorer, tick)?;
        bar.finish_and_clear();
        Ok(measured)
    }
}

fn print_published(file: &Path) -> anyhow::Result<()> {
    let items = stereoset::parse(&read_text(file)?)?;
    for measurement in stereoset::aggregate(&items) {
        println!("{measurement}");
    }
    Ok(())
}
