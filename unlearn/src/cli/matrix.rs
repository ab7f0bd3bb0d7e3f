//! `lethe-unlearn matrix`

mod run;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use unlearn::evaluation::{Amount, Exam, Report, Row, Sheet, Source, Table, read_text};

use super::base::BaseArgs;
use super::base::adapters::{AdapterSet, FolderArgs};
use super::device::DeviceArgs;
use super::eval::examiner::Examiner;
use super::eval::judges::Judges;
use super::eval::write_json;
use super::peer::Peer;
use run::{MatrixRun, TableRun};

#[derive(Debug, Args)]
pub(crate) struct MatrixArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    folder: FolderArgs,
    /// What to measure: a run file.
    #[arg(long, value_name = "FILE")]
    run: PathBuf,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// A program that judges continuations beside our scorer.
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Option<Peer>,
    /// Keeps what was measured in this folder, so that a run that was stopped goes on.
    #[arg(long, value_name = "DIR")]
    sheets: PathBuf,
    /// Writes the results here, as JSON, for `report` and `results`.
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
}

impl MatrixArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let run = MatrixRun::parse(&read_text(&self.run)?)?;
        std::fs::create_dir_all(&self.sheets).context("the folder of sheets cannot be made")?;
        let model = self.base.open()?;
        let judges = Judges::start(self.peer.as_ref())?;
        let shelf = self.folder.open(&model);
        let examiner = Examiner::new(&model, shelf, judges, run.precision, self.device.open()?)?;
        let mut report = examiner.report(run.part, &[], Vec::new());
        for table in &run.table {
            self.measure(&run, table, &examiner, &mut report)?;
        }
        write_json(&self.json, &report)
    }

    fn measure(
        &self,
        run: &MatrixRun,
        table: &TableRun,
        examiner: &Examiner<'_>,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let amount = Amount { prompts: run.prompts, samples: run.samples };
        let source = Source { data: &self.data, part: run.part, amount };
        let exams = examiner.exams(&table.tests, &source, &table.domains)?;
        let exams: Vec<&Exam> = exams.iter().collect();
        let base = examiner.sheets(&AdapterSet::default(), &exams, Some(&self.file("base")))?;
        let (mut rows, mut sets) = (Vec::new(), Vec::new());
        for (label, seeds) in table.rows()? {
            let file = |set: &AdapterSet| Some(self.file(&set.to_string()));
            sets.push(examiner.compare(&seeds, &exams, &base, file)?);
            println!("{}: {label}", table.name);
            rows.push(Row { label, set: seeds.to_string() });
        }
        let base = base.iter().flat_map(Sheet::measurements).collect();
        let (name, domains) = (table.name.clone(), table.domains.clone());
        report.add(Table { name, domains, rows }, base, sets);
        Ok(())
    }

    /// Where the sheets of a set are kept.
    fn file(&self, set: &str) -> PathBuf {
        Path::new(&self.sheets).join(format!("{set}.json"))
    }
}
