//! The run file: everything that decides what comes out, beside model and data.

mod reader;
mod term;

use adapters::AdapterName;
use candle_core::DType;
use model::Projection;

use self::reader::Reader;
use super::schedule::Schedule;
use crate::corpus::Domain;
use crate::optimiser::AdamWSettings;

pub use term::{Loss, PairLoss, Source, Term, TextLoss};

/// A training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The adapter's name.
    pub name: AdapterName,
    /// The domains whose texts it learns from; at least one.
    pub domains: Vec<Domain>,
    /// Of every random choice.
    pub seed: u64,
    /// What the adapter is like.
    pub shape: Shape,
    /// Steps and learning rate.
    pub schedule: Schedule,
    /// How steps are taken.
    pub(crate) optimiser: AdamWSettings,
    /// When to stop.
    pub guards: Guards,
    /// How the base's weights are held.
    pub precision: Precision,
    /// Whether activations are computed again in the backward pass rather than kept.
    pub checkpoint_activations: bool,
    /// What is descended, each with its weight; at least one.
    pub terms: Vec<Term>,
    /// The file as it was read.
    pub table: toml::Table,
}

/// How the base's weights are held while an adapter learns; the adapter is in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Exact.
    F32,
    /// In brain floats: twice as fast where the processor multiplies them, and always on a GPU.
    Bf16,
}

impl Precision {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "f32" => Some(Self::F32),
            "bf16" => Some(Self::Bf16),
            _ => None,
        }
    }

    /// The element type.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// What an adapter is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Rows of A and columns of B.
    pub rank: usize,
    /// The delta is `alpha / rank` times B A.
    pub alpha: f64,
    /// The projections it acts at, in every layer.
    pub projections: Vec<Projection>,
}

impl Shape {
    /// `alpha / rank`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rank")]
    pub fn scaling(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// When training stops. The adapter is that of the last measurement inside both budgets: early
/// steps may leave them and later ones come back.
#[derive(Debug, Clone, PartialEq)]
pub struct Guards {
    /// Perplexity of neutral text, as a multiple of the base's.
    pub perplexity: f64,
    /// KL from the base on the same text, in nats a token.
    pub kl: f64,
    /// Measurements outside a budget, one after the other, that end the run.
    pub patience: usize,
    /// Steps between measurements; a checkpoint is written at each.
    pub every: usize,
}

/// Everything that is wrong with a run file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the run file has {} faults:\n  {}", .0.len(), .0.join("\n  "))]
pub struct RunError(pub Vec<String>);

impl Run {
    /// Reads and checks a run file.
    ///
    /// # Errors
    /// [`RunError`] with all faults.
    pub fn parse(text: &str) -> Result<Self, RunError> {
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| RunError(vec![error.message().into()]))?;
        Self::read(table)
    }

    /// Checks a run file that is a table already, such as the one in a card.
    ///
    /// # Errors
    /// [`RunError`] with all faults.
    pub fn read(table: toml::Table) -> Result<Self, RunError> {
        let mut faults = Vec::new();
        match assemble(table, &mut faults) {
            Some(run) if faults.is_empty() => Ok(run),
            Some(_) | None => Err(RunError(faults)),
        }
    }

    /// The names of its losses, joined by `+`.
    #[must_use]
    pub fn objective(&self) -> String {
        let mut names: Vec<_> = self.terms.iter().map(|term| term.loss.name()).collect();
        names.dedup();
        names.join("+")
    }

    /// Whether the adapter learns the harmful text, so that its sign is flipped at the end.
    #[must_use]
    pub fn negates(&self) -> bool {
        self.terms.iter().any(Term::negates)
    }
}

fn assemble(table: toml::Table, faults: &mut Vec<String>) -> Option<Run> {
    let mut reader = Reader::new(String::new(), table.clone(), faults);
    let name = reader.word("name", "an adapter's name", |name| AdapterName::parse(name).ok());
    let name = reader.required("name", name);
    let domains = reader.words("domains", "domains", |word| word.parse().ok());
    let domains = reader.required("domains", domains);
    let seed = reader.count("seed", 0..=usize::MAX >> 1).unwrap_or(0) as u64;
    let precision = reader.word("precision", "f32 or bf16", Precision::parse);
    let checkpoint_activations = reader.flag("checkpoint_activations").unwrap_or(false);
    let shape = shape(reader.table("adapter"));
    let schedule = schedule(reader.table("schedule"));
    let optimiser = optimiser(reader.table("optimiser"));
    let guards = guards(reader.table("guards"));
    let tables = reader.tables("term");
    if tables.is_empty() {
        reader.fault("there must be at least one term");
    }
    reader.finish();
    let terms: Vec<_> = (1..)
        .zip(tables)
        .map(|(number, table)| Term::read(Reader::new(format!("term {number}: "), table, faults)))
        .collect();
    let terms: Vec<Term> = terms.into_iter().collect::<Option<_>>()?;
    let may_flip = |term: &Term| term.negates() || term.loss == Loss::Texts(TextLoss::Kl);
    if terms.iter().any(Term::negates) && !terms.iter().all(may_flip) {
        faults.push("negate can only stand beside kl: all else would be flipped too".into());
    }
    Some(Run {
        name: name?,
        domains: domains?,
        seed,
        shape,
        schedule: schedule?,
        optimiser,
        guards,
        precision: precision.unwrap_or(Precision::F32),
        checkpoint_activations,
        terms,
        table,
    })
}

fn shape(mut reader: Reader<'_>) -> Shape {
    let rank = reader.count("rank", 1..=256).unwrap_or(8);
    let alpha = reader.number("alpha", 1e-3..=1e4).unwrap_or(16.0);
    let projections = reader.words("projections", "projections", Projection::parse);
    reader.finish();
    Shape { rank, alpha, projections: projections.unwrap_or(Projection::ALL.to_vec()) }
}

fn schedule(mut reader: Reader<'_>) -> Option<Schedule> {
    let steps = reader.count("steps", 1..=1_000_000);
    let steps = reader.required("steps", steps);
    let learning_rate = reader.number("learning_rate", 1e-8..=1.0);
    let learning_rate = reader.required("learning_rate", learning_rate);
    let warmup = reader.count("warmup", 0..=1_000_000).unwrap_or(5);
    let hold = reader.number("hold", 0.0..=1.0).unwrap_or(0.6);
    let last = reader.number("last", 0.0..=1.0).unwrap_or(0.1);
    reader.finish();
    Some(Schedule { steps: steps?, learning_rate: learning_rate?, warmup, hold, last })
}

fn optimiser(mut reader: Reader<'_>) -> AdamWSettings {
    let settings = AdamWSettings {
        beta1: reader.number("beta1", 0.0..=0.9999).unwrap_or(0.9),
        beta2: reader.number("beta2", 0.0..=0.99999).unwrap_or(0.95),
        epsilon: reader.number("epsilon", 1e-12..=1e-2).unwrap_or(1e-8),
        weight_decay: reader.number("weight_decay", 0.0..=10.0).unwrap_or(0.0),
        clip: reader.number("clip", 1e-6..=1e6).unwrap_or(1.0),
    };
    reader.finish();
    settings
}

fn guards(mut reader: Reader<'_>) -> Guards {
    let guards = Guards {
        perplexity: reader.number("perplexity", 1.0..=1e6).unwrap_or(1.05),
        kl: reader.number("kl", 0.0..=1e6).unwrap_or(0.2),
        patience: reader.count("patience", 1..=1_000_000).unwrap_or(3),
        every: reader.count("every", 1..=1_000_000).unwrap_or(10),
    };
    reader.finish();
    guards
}
