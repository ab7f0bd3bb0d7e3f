//! `lethe-unlearn seed`

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use model::Projection;
use unlearn::seeded::{Seeded, seeded_lora};

use super::base::BaseArgs;

#[derive(Debug, Args)]
pub(crate) struct SeedArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// Folder to write, in PEFT's format.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The projections it acts at, such as `q_proj`.
    #[arg(long, value_delimiter = ',', value_parser = projection, default_values = Projection::ALL.map(Projection::name))]
    projections: Vec<Projection>,
    /// The rank.
    #[arg(long, default_value_t = 8)]
    rank: usize,
    /// Size of the update's entries beside a typical weight's.
    #[arg(long, default_value_t = 0.05)]
    strength: f32,
    /// Same seed, same weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn projection(name: &str) -> anyhow::Result<Projection> {
    Projection::parse(name).ok_or_else(|| anyhow!("the model has no such projection"))
}

impl SeedArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        ensure!((1..=256).contains(&self.rank), "the rank is between 1 and 256");
        ensure!(self.strength.is_finite(), "the strength is not finite");
        let model = self.base.open()?;
        let config = model.checkpoint().config();
        let seeded = Seeded {
            projections: self.projections,
            rank: self.rank,
            strength: self.strength,
            seed: self.seed,
        };
        let written = seeded_lora(config, &seeded).save(&self.out, config);
        written.context("the adapter cannot be written")
    }
}
