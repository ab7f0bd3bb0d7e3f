//! `lethe-unlearn scorer eval`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use gateway_toxicity::{FastScorer, Scorer, encoder};
use unlearn::evaluation::read_bytes;
use unlearn::scorer::evaluation::{Card, Judge, Program, Tests, WordList};
use unlearn::scorer::{data, lexicon};

use crate::cli::peer::Peer;

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A fast scorer's file, or a folder with an encoder [default: the one in the gateway].
    #[arg(long, value_name = "PATH")]
    scorer: Option<PathBuf>,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// A program to measure beside it: it reads JSON strings, a line each, and answers each with a
    /// number from 0 to 1.
    #[arg(long, value_name = "NAME=COMMAND")]
    peer: Vec<Peer>,
    /// Writes the results here: card.json, card.md and reliability.svg.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl EvalArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let examples = data::load(&self.data)?;
        let cases = data::load_cases(&self.data)?;
        let tests = Tests { examples: &examples, cases: &cases };
        let mut judges: Vec<Box<dyn Judge>> = vec![Box::new(open(self.scorer.as_deref())?)];
        for Peer { name, command } in &self.peer {
            judges.push(Box::new(Program::start(name, command)?));
        }
        judges.push(Box::new(WordList::mined(&examples)));
        let cards = judges.iter_mut().map(|judge| tests.measure(judge.as_mut()));
        let cards: Vec<Card> = cards.collect::<Result<_, _>>()?;
        let overlap = tests.overlap(&lexicon::slurs(&examples))?;
        let page = Card::page(&cards, overlap)?;
        let plot = cards.first().map(Card::reliability_plot).transpose()?.unwrap_or_default();
        let json = serde_json::to_string_pretty(&cards)? + "\n";
        for (name, text) in [("card.json", &json), ("card.md", &page), ("reliability.svg", &plot)] {
            let path = self.out.join(name);
            std::fs::write(path, text).with_context(|| format!("{name} cannot be written"))?;
        }
        print!("{page}");
        Ok(())
    }
}

fn open(path: Option<&Path>) -> anyhow::Result<Box<dyn Scorer>> {
    Ok(match path {
        None => Box::new(FastScorer::embedded()?),
        Some(folder) if folder.is_dir() => encoder::open_scorer(folder)?,
        Some(file) => Box::new(FastScorer::from_bytes(&read_bytes(file)?)?),
    })
}
