//! `lethe-unlearn report`

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use unlearn::evaluation::{read_bytes, read_text};
use unlearn::report::{Report, Results, TrainingRun};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folders of training runs.
    #[arg(long, value_name = "DIR", required_unless_present = "evaluation")]
    run: Vec<PathBuf>,
    /// Results that eval --json wrote.
    #[arg(long, value_name = "FILE")]
    evaluation: Vec<PathBuf>,
    /// The page's heading.
    #[arg(long, default_value = "Adapters, made and measured")]
    title: String,
    /// The page.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl ReportArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let report = Report {
            title: self.title,
            runs: self.run.iter().map(|folder| run(folder)).collect::<Result<_, _>>()?,
            results: self.evaluation.iter().map(|file| results(file)).collect::<Result<_, _>>()?,
        };
        fs::write(&self.out, report.page())
            .with_context(|| format!("{} cannot be written", self.out.display()))
    }
}

fn run(folder: &Path) -> anyhow::Result<TrainingRun> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let log = read_text(&folder.join("log.jsonl"))?;
    TrainingRun::parse(&name, &log).with_context(|| format!("the log of run {name}"))
}

fn results(file: &Path) -> anyhow::Result<Results> {
    Results::parse(&read_bytes(file)?).with_context(|| file.display().to_string())
}
