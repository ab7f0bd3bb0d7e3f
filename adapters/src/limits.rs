//! How much of everything is allowed.

/// Bounds that hold before any byte of an adapter is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Names that may be loaded at a time.
    pub adapters: usize,
    /// The highest rank at any site.
    pub rank: usize,
    /// Bytes of all generations in memory, those retired but still leased included.
    pub resident_bytes: u64,
    /// Bytes of one weight file.
    pub weight_bytes: u64,
    /// Bytes of a weight file's header.
    pub header_bytes: u64,
    /// Bytes of `adapter_config.json` and of `card.json`, each.
    pub document_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            adapters: 256,
            rank: 256,
            resident_bytes: 4 << 30,
            weight_bytes: 1 << 30,
            header_bytes: 4 << 20,
            document_bytes: 1 << 20,
        }
    }
}
