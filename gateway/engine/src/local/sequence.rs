//! A sequence in the KV cache.

use adapters::{AdapterVector, VectorKey};
use model::{BLOCK_TOKENS, KvCache};

use super::blocks::{BlockPool, Chain, Prefix};

/// Tokens, their adapters, and where their keys and values are.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Prompt and drawn tokens.
    pub(super) tokens: Vec<u32>,
    pub(super) adapters: AdapterVector,
    key: VectorKey,
    place: Option<Place>,
}

/// A running sequence's blocks.
#[derive(Debug)]
struct Place {
    table: Vec<u32>,
    /// Tokens whose keys and values are stored.
    computed: usize,
    /// The chain of the full blocks, and how many they are.
    chain: Chain,
    full: usize,
    prefix: PrefixUse,
}

/// Whether a sequence shares with others what is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PrefixUse {
    /// It may.
    Share,
    /// It takes nothing: every token is to be computed, since its scores are wanted.
    Compute,
    /// It takes and gives nothing: for others the cache is as if it had never been.
    Private,
}

impl Sequence {
    pub(super) fn new(tokens: Vec<u32>, adapters: AdapterVector) -> Self {
        let key = adapters.key();
        Self { tokens, adapters, key, place: None }
    }

    /// Tokens that are not computed yet.
    pub(super) fn remaining(&self) -> usize {
        self.tokens.len() - self.computed()
    }

    pub(super) fn computed(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.computed)
    }

    pub(super) fn table(&self) -> &[u32] {
        self.place.as_ref().map_or(&[], |place| &place.table)
    }

    /// Blocks that it needs beyond those in the prefix cache, for all its tokens.
    pub(super) fn blocks_needed(&self, pool: &BlockPool, prefix: PrefixUse) -> usize {
        let cached = pool.peek(&self.key, self.known(prefix));
        self.tokens.len().div_ceil(BLOCK_TOKENS) - cached
    }

    /// All but the last token: that one is computed, so that there is something to draw from.
    fn shareable(&self) -> &[u32] {
        &self.tokens[..self.tokens.len() - 1]
    }

    /// What the prefix cache may be asked for.
    fn known(&self, prefix: PrefixUse) -> &[u32] {
        match prefix {
            PrefixUse::Share => self.shareable(),
            PrefixUse::Compute | PrefixUse::Private => &[],
        }
    }

    /// Whether `other` is computing a block that this sequence could share when it is done.
    pub(super) fn waits_for(&self, other: &Self, pool: &BlockPool) -> bool {
        let next = (pool.peek(&self.key, self.shareable()) + 1) * BLOCK_TOKENS;
        self.key == other.key
            && next < self.tokens.len()
            && other.computed() < next
            && other.tokens.len() >= next
            && self.tokens[..next] == other.tokens[..next]
    }

    /// Takes a place in the cache; gives the number of tokens that were there already.
    pub(super) fn begin(
        &mut self,
        pool: &mut BlockPool,
        cache: &mut KvCache,
        prefix: PrefixUse,
    ) -> usize {
        let Prefix { blocks: mut table, chain, next } = pool.begin(&self.key, self.known(prefix));
        let full = table.len();
        let mut computed = full * BLOCK_TOKENS;
        if let Some((from, tokens)) = next
            && let Some(to) = pool.allocate()
        {
            cache.copy_block(from as usize, to as usize);
            table.push(to);
            computed += tokens;
        }
        self.place = Some(Place { table, computed, chain, full, prefix });
        computed
    }

    /// Makes room for `tokens` tokens; whether that was possible.
    pub(super) fn reserve(&mut self, pool: &mut BlockPool, tokens: usize) -> bool {
        let Some(place) = &mut self.place else { return false };
        while place.table.len() * BLOCK_TOKENS < tokens {
            let Some(block) = pool.allocate() else { return false };
            place.table.push(block);
        }
        true
    }

    /// Counts `tokens` more as computed, and lets others share the blocks that are full now.
    pub(super) fn advance(&mut self, pool: &mut BlockPool, tokens: usize) {
        let Some(place) = &mut self.place else { return };
        place.computed += tokens;
        if place.prefix == PrefixUse::Private {
            return;
        }
        let full = &self.tokens.as_chunks::<BLOCK_TOKENS>().0[..place.computed / BLOCK_TOKENS];
        for (index, tokens) in full.iter().enumerate().skip(place.full) {
            place.chain = pool.register(place.chain, tokens, place.table[index]);
        }
        place.full = full.len();
    }

    /// Gives the place back. The tokens stay, so that it can begin again.
    pub(super) fn end(&mut self, pool: &mut BlockPool) {
        if let Some(place) = self.place.take() {
            pool.end(&self.key, &place.table);
        }
    }
}
