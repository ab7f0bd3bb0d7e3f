//! `lethe-unlearn scorer heads`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use gateway_toxicity::encoder::Encoder;
use unlearn::evaluation::read_text;
use unlearn::scorer::data;
use unlearn::scorer::heads::{Embedded, HeadsRun, train};

use crate::cli::progress;

/// Texts between lines where there is no terminal for a bar.
const LOG_TEXTS: usize = 6_400;

#[derive(Debug, Args)]
pub(crate) struct HeadsArgs {
    /// The run file.
    #[arg(long, value_name = "FILE")]
    run: PathBuf,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Folder of the sentence encoder.
    #[arg(long, value_name = "DIR")]
    encoder: PathBuf,
    /// Folder for heads.json and heads.safetensors; the encoder's own makes a scorer of it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl HeadsArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let run = HeadsRun::parse(&read_text(&self.run)?)?;
        let examples = data::load(&self.data)?;
        let encoder = Encoder::open(&self.encoder).context("the encoder cannot be opened")?;
        let bar = progress::bar("texts", 0);
        let tick = &mut |Embedded { done, texts }: Embedded| {
            bar.set_length(texts as u64);
            bar.set_position(done as u64);
            if bar.is_hidden() && done % LOG_TEXTS == 0 {
                println!("text {done} of {texts}");
            }
        };
        let heads = train(&run, &examples, &encoder, tick)?;
        bar.finish_and_clear();
        std::fs::create_dir_all(&self.out).context("the folder cannot be made")?;
        heads.save(&self.out)?;
        println!("{}", heads.name());
        Ok(())
    }
}
