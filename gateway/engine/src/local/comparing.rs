//! How far a row's distributions are from those of other adapters, along its prompt.
//!
//! Both sequences are computed in pieces, each by its own share of a step. A hidden state waits
//! here for its counterpart; a pair becomes two distributions, and those a number.

use std::collections::VecDeque;
use std::ops::Range;

use model::Rows;
use model::kernels::Isa;
use model::kernels::elementwise::exponentiate;

use crate::Divergence;
use crate::sampler::largest;

/// Pairs of logits that are computed together, to bound their memory.
const PAIRS: usize = 16;

/// A comparison under way.
#[derive(Debug)]
pub(super) struct Comparing {
    /// The row's member that has the other adapters; its own sequence is member 0.
    other: usize,
    /// Positions whose distributions are still to be compared: position p is about token p + 1.
    left: Range<usize>,
    /// Hidden states from `left.start` on, of the row's own sequence and of the other.
    waiting: [VecDeque<Vec<f32>>; 2],
    found: Divergence,
}

impl Comparing {
    /// Compares the distributions of the prompt's tokens from `from` on with those of member
    /// `other`. The first token has none.
    pub(super) fn new(other: usize, from: usize, prompt_tokens: usize) -> Self {
        let left = from.saturating_sub(1)..prompt_tokens - 1;
        Self { other, left, waiting: Default::default(), found: Divergence::default() }
    }

    pub(super) const fn found(&self) -> Divergence {
        self.found
    }

    /// Takes a member's hidden states from position `start` on. What was taken before a
    /// preemption is not taken again.
    pub(super) fn collect<'a>(
        &mut self,
        member: usize,
        start: usize,
        hidden: impl Iterator<Item = &'a [f32]>,
    ) {
        let side = match member {
            0 => 0,
            _ if member == self.other => 1,
            _ => return,
        };
        for (position, hidden) in (start..).zip(hidden) {
            if position < self.left.end && position == self.left.start + self.waiting[side].len() {
                self.waiting[side].push_back(hidden.to_vec());
            }
        }
    }

    /// Compares what both sides have; `logits` turns hidden states into logits.
    pub(super) fn settle(&mut self, logits: impl Fn(&Rows) -> Rows) {
        loop {
            let [own, other] = &mut self.waiting;
            let pairs = own.len().min(other.len()).min(PAIRS);
            if pairs == 0 {
                return;
            }
            let hidden: Vec<_> = own.drain(..pairs).chain(other.drain(..pairs)).collect();
            let mut rows = Rows::zeros(hidden.len(), hidden[0].len());
            for (index, hidden) in hidden.iter().enumerate() {
                rows.row_mut(index).copy_from_slice(hidden);
            }
            let logits = logits(&rows);
            for index in 0..pairs {
                self.found.nats += divergence(logits.row(index), logits.row(pairs + index));
            }
            self.found.tokens += pairs;
            self.left.start += pairs;
        }
    }
}

/// KL(p || q) in nats of the distributions that `own` and `other` are the logits of:
/// `sum p (own - other) - (ln sum exp own - ln sum exp other)`.
fn divergence(own: &[f32], other: &[f32]) -> f64 {
    let weights = |logits: &[f32]| {
        let largest = largest(logits);
        let mut weights = logits.to_vec();
        let total = exponentiate(Isa::detect(), &mut weights, largest, 1.0);
        (weights, total, f64::from(largest) + total.ln())
    };
    let ((weights, total, own_log), (_, _, other_log)) = (weights(own), weights(other));
    let distances = own.iter().zip(other).map(|(own, other)| f64::from(*own) - f64::from(*other));
    let mean = weights.iter().zip(distances).map(|(w, d)| f64::from(*w) * d).sum::<f64>() / total;
    (mean - (own_log - other_log)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_divergence_of_two_coins_is_the_textbook_s() {
        // KL((1/2, 1/2) || (1/4, 3/4)) = 1/2 ln 2 + 1/2 ln 2/3 = 1/2 ln 4/3.
        let coin = |p: f32, shift: f32| [p.ln() + shift, (1.0 - p).ln() + shift];
        let found = divergence(&coin(0.5, 3.0), &coin(0.25, -40.0));
        assert!((found - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-6, "{found}");
        assert_eq!(divergence(&coin(0.3, 0.0), &coin(0.3, 0.0)), 0.0);
    }

    #[test]
    fn pieces_of_any_length_and_a_second_time_give_each_position_once() {
        let states: Vec<Vec<f32>> = (0..50).map(|i| vec![i as f32, -0.5 * i as f32]).collect();
        let whole = |step: usize| {
            let mut comparing = Comparing::new(2, 4, 50);
            for start in [0, 0, 20].into_iter().flat_map(|from| (from..50).step_by(step)) {
                for member in 0..3 {
                    let piece = states[start..(start + step).min(50)].iter().map(Vec::as_slice);
                    comparing.collect(member, start, piece);
                }
                comparing.settle(|rows| {
                    let (pairs, mut logits) = (rows.len() / 2, rows.clone());
                    (0..pairs).for_each(|i| logits.row_mut(i)[0] += 1.0);
                    logits
                });
            }
            comparing.found()
        };
        let found = whole(50);
        assert_eq!(found.tokens, 46, "tokens 4 to 49");
        assert!(found.nats > 0.0);
        for step in [1, 7, 16] {
            assert_eq!(whole(step), found);
        }
    }
}
