//! One term of what is descended.

use super::reader::Reader;
use crate::mask::MaskKind;

/// A loss with its weight, the texts it reads, and the tokens it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The loss.
    pub loss: Loss,
    /// What it is multiplied by.
    pub weight: f64,
    /// The texts.
    pub source: Source,
    /// Which tokens of a text.
    pub mask: MaskKind,
    /// Whether each text is also read with its group swapped.
    pub swap: bool,
    /// Texts in a step.
    pub rows: usize,
    /// Longer texts are cut.
    pub max_tokens: usize,
    /// Share of the masked tokens that a step takes, drawn anew each time.
    pub share: f64,
}

/// What is descended; see [`crate::loss`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Of texts by themselves.
    Texts(TextLoss),
    /// Of texts beside their counterfactuals.
    Pairs(PairLoss),
    /// Direct preference optimisation: a mild continuation rather than a toxic one of the same
    /// beginning.
    Dpo {
        /// How soon it fades.
        beta: f64,
    },
}

/// A loss of texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TextLoss {
    /// Masked gradient ascent.
    Ascent {
        /// Log-likelihood below which a token is left alone.
        floor: Option<f64>,
    },
    /// Negative preference optimisation.
    Npo {
        /// How soon it fades.
        beta: f64,
    },
    /// Self-distillation with lowered logits.
    Undial {
        /// By how much a logit is lowered.
        strength: f64,
    },
    /// Likelihood of the harmful text, for an adapter whose sign is flipped at the end.
    Negate,
    /// Stays close to the base model.
    Kl,
    /// Stays likely.
    Nll,
}

/// A loss of texts beside their counterfactuals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PairLoss {
    /// Likelihood does not depend on the group.
    SquaredGap {
        /// Largest squared gap that counts, in squared nats.
        limit: f64,
    },
    /// What is said does not depend on the group.
    Mixture,
    /// What could be said does not depend on the group, rare words included.
    TemperedGap {
        /// How much likelier tokens count for more: from 0 to 1.
        temper: f64,
        /// Weight of what must follow the group: the distribution among the words that name one.
        agreement: f64,
    },
}

impl Loss {
    const NAMES: &str =
        "ascent, npo, undial, negate, kl, nll, squared-gap, mixture, tempered-gap or dpo";

    /// Its name in run files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Texts(TextLoss::Ascent { .. }) => "ascent",
            Self::Texts(TextLoss::Npo { .. }) => "npo",
            Self::Texts(TextLoss::Undial { .. }) => "undial",
            Self::Texts(TextLoss::Negate) => "negate",
            Self::Texts(TextLoss::Kl) => "kl",
            Self::Texts(TextLoss::Nll) => "nll",
            Self::Pairs(PairLoss::SquaredGap { .. }) => "squared-gap",
            Self::Pairs(PairLoss::Mixture) => "mixture",
            Self::Pairs(PairLoss::TemperedGap { .. }) => "tempered-gap",
            Self::Dpo { .. } => "dpo",
        }
    }

    fn read(name: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let of_texts = match name {
            "ascent" => TextLoss::Ascent { floor: reader.number("floor", -1e4..=0.0) },
            "npo" => TextLoss::Npo { beta: reader.number("beta", 1e-4..=100.0).unwrap_or(0.1) },
            "undial" => {
                TextLoss::Undial { strength: reader.number("strength", 0.0..=1e3).unwrap_or(5.0) }
            }
            "negate" => TextLoss::Negate,
            "kl" => TextLoss::Kl,
            "nll" => TextLoss::Nll,
            "squared-gap" => {
                let limit = reader.number("limit", 1e-6..=1e6).unwrap_or(25.0);
                return Some(Self::Pairs(PairLoss::SquaredGap { limit }));
            }
            "tempered-gap" => {
                let temper = reader.number("temper", 0.0..=1.0).unwrap_or(0.5);
                let agreement = reader.number("agreement", 0.0..=1e6).unwrap_or(0.0);
                return Some(Self::Pairs(PairLoss::TemperedGap { temper, agreement }));
            }
            "mixture" => return Some(Self::Pairs(PairLoss::Mixture)),
            "dpo" => {
                let beta = reader.number("beta", 1e-4..=100.0).unwrap_or(0.1);
                return Some(Self::Dpo { beta });
            }
            _ => return None,
        };
        Some(Self::Texts(of_texts))
    }
}

/// Where a term's texts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Biased comments of the run's domains.
    Biased,
    /// Unbiased comments about the same groups.
    Unbiased,
    /// Comments with a toxic part.
    ToxicSpans,
    /// An encyclopaedia.
    Wikitext,
    /// What is true of the groups by definition.
    Definitional,
    /// Ordinary sentences about people of the groups.
    Descriptive,
    /// Ordinary chat requests.
    Chat,
    /// What the base says after harmful beginnings and a toxicity scorer blames.
    ToxicContinuations,
    /// What it says after them and the scorer does not blame.
    MildContinuations,
}

