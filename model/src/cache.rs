//! The paged cache of keys and values.
//!
//! Memory is cut into blocks of sixteen tokens, each with the keys and values of all layers, so that
//! the memory in use grows with the blocks in use. A sequence has a table of block numbers; who owns
//! which block is the engine's business, this is only the storage. Values are kept in half precision.

use crate::Config;
use crate::kernels::pages::Buffer;

/// Tokens in a block.
pub const BLOCK_TOKENS: usize = 16;

/// Keys and values of every layer, head and block.
pub struct KvCache {
    head_dim: usize,
    kv_heads: usize,
    layers: usize,
    blocks: usize,
    /// Bits of (block, layer, keys and values, head): keys are (head_dim, token), so that sixteen
    /// tokens' scores are computed side by side, values (token, head_dim).
    halves: Buffer<u16>,
}

impl KvCache {
    /// A cache of `blocks` blocks. Memory is taken from the system as blocks are first written.
    #[must_use]
    pub fn new(config: &Config, blocks: usize) -> Self {
        let Config { layers, kv_heads, head_dim, .. } = *config;
        let halves = Buffer::zeroed(blocks * Self::block_bytes(config) / size_of::<u16>());
        Self { head_dim, kv_heads, layers, blocks, halves }
    }

    /// Number of blocks.
    #[must_use]
    pub const fn blocks(&self) -> usize {
        self.blocks
    }

    /// Memory of one block, all layers, in bytes.
    #[must_use]
    pub const fn block_bytes(config: &Config) -> usize {
        config.layers * config.kv_heads * config.head_dim * BLOCK_TOKENS * 2 * size_of::<u16>()
    }

    /// Copies what block `from` holds to block `to`, for a sequence that shares its beginning with
    /// another and goes on by itself.
    ///
    /// # Panics
    /// If there is no such block.
    pub fn copy_block(&mut self, from: usize, to: usize) {
        assert!(from < self.blocks && to < self.blocks, "a block of the cache");
        let len = self.layers * 2 * self.kv_heads * self.head_len();
        self.halves.copy_within(from * len..(from + 1) * len, to * len);
    }

    /// Keys or values of one head in a block.
    const fn head_len(&self) -> usize {
        self.head_dim * BLOCK_TOKENS
    }

    /// Where the keys of a head in a block begin.
    const fn keys_at(&self, layer: usize, block: usize, head: usize) -> usize {
        ((block * self.layers + layer) * 2 * self.kv_heads + head) * self.head_len()
    }

    /// Where the values of a head in a block begin.
    const fn values_at(&self, layer: usize, block: usize, head: usize) -> usize {
        self.keys_at(layer, block, self.kv_heads + head)
    }

    /// The keys of a head in a block: (head_dim, token).
    pub(crate) fn keys(&self, layer: usize, block: usize, head: usize) -> &[u16] {
        &self.halves[self.keys_at(layer, block, head)..][..self.head_len()]
    }

    /// The values of a head in a block: (token, head_dim).
    pub(crate) fn values(&self, layer: usize, block: usize, head: usize) -> &[u16] {
        &self.halves[self.values_at(layer, block, head)..][..self.head_len()]
    }

    /// Stores the key and the value, bits of (head_dim) each, of a layer's head for the token at
    /// `slot` of `block`, through a shared borrow: parts of a pool store what they computed.
    ///
    /// # Safety
    /// Nobody reads this layer's head of the block, or stores the same token's, at the same time.
    #[expect(unsafe_code, reason = "writes through a shared borrow")]
    pub(crate) unsafe fn store(
        &self,
        (layer, head): (usize, usize),
        (block, slot): (usize, usize),
        key: &[u16],
        value: &[u16],
    ) {
        let keys = self.keys_at(layer, block, head) + slot;
        let values = self.values_at(layer, block, head) + slot * self.head_dim;
        // SAFETY: the caller's promise.
        unsafe {
            self.halves.write(keys, BLOCK_TOKENS, key);
            self.halves.write(values, 1, value);
        }
    }
}

impl std::fmt::Debug for KvCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KvCache").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}
