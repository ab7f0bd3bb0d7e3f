//! An adapter as a whole: what it does, what is known of it, and whether that can be trusted.

use std::fmt;

use model::ServedPrecision;

use crate::card::CardError;
use crate::folder::{Folder, FolderError};
use crate::lora::{LoraError, LoraFiles};
use crate::{Card, Digest, Kind, KindName, Limits};

/// The card's file name.
pub const CARD_FILE: &str = "card.json";

/// The model that adapters are served on.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseModel {
    /// Its name, such as `smollm2-135m-instruct`.
    pub name: String,
    /// Identity of its weights, `sha256:...`.
    pub fingerprint: String,
    /// Its shape.
    pub config: model::Config,
    /// How its weights are held, and its adapters' with them.
    pub precision: ServedPrecision,
}

/// An adapter in memory. It never changes.
#[derive(Debug)]
pub struct Adapter {
    /// What it does.
    pub kind: Kind,
    /// What is known of it.
    pub card: Option<Card>,
    /// Whether it was made for the weights that are served.
    pub verification: Verification,
    /// Identity of its content: configuration and weights.
    pub digest: Digest,
}

/// Whether an adapter was made for the weights that are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Its card names these very weights.
    Verified,
    /// Its shapes fit, but nothing says that it was made and measured on these weights.
    Unverified {
        /// Why not.
        reason: Doubt,
    },
}

/// Why an adapter is unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It has no card.
    NoCard,
    /// Its card names other weights.
    OtherBase {
        /// The name of the model that it was made for.
        name: String,
    },
}

/// Why an adapter is refused.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// A file cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The low-rank weights are refused.
    #[error(transparent)]
    Lora(#[from] LoraError),
    /// The card is refused.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The card says that the adapter is of another kind than its files are.
    #[error("card.json says {card}, but the files are {found}")]
    Kind {
        /// What the card says.
        card: KindName,
        /// What the files are.
        found: KindName,
    },
}

impl Adapter {
    /// Reads the adapter in `folder` for `base`.
    pub(crate) fn load(
        folder: &Folder,
        base: &BaseModel,
        limits: &Limits,
    ) -> Result<Self, AdapterError> {
        let files = LoraFiles::read(folder, limits)?;
        let card = read_card(folder, limits)?;
        let kind = Kind::Lora(files.parse(&base.config, limits)?.pack(base.precision)?);
        if let Some(card) = card.as_ref().filter(|card| card.kind != kind.name()) {
            return Err(AdapterError::Kind { card: card.kind, found: kind.name() });
        }
        let verification = Verification::of(card.as_ref(), base);
        Ok(Self { kind, card, verification, digest: files.digest() })
    }

    /// Bytes that its weights hold in memory.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.kind.resident_bytes()
    }

    /// The highest rank at any site; 0 for kinds without ranks.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.kind.rank()
    }
}

fn read_card(folder: &Folder, limits: &Limits) -> Result<Option<Card>, AdapterError> {
    if !folder.contains(CARD_FILE) {
        return Ok(None);
    }
    Ok(Some(Card::parse(&folder.read(CARD_FILE, limits.document_bytes)?)?))
}

impl Verification {
    fn of(card: Option<&Card>, base: &BaseModel) -> Self {
        match card {
            None => Self::Unverified { reason: Doubt::NoCard },
            Some(card) if card.base.weights.to_string() == base.fingerprint => Self::Verified,
            Some(card) => {
                Self::Unverified { reason: Doubt::OtherBase { name: card.base.name.clone() } }
            }
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCard => f.write_str("it has no card"),
            Self::OtherBase { name } => write!(f, "it was made for other weights ({name})"),
        }
    }
}
