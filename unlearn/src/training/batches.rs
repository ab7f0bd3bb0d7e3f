//! Which items a step takes: a function of seed and step, so that a resumed run goes on with the
//! same ones.

use crate::random::Random;

/// Batches that lie together in a bucket; within it, items of similar length share a batch, so that
/// little of it is padding.
const BUCKET: usize = 8;

/// The order of a term's items, pass after pass.
#[derive(Debug, Clone)]
pub(super) struct Batches {
    seed: u64,
    rows: usize,
    lengths: Vec<usize>,
}

impl Batches {
    /// Batches of `rows` items (or all, if there are fewer) with the given lengths in tokens, of
    /// which there is at least one.
    pub(super) fn new(seed: u64, rows: usize, lengths: Vec<usize>) -> Self {
        let rows = rows.min(lengths.len()).max(1);
        Self { seed, rows, lengths }
    }

    /// The items of a step, counted from 1. Every item comes once in each pass, but for a rest that
    /// fills no batch.
    pub(super) fn of(&self, step: usize) -> Vec<usize> {
        let in_pass = self.lengths.len() / self.rows;
        let (pass, place) = ((step - 1) / in_pass, (step - 1) % in_pass);
        let mut random = Random::new(mixed(self.seed, pass as u64));
        let mut items: Vec<usize> = (0..self.lengths.len()).collect();
        random.shuffle(&mut items);
        items.truncate(in_pass * self.rows);
        for bucket in items.chunks_mut(BUCKET * self.rows) {
            bucket.sort_by_key(|item| self.lengths[*item]);
        }
        let mut batches: Vec<&[usize]> = items.chunks_exact(self.rows).collect();
        random.shuffle(&mut batches);
        batches[place].to_vec()
    }
}

/// One seed of two numbers (`SplitMix64`'s finaliser).
pub(super) const fn mixed(seed: u64, salt: u64) -> u64 {
    let mut z = seed ^ salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_once_in_a_pass_and_passes_differ() {
        let batches = Batches::new(3, 4, (0..40).map(|i| i % 7 + 2).collect());
        let pass =
            |first: usize| (first..first + 10).flat_map(|s| batches.of(s)).collect::<Vec<_>>();
        let mut sorted = pass(1);
        assert_ne!(sorted, pass(11));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<_>>());
        assert_eq!(batches.of(17), batches.clone().of(17));
    }

    #[test]
    fn items_of_a_batch_are_of_similar_length() {
        let lengths: Vec<usize> = (0..320).map(|i| i * 37 % 64).collect();
        let batches = Batches::new(5, 8, lengths.clone());
        let spread = |step| {
            let of: Vec<_> = batches.of(step).iter().map(|i| lengths[*i]).collect();
            of.iter().max().unwrap() - of.iter().min().unwrap()
        };
        let mean = (1..=40).map(spread).sum::<usize>() as f64 / 40.0;
        assert!(mean < 20.0, "{mean}");
    }

    #[test]
    fn few_items_are_all_taken() {
        let mut batch = Batches::new(0, 8, vec![3, 5]).of(9);
        batch.sort_unstable();
        assert_eq!(batch, [0, 1]);
    }
}
