//! `lethe-unlearn train`

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use adapters::lora::Element;
use anyhow::{Context as _, bail, ensure};
use clap::Args;
use indicatif::ProgressBar;
use toml::{Table, Value};
use unlearn::card;
use unlearn::corpus::Domain;
use unlearn::evaluation::read_text;
use unlearn::mask::MaskKind;
use unlearn::training::{Dataset, Record, Run, Trainer};

use super::base::BaseArgs;
use super::device::DeviceArgs;
use super::progress;

/// Steps between lines where there is no terminal for a bar.
const LOG_STEPS: usize = 10;
/// Training's graphs are deep, and candle walks them by recursion.
const STACK_BYTES: usize = 64 << 20;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// The run file.
    #[arg(long, value_name = "FILE", required_unless_present = "card", conflicts_with = "card")]
    run: Option<PathBuf>,
    /// Trains again what this card describes.
    #[arg(long, value_name = "FILE")]
    card: Option<PathBuf>,
    #[command(flatten)]
    changes: Changes,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Folder of the run: its log, its checkpoint and, at the end, the adapter in PEFT's format.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Goes on with the run that is in the folder.
    #[arg(long)]
    resume: bool,
}

impl TrainArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        with_deep_stack(move || self.train())
    }

    fn train(self) -> anyhow::Result<()> {
        let run = self.read_run()?;
        let folder = RunFolder(self.out.clone());
        ensure!(
            self.resume || !folder.checkpoint().exists(),
            "there is a run in the folder already: go on with --resume, or choose another folder"
        );
        fs::create_dir_all(&folder.0).context("the folder of the run cannot be made")?;
        let model = self.base.open()?;
        let device = self.device.open()?;
        let decoder = model.dense(run.precision.dtype(), &device)?;
        let dataset = Dataset::load(&run, &model, &decoder, &self.data, &device)?;
        let trainer = Trainer::open(&run, &dataset, &decoder, &device, &folder.checkpoint())?;
        let mut log = folder.open_log(trainer.step())?;
        let bar = progress::bar("step", run.schedule.steps);
        bar.set_position(trainer.step() as u64);
        let mut failed = None;
        let trained = trainer.run(&folder.checkpoint(), &mut |record| {
            show(&bar, record, run.schedule.steps);
            failed = failed.take().or(append(&mut log, record).err());
        })?;
        bar.finish_and_clear();
        if let Some(error) = failed {
            return Err(error.context("the log is not complete"));
        }
        let config = model.checkpoint().config();
        trained.lora.save_as(&folder.0, config, Element::Bf16)?;
        let card = card::new(&run, &model, &dataset)?;
        card::write(&card, &folder.0)?;
        let drift = trained.best.drift;
        println!(
            "{}: step {}, perplexity x{:.4}, KL {:.4}",
            run.name, trained.best.step, drift.perplexity, drift.kl
        );
        Ok(())
    }

    fn read_run(&self) -> anyhow::Result<Run> {
        let mut table = match (&self.run, &self.card) {
            (Some(file), _) => read_text(file)?.parse().context("the run file is not TOML")?,
            (None, Some(file)) => card::run_table(&read_text(file)?)?,
            (None, None) => bail!("say what to train with --run"),
        };
        self.changes.apply(&mut table)?;
        Ok(Run::read(table)?)
    }
}

/// What is otherwise than in the run file. The card has the run as it was.
#[derive(Debug, Args)]
struct Changes {
    /// Another seed than the run file's.
    #[arg(long)]
    seed: Option<u64>,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Other domains.
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    domains: Vec<Domain>,
    /// Another mask of what `ascent` terms push down: for controls.
    #[arg(long, value_name = "MASK")]
    forget: Option<MaskKind>,
    /// Leaves out the terms with these losses: to see what they do.
    #[arg(long, value_name = "LOSS", value_delimiter = ',')]
    without: Vec<String>,
}

