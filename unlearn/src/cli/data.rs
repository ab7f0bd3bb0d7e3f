//! `lethe-unlearn data`

use std::path::PathBuf;

use anyhow::Context as _;
use candle_core::{DType, Device};
use clap::{Args, Subcommand};
use model::NoDelta;
use unlearn::corpus::{self, Domain, Part, Text};
use unlearn::evaluation::DenseScorer;
use unlearn::mask::{Legibility, Lexicon, MaskKind, Masker, shown};

use super::base::BaseArgs;

/// As in the usual run files.
const MAX_TOKENS: usize = 48;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Prints how a mask falls on the tokens of harmful texts: bars between tokens, brackets around
    /// those that are masked.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    base: BaseArgs,
    /// Folder of data sets.
    #[arg(long, env = "LETHE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Whom the texts are about, such as gender. Masks of spans are of texts about anybody.
    #[arg(long, required_unless_present = "mask")]
    domain: Option<Domain>,
    /// phrase, spans, lexicon, assisted, all or random.
    #[arg(long, default_value = "phrase")]
    mask: MaskKind,
    /// How many texts.
    #[arg(long, default_value_t = 5)]
    count: usize,
    /// Decides what a random mask is.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Prints what the texts say. They contain hate speech.
    #[arg(long)]
    unblurred: bool,
}

impl DataCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show(arguments) => arguments.run(),
        }
    }
}

impl ShowArgs {
    fn run(self) -> anyhow::Result<()> {
        let texts = self.texts()?;
        let model = self.base.open()?;
        let decoder = model.dense(DType::F32, &Device::Cpu)?;
        let mut masker = Masker::new(model.tokenizer(), MAX_TOKENS, self.seed);
        if self.mask == MaskKind::Lexicon {
            let learned = Lexicon::learned(&corpus::toxic_spans(&self.data, Part::Train)?);
            println!("{} words in the lexicon", learned.len());
            masker = masker.with_lexicon(learned);
        }
        let mut scorer = DenseScorer::new(&decoder, &NoDelta);
        let legibility = if self.unblurred { Legibility::Plain } else { Legibility::Blurred };
        for (number, masked) in masker.masks(self.mask, &texts, &mut scorer)?.iter().enumerate() {
            let (tokens, targets) = (masked.tokens.len(), masked.targets());
            println!("{}: {targets} of {tokens} tokens", number + 1);
            println!("   {}", shown(model.tokenizer(), masked, legibility));
        }
        Ok(())
    }

    /// The first texts to train on.
    fn texts(&self) -> anyhow::Result<Vec<(Option<Domain>, Text)>> {
        let mut texts = if self.mask == MaskKind::Spans {
            corpus::toxic_spans(&self.data, Part::Train)?
        } else {
            let domain = self.domain.context("say whom texts are about with --domain")?;
            corpus::biased(&self.data, domain, Part::Train)?
        };
        texts.truncate(self.count);
        Ok(texts.into_iter().map(|text| (self.domain, text)).collect())
    }
}
