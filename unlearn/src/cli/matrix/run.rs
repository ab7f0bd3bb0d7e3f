//! The run file of an evaluation: which adapter sets are measured by which tests.

use adapters::card::Word;
use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use unlearn::corpus::Part;
use unlearn::evaluation::Test;

use crate::cli::base::adapters::Seeds;
use crate::cli::eval::examiner::Precision;

/// The longest label of a row.
const LABEL_CHARACTERS: usize = 60;

/// Tables to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatrixRun {
    pub(super) part: Part,
    pub(super) precision: Precision,
    /// Prompts of a domain that are continued, at most.
    pub(super) prompts: usize,
    /// Continuations of each prompt.
    pub(super) samples: usize,
    pub(super) table: Vec<TableRun>,
}

/// One table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableRun {
    pub(super) name: Word,
    pub(super) tests: Vec<Test>,
    /// All where none is named.
    #[serde(default)]
    pub(super) domains: Vec<Word>,
    /// Labels and adapter sets; seeds are separated by commas.
    sets: Vec<(String, Seeds)>,
    #[serde(default)]
    served: Served,
    /// Scales that every set is measured at.
    #[serde(default = "once")]
    scales: Vec<f32>,
}

/// Which sets are served together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Served {
    /// Each alone.
    #[default]
    Alone,
    /// Each with each other.
    Pairs,
}

fn once() -> Vec<f32> {
    vec![1.0]
}

impl MatrixRun {
    /// Reads a run file and checks all of it before anything is measured.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let run: Self = toml::from_str(text).context("the run file is malformed")?;
        ensure!(run.part != Part::Train, "what was trained on is not measured");
        ensure!(run.prompts > 0 && run.samples > 0, "there is a prompt and a sample at least");
        ensure!(!run.table.is_empty(), "the run file has no table");
        for (index, table) in run.table.iter().enumerate() {
            let twice = run.table[..index].iter().any(|other| other.name == table.name);
            ensure!(!twice, "two tables are called {}", table.name);
            table.rows().with_context(|| format!("table {}", table.name))?;
        }
        Ok(run)
    }
}

impl TableRun {
    /// Every row's label and adapter sets.
    pub(super) fn rows(&self) -> anyhow::Result<Vec<(String, Seeds)>> {
        ensure!(!self.tests.is_empty(), "it has no test");
        ensure!(self.scales.iter().all(|scale| scale.is_finite()), "a scale is not finite");
        let sets = match self.served {
            Served::Alone => self.sets.clone(),
            Served::Pairs => pairs(&self.sets)?,
        };
        let mut rows = Vec::new();
        for (label, seeds) in &sets {
            let plain = |c: char| !c.is_control() && c != '|';
            let length = label.chars().count();
            if !label.chars().all(plain) || !(1..=LABEL_CHARACTERS).contains(&length) {
                bail!("a label has 1 to {LABEL_CHARACTERS} characters, and no bar among them");
            }
            for &scale in &self.scales {
                let at = if self.scales.len() > 1 { format!(" at {scale}") } else { String::new() };
                rows.push((format!("{label}{at}"), seeds.scaled(scale)));
            }
        }
        ensure!(!rows.is_empty(), "it has no row");
        Ok(rows)
    }
}

/// Each set with each other, seed by seed.
fn pairs(sets: &[(String, Seeds)]) -> anyhow::Result<Vec<(String, Seeds)>> {
    let mut pairs = Vec::new();
    for (index, (one, seeds)) in sets.iter().enumerate() {
        for (other, others) in &sets[index + 1..] {
            pairs.push((format!("{one} + {other}"), seeds.joined(others)?));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "part = 'test'\nprecision = 'f32'\nprompts = 10\nsamples = 2\n";

    fn rows(table: &str) -> anyhow::Result<Vec<(String, String)>> {
        let table = format!("{HEAD}[[table]]\nname = 't'\ntests = ['harmful', 'bold']\n{table}");
        let rows = MatrixRun::parse(&table)?.table[0].rows()?;
        Ok(rows.into_iter().map(|(label, seeds)| (label, seeds.to_string())).collect())
    }

    #[test]
    fn sets_are_served_alone_or_in_pairs_at_every_scale() {
        let sets = "sets = [['hats', 'h-0,h-1'], ['shoes', 's-0,s-1@2']]\n";
        let alone = rows(&format!("{sets}scales = [-1.0, 0.5]")).unwrap();
        assert_eq!(alone.len(), 4);
        assert_eq!(alone[0], ("hats at -1".to_owned(), "h-0@-1,h-1@-1".to_owned()));
        assert_eq!(alone[3], ("shoes at 0.5".to_owned(), "s-0@0.5,s-1@1".to_owned()));
        let pairs = rows(&format!("{sets}served = 'pairs'")).unwrap();
        assert_eq!(pairs, [("hats + shoes".to_owned(), "h-0@1+s-0@1,h-1@1+s-1@2".to_owned())]);
    }

    #[test]
    fn the_run_file_of_the_results_is_sound() {
        let run = MatrixRun::parse(include_str!("../../../runs/matrix.toml")).unwrap();
        let rows: Vec<usize> = run.table.iter().map(|t| t.rows().unwrap().len()).collect();
        assert_eq!((run.part, rows), (Part::Test, vec![11, 1, 1, 1, 1, 1, 1, 5, 10, 6]));
    }

    #[test]
    fn a_run_file_with_a_fault_measures_nothing() {
        for bad in [
            "sets = []",
            "sets = [['hats', 'no name']]",
            "sets = [['a|b', 'h']]",
            "sets = [['', 'h']]",
            "sets = [['hats', 'h']]\nscales = [nan]",
            "sets = [['hats', 'h']]\nscale = [1.0]",
            "sets = [['hats', 'h-0,h-1'], ['shoes', 's-0']]\nserved = 'pairs'",
            "sets = [['hats', 'h'], ['hats again', 'h']]\nserved = 'pairs'",
        ] {
            assert!(rows(bad).is_err(), "{bad}");
        }
        assert!(MatrixRun::parse(HEAD).is_err());
    }
}