impl Source {
    const NAMES: &str = "biased, unbiased, toxic-spans, wikitext, definitional, descriptive, \
        chat, toxic-continuations or mild-continuations";

    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "biased" => Self::Biased,
            "unbiased" => Self::Unbiased,
            "toxic-spans" => Self::ToxicSpans,
            "wikitext" => Self::Wikitext,
            "definitional" => Self::Definitional,
            "descriptive" => Self::Descriptive,
            "chat" => Self::Chat,
            "toxic-continuations" => Self::ToxicContinuations,
            "mild-continuations" => Self::MildContinuations,
            _ => return None,
        })
    }

    /// Whether its texts end as the base itself continued them.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::ToxicContinuations | Self::MildContinuations)
    }

    /// Whether its texts have a part that they are about: a phrase, or what the base has said.
    #[must_use]
    pub const fn has_parts(self) -> bool {
        self.is_forgotten() || self.is_own()
    }

    /// Whether its texts are what is to be forgotten.
    #[must_use]
    pub const fn is_forgotten(self) -> bool {
        matches!(self, Self::Biased | Self::ToxicSpans | Self::ToxicContinuations)
    }

    /// Whether its texts name groups that can be swapped.
    #[must_use]
    pub const fn names_groups(self) -> bool {
        matches!(self, Self::Biased | Self::Unbiased | Self::Definitional | Self::Descriptive)
    }
}

impl Term {
    pub(super) fn negates(&self) -> bool {
        self.loss == Loss::Texts(TextLoss::Negate)
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Option<Self> {
        let name = reader.word("loss", Loss::NAMES, |word| Some(word.to_owned()));
        let name = reader.required("loss", name);
        let loss = name.as_deref().and_then(|name| Loss::read(name, &mut reader));
        if name.is_some() && loss.is_none() {
            reader.fault(&format!("loss must be {}", Loss::NAMES));
        }
        let source = reader.word("data", Source::NAMES, Source::parse);
        let source = reader.required("data", source);
        let weight = reader.number("weight", 0.0..=1e6);
        let weight = reader.required("weight", weight);
        let mask = reader.word("mask", MaskKind::NAMES, MaskKind::parse);
        let rows = reader.count("rows", 1..=4096).unwrap_or(4);
        let max_tokens = reader.count("max_tokens", 2..=2048).unwrap_or(48);
        let share = reader.number("share", 0.01..=1.0).unwrap_or(1.0);
        let swap = reader.flag("swap").unwrap_or(false);
        if let (true, Some(source)) = (swap, source) {
            check_swap(source, loss, &mut reader);
        }
        if let (Some(loss), Some(source)) = (loss, source) {
            check(loss, source, mask, &mut reader);
        }
        if matches!(loss, Some(Loss::Dpo { .. })) && share < 1.0 {
            reader.fault("dpo is about whole continuations: it takes no share");
        }
        reader.finish();
        let (loss, source) = (loss?, source?);
        let usual = if source.has_parts() { MaskKind::Phrase } else { MaskKind::All };
        let mask = mask.unwrap_or(usual);
        Some(Self { loss, weight: weight?, source, mask, swap, rows, max_tokens, share })
    }
}

/// What cannot be read with its group swapped.
fn check_swap(source: Source, loss: Option<Loss>, reader: &mut Reader<'_>) {
    if !source.names_groups() {
        reader.fault("swap needs texts that name groups");
    }
    if matches!(loss, Some(Loss::Pairs(_))) {
        reader.fault("swap is what its loss does anyway");
    }
}

/// What cannot go together.
fn check(loss: Loss, source: Source, mask: Option<MaskKind>, reader: &mut Reader<'_>) {
    if matches!(loss, Loss::Pairs(_)) && !source.names_groups() {
        reader.fault("its texts name no groups that could be swapped");
    }
    if matches!(loss, Loss::Dpo { .. }) {
        if source != Source::ToxicContinuations {
            reader.fault("dpo needs toxic-continuations, which it holds against mild ones");
        }
        if mask.is_some_and(|mask| mask != MaskKind::Phrase) {
            reader.fault("dpo is about all that follows the common beginning: it takes no mask");
        }
    }
    let needs_part = matches!(
        mask,
        Some(MaskKind::Phrase | MaskKind::Distinctive | MaskKind::Blamed | MaskKind::Random)
    );
    if needs_part && !source.has_parts() {
        reader.fault("its texts have no harmful part to mask");
    }
    if mask == Some(MaskKind::Group) && !source.names_groups() {
        reader.fault("its texts name no groups to mask");
    }
    if mask == Some(MaskKind::Assisted) && source != Source::Biased {
        reader.fault("an assisted mask needs biased texts");
    }
}
