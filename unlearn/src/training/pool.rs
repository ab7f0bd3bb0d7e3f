//! The texts of a term, as tokens.

use super::batches::Batches;
use crate::mask::{Choice, Masked, Pair};

/// Texts of one kind.
pub(super) struct Pool<T> {
    items: Vec<T>,
    batches: Batches,
}

/// What can be in a pool.
pub(super) trait Item {
    /// Its length in tokens.
    fn tokens(&self) -> usize;
    /// Whether any of its tokens counts.
    fn counts(&self) -> bool;
}

impl Item for Masked {
    fn tokens(&self) -> usize {
        self.tokens.len()
    }

    fn counts(&self) -> bool {
        self.mask.iter().any(|masked| *masked)
    }
}

impl Item for Pair {
    fn tokens(&self) -> usize {
        self.tokens.len().max(self.swapped.len())
    }

    fn counts(&self) -> bool {
        self.aligned.iter().any(|aligned| self.mask[aligned.original])
    }
}

impl Item for Choice {
    fn tokens(&self) -> usize {
        self.preferred.tokens.len().max(self.other.tokens.len())
    }

    fn counts(&self) -> bool {
        self.preferred.targets() > 0 && self.other.targets() > 0
    }
}

impl<T: Item> Pool<T> {
    /// The items of which a token counts, `rows` of them in a step; nothing if there is none.
    pub(super) fn new(mut items: Vec<T>, rows: usize, seed: u64) -> Option<Self> {
        items.retain(T::counts);
        if items.is_empty() {
            return None;
        }
        let lengths = items.iter().map(T::tokens).collect();
        Some(Self { items, batches: Batches::new(seed, rows, lengths) })
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The items of a step, counted from 1.
    pub(super) fn batch(&self, step: usize) -> Vec<&T> {
        self.batches.of(step).into_iter().map(|item| &self.items[item]).collect()
    }
}