impl Changes {
    fn apply(&self, table: &mut Table) -> anyhow::Result<()> {
        if let Some(seed) = self.seed {
            table.insert("seed".into(), i64::try_from(seed)?.into());
        }
        if let Some(name) = &self.name {
            table.insert("name".into(), name.as_str().into());
        }
        if !self.domains.is_empty() {
            let domains: Vec<Value> = self.domains.iter().map(|d| d.name().into()).collect();
            table.insert("domains".into(), domains.into());
        }
        let Some(terms) = table.get_mut("term").and_then(Value::as_array_mut) else {
            return Ok(());
        };
        for loss in &self.without {
            let before = terms.len();
            terms.retain(|term| loss_of(term) != Some(loss));
            ensure!(terms.len() < before, "no term has the loss {loss} that is to be left out");
        }
        if let Some(mask) = self.forget {
            let ascents = terms.iter_mut().filter(|term| loss_of(term) == Some("ascent"));
            ascents
                .filter_map(Value::as_table_mut)
                .for_each(|term| drop(term.insert("mask".into(), mask.name().into())));
        }
        Ok(())
    }
}

/// The name of a term's loss, if it has one.
fn loss_of(term: &Value) -> Option<&str> {
    term.get("loss")?.as_str()
}

/// Runs `work` on a thread of its own.
pub(crate) fn with_deep_stack(
    work: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()> {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work)?;
    thread.join().unwrap_or_else(|_| bail!("the thread panicked"))
}

/// The folder of a run.
struct RunFolder(PathBuf);

impl RunFolder {
    fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.safetensors")
    }

    /// The log with the records of the first `steps` steps; what was written after the checkpoint
    /// will be written again.
    fn open_log(&self, steps: usize) -> anyhow::Result<File> {
        let path = self.0.join("log.jsonl");
        let kept = kept_lines(&path, steps).unwrap_or_default();
        fs::write(&path, kept).context("the log cannot be written")?;
        OpenOptions::new().append(true).open(&path).context("the log cannot be written")
    }
}

fn kept_lines(path: &Path, steps: usize) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let of_step =
        |line: &&str| serde_json::from_str::<Record>(line).is_ok_and(|record| record.step <= steps);
    Some(text.lines().filter(of_step).flat_map(|line| [line, "\n"]).collect())
}

fn append(log: &mut File, record: &Record) -> anyhow::Result<()> {
    writeln!(log, "{}", serde_json::to_string(record)?)?;
    Ok(())
}

fn show(bar: &ProgressBar, record: &Record, steps: usize) {
    let losses = record.losses.iter().map(|(name, loss)| format!("{name} {loss:.4}"));
    let mut text = losses.collect::<Vec<_>>().join(", ");
    if let (Some(perplexity), Some(kl)) = (record.perplexity, record.kl) {
        text += &format!(", perplexity x{perplexity:.4}, KL {kl:.4}");
    }
    bar.set_position(record.step as u64);
    let measured = record.perplexity.is_some();
    if bar.is_hidden() && (measured || record.step.is_multiple_of(LOG_STEPS)) {
        println!(
            "step {} of {steps}: {text}, {:.0} tokens/s",
            record.step, record.tokens_per_second
        );
    }
    bar.set_message(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str =
        "seed = 1\n[[term]]\nloss = 'ascent'\n[[term]]\nloss = 'nll'\n[[term]]\nloss = 'kl'";

    fn changes() -> Changes {
        Changes { seed: None, name: None, domains: Vec::new(), forget: None, without: Vec::new() }
    }

    /// The run file with these changes.
    fn changed(changes: &Changes) -> anyhow::Result<Table> {
        let mut table = RUN.parse()?;
        changes.apply(&mut table).map(|()| table)
    }

    #[test]
    fn a_run_is_changed_by_what_the_flags_say_and_by_nothing_else() {
        assert_eq!(changed(&changes()).unwrap(), RUN.parse().unwrap());
        let random = Changes { seed: Some(2), forget: Some(MaskKind::Random), ..changes() };
        let expected =
            RUN.replace("seed = 1", "seed = 2").replace("'ascent'", "'ascent'\nmask = 'random'");
        assert_eq!(changed(&random).unwrap(), expected.parse().unwrap());
    }

    #[test]
    fn terms_of_a_loss_are_left_out() {
        let without = |losses: &[&str]| {
            changed(&Changes {
                without: losses.iter().map(ToString::to_string).collect(),
                ..changes()
            })
        };
        let left = "seed = 1\n[[term]]\nloss = 'nll'".parse().unwrap();
        assert_eq!(without(&["kl", "ascent"]).unwrap(), left);
        assert!(without(&["npo"]).is_err(), "no term has that loss");
    }
}
