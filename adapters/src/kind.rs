//! The kinds of adapter: one variant here and one file of its own for each.

use crate::lora::PackedLora;

/// What an adapter does to the model, ready to serve.
#[derive(Debug)]
pub enum Kind {
    /// A low-rank sum at linear layers.
    Lora(PackedLora),
}

/// A kind's name, as cards spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KindName {
    /// See [`Kind::Lora`].
    Lora,
}

impl Kind {
    /// Which kind it is.
    #[must_use]
    pub const fn name(&self) -> KindName {
        match self {
            Self::Lora(_) => KindName::Lora,
        }
    }

    /// Bytes that its weights hold in memory.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        match self {
            Self::Lora(lora) => lora.resident_bytes(),
        }
    }

    /// The highest rank at any site; 0 for kinds without ranks.
    #[must_use]
    pub fn rank(&self) -> usize {
        match self {
            Self::Lora(lora) => lora.rank(),
        }
    }
}

impl KindName {
    /// The kind's name as text, such as `lora`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lora => "lora",
        }
    }
}

impl std::fmt::Display for KindName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
