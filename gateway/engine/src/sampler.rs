//! From logits to a token.
//!
//! Everything here is a function of the row's own logits, seed and position, so a row draws the
//! same tokens in any company.

use model::kernels::Isa;
use model::kernels::elementwise::exponentiate;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Sampling;

/// The log-probability of one token and of the likeliest ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scored {
    pub(crate) token: u32,
    pub(crate) logprob: Option<f32>,
    /// Likeliest first; equally likely ones by id.
    pub(crate) top: Vec<(u32, f32)>,
}

impl Scored {
    /// A token whose log-probability is not known or not asked for.
    pub(crate) const fn unscored(token: u32) -> Self {
        Self { token, logprob: None, top: Vec::new() }
    }
}

/// Natural log-probability of `token` and of the `top` likeliest tokens, by the model's own
/// distribution.
pub(crate) fn score(logits: &[f32], token: u32, top: usize) -> Scored {
    let largest = largest(logits);
    let mut weights = logits.to_vec();
    let log_total = exponentiate(Isa::detect(), &mut weights, largest, 1.0).ln();
    #[expect(clippy::cast_possible_truncation, reason = "log-probabilities are reported in f32")]
    let logprob = |id: u32| (f64::from(logits[id as usize] - largest) - log_total) as f32;
    let top = likeliest(logits, top).into_iter().map(|id| (id, logprob(id))).collect();
    Scored { token, logprob: Some(logprob(token)), top }
}

/// Draws a token from logits that rules may have changed. `position` is the number of tokens
/// drawn before.
pub(crate) fn draw(logits: &mut [f32], sampling: &Sampling, position: u64) -> u32 {
    if sampling.temperature <= 0.0 {
        return argmax(logits);
    }
    let (best, temperature) = (argmax(logits), sampling.temperature);
    let largest = logits[best as usize];
    if !largest.is_finite() {
        return best;
    }
    let total = exponentiate(Isa::detect(), logits, largest, 1.0 / temperature);
    let mut random = ChaCha8Rng::seed_from_u64(sampling.seed);
    random.set_stream(position);
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    let uniform = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let cut = sampling.top_k > 0 || sampling.top_p < 1.0 || sampling.min_p > 0.0;
    if !cut {
        let all = logits.iter().enumerate().map(|(id, w)| (index(id), *w));
        return pick(all, uniform * total).unwrap_or(best);
    }
    let kept = keep(logits, sampling, total);
    let kept_total: f64 = kept.iter().map(|(_, w)| f64::from(*w)).sum();
    pick(kept.into_iter(), uniform * kept_total).unwrap_or(best)
}

/// The token at which the running sum of weights passes `target`.
fn pick(weights: impl Iterator<Item = (u32, f32)>, target: f64) -> Option<u32> {
    let mut sum = 0.0;
    let mut last = None;
    for (id, weight) in weights.filter(|(_, w)| *w > 0.0) {
        sum += f64::from(weight);
        last = Some(id);
        if sum > target {
            break;
        }
    }
    last
}

/// The candidates that top-k, top-p and min-p leave, likeliest first, at least one.
fn keep(weights: &[f32], sampling: &Sampling, total: f64) -> Vec<(u32, f32)> {
    if sampling.top_k > 0 {
        let mut kept = candidates(weights, sampling.top_k.min(weights.len()));
        let total = kept.iter().map(|(_, w)| f64::from(*w)).sum();
        if let Some(len) = nucleus(&kept, sampling, total) {
            kept.truncate(len);
        }
        return kept;
    }
    // One more than needed: where the others end is seen at the first that is left out.
    let count = (reach(weights, sampling, total) + 1).min(weights.len());
    let mut kept = candidates(weights, count);
    let mut len = nucleus(&kept, sampling, total);
    if len.is_none() && count < weights.len() {
        // The same sum in another order may have been a little larger.
        kept = candidates(weights, weights.len());
        len = nucleus(&kept, sampling, total);
    }
    kept.truncate(len.unwrap_or(kept.len()));
    kept
}

/// Slots of weights in [0, 1] by exponent and the first four bits behind it.
const SLOTS: usize = 2_048;

/// How many of the likeliest candidates top-p and min-p may keep, or a few more: those of whole
/// slots, which are counted and not sorted.
fn reach(weights: &[f32], sampling: &Sampling, total: f64) -> usize {
    let slot = |weight: f32| (weight.to_bits() >> 19) as usize;
    let mut slots = vec![(0_usize, 0.0_f64); SLOTS];
    for weight in weights {
        let (count, sum) = &mut slots[slot(*weight).min(SLOTS - 1)];
        *count += 1;
        *sum += f64::from(*weight);
    }
    // The likeliest weighs 1.
    let last = if sampling.min_p > 0.0 { slot(sampling.min_p).min(SLOTS - 1) } else { 0 };
    let target =
        if sampling.top_p < 1.0 { f64::from(sampling.top_p) * total } else { f64::INFINITY };
    let (mut reached, mut carried) = (0, 0.0);
    for (count, sum) in slots[last..].iter().rev() {
        reached += count;
        carried += sum;
        if carried >= target {
            break;
        }
    }
    reached
}

/// The `count` likeliest tokens with their weights.
fn candidates(weights: &[f32], count: usize) -> Vec<(u32, f32)> {
    likeliest(weights, count).into_iter().map(|id| (id, weights[id as usize])).collect()
}

/// How many of the likeliest candidates top-p and min-p keep, if that is decided among `kept`.
fn nucleus(kept: &[(u32, f32)], sampling: &Sampling, total: f64) -> Option<usize> {
    let first = kept.first().map_or(0.0, |(_, w)| *w);
    let floor = first * sampling.min_p;
    let mut sum = 0.0;
    for (i, (_, weight)) in kept.iter().enumerate() {
        if i > 0 && *weight < floor {
            return Some(i);
        }
        sum += f64::from(*weight);
        if sampling.top_p < 1.0 && sum >= f64::from(sampling.top_p) * total {
            return Some(i + 1);
        }
    }
    None
}

/// The ids of the `count` largest values, largest first, equal ones by id.
fn likeliest(values: &[f32], count: usize) -> Vec<u32> {
    if count == 0 {
        return Vec::new();
    }
    let room = count.saturating_mul(2).max(128);
    let mut keys: Vec<u64> = Vec::with_capacity(room.min(values.len()));
    // Of the values so far, `count` are above this.
    let mut floor = 0;
    for (id, value) in values.iter().enumerate() {
        let key = key(*value, index(id));
        if key > floor {
            if keys.len() == room {
                floor = *keys.select_nth_unstable_by(count, |a, b| b.cmp(a)).1;
                keys.truncate(count);
            }
            keys.push(key);
        }
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.truncate(count);
    // The lower half is the id, inverted.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
    keys.into_iter().map(|key| !(key as u32)).collect()
}

/// A number that is larger for larger values (in the order of `f32::total_cmp`), and for lower ids
/// of equal ones.
fn key(value: f32, id: u32) -> u64 {
    let bits = value.to_bits();
    let ordered = if value.is_sign_negative() { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!id)
}

/// The id of the largest value, the lowest of several.
fn argmax(values: &[f32]) -> u32 {
    let largest = largest(values);
    index(values.iter().position(|value| *value == largest).unwrap_or(0))
}

/// The largest value; side by side, since each comparison would wait for the one before.
pub(crate) fn largest(values: &[f32]) -> f32 {
    const LANES: usize = 32;
    let (rows, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for row in rows {
        for (lane, value) in lanes.iter_mut().zip(row) {
            *lane = lane.max(*value);
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

fn index(id: usize) -> u32 {
    u32::try_from(id).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sampling: &Sampling, logits: &[f32], draws: u64) -> Vec<f64> {
        let mut counts = vec![0_u32; logits.len()];
        for position in 0..draws {
            counts[draw(&mut logits.to_vec(), sampling, position) as usize] += 1;
        }
        counts.into_iter().map(|c| f64::from(c) / draws as f64).collect()
    }

    #[test]
    fn scores_are_natural_log_probabilities() {
        let logits = [0.5, -1.0, 2.0, 0.5];
        let total: f64 = logits.iter().map(|l: &f64| l.exp()).sum();
        let scored = score(&logits.map(|l| l as f32), 1, 3);
        let close = |got: f32, logit: f64| (f64::from(got) - (logit - total.ln())).abs() < 1e-6;
        assert!(close(scored.logprob.expect("scored"), -1.0));
        assert_eq!(scored.top.iter().map(|t| t.0).collect::<Vec<_>>(), [2, 0, 3]);
        assert!(close(scored.top[0].1, 2.0));
    }

    #[test]
    fn draws_follow_the_distribution() {
        let logits = [0.0, 1.0, 2.0];
        let total: f64 = logits.iter().map(|l: &f64| (l / 0.7).exp()).sum();
        let sampling = Sampling { temperature: 0.7, seed: 5, ..Sampling::default() };
        let shares = shares(&sampling, &logits.map(|l| l as f32), 40_000);
        for (share, logit) in shares.iter().zip(logits) {
            let want = (logit / 0.7).exp() / total;
            assert!((share - want).abs() < 0.01, "{share} {want}");
        }
    }

    #[test]
    fn cuts_leave_only_the_likeliest() {
        // Probabilities 0.5, 0.25, 0.125, 0.125.
        let logits = [4.0_f32.ln(), 2.0_f32.ln(), 0.0, 0.0];
        let base = Sampling { seed: 1, ..Sampling::default() };
        let cases = [
            (Sampling { top_k: 2, ..base.clone() }, vec![2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]),
            (Sampling { top_p: 0.5, ..base.clone() }, vec![1.0, 0.0, 0.0, 0.0]),
            (Sampling { top_p: 0.7, ..base.clone() }, vec![2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]),
            (Sampling { min_p: 0.3, ..base.clone() }, vec![2.0 / 3.0, 1.0 / 3.0, 0.0, 0.0]),
            (Sampling { top_k: 2, top_p: 0.6, ..base.clone() }, vec![1.0, 0.0, 0.0, 0.0]),
            (Sampling { temperature: 0.0, ..base }, vec![1.0, 0.0, 0.0, 0.0]),
        ];
        for (sampling, want) in cases {
            let shares = shares(&sampling, &logits, 20_000);
            for (share, want) in shares.iter().zip(&want) {
                assert!((share - want).abs() < 0.015, "{sampling:?}: {shares:?}");
            }
        }
    }

    #[test]
    fn a_flat_nucleus_is_found_beyond_the_first_candidates() {
        let logits = vec![0.0; 1000];
        let sampling = Sampling { top_p: 0.5, ..Sampling::default() };
        let weights: Vec<f32> = vec![1.0; 1000];
        assert_eq!(keep(&weights, &sampling, 1000.0).len(), 500);
        let token = draw(&mut logits.clone(), &sampling, 3);
        assert!(token < 500);
    }

    /// Weights of which some are equal, some are tiny and some are zero; the likeliest weighs 1.
    fn weights(random: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
        let mut weight = || match random.next_u32() % 8 {
            0 => 0.0,
            1 => 0.25,
            n => (-((random.next_u32() % 1_000) as f32) / 1_000.0 * 6.0 * n as f32).exp(),
        };
        (1..count).map(|_| weight()).chain([1.0]).collect()
    }

    #[test]
    fn what_is_kept_is_what_sorting_everything_would_keep() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for (round, count) in [1, 2, 63, 64, 127, 128, 129, 1_000, 5_000].into_iter().enumerate() {
            let weights = weights(&mut random, count);
            let total = weights.iter().map(|w| f64::from(*w)).sum();
            let mut sorted: Vec<_> =
                weights.iter().enumerate().map(|(i, w)| (index(i), *w)).collect();
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            for (top_p, min_p) in [
                (0.01, 0.0),
                (0.5, 0.0),
                (0.95, 0.0),
                (0.9999, 0.0),
                (1.0, 0.05),
                (1.0, 1.0),
                (0.7, 0.2),
            ] {
                let sampling = Sampling { top_p, min_p, ..Sampling::default() };
                let len = nucleus(&sorted, &sampling, total).unwrap_or(sorted.len());
                assert_eq!(
                    keep(&weights, &sampling, total),
                    sorted[..len],
                    "{round}: {top_p} {min_p}"
                );
            }
            for top_k in [1, 2, 40, count / 2 + 1, count + 7] {
                let sampling = Sampling { top_k, ..Sampling::default() };
                assert_eq!(
                    keep(&weights, &sampling, total),
                    sorted[..top_k.min(count)],
                    "{round}: {top_k}"
                );
            }
        }
    }

    #[test]
    fn the_likeliest_are_in_total_order_whatever_their_signs() {
        let values = [-1.0, f32::NEG_INFINITY, 2.0, 0.5, -0.0, 0.0, 2.0, f32::INFINITY, -1e-30];
        assert_eq!(likeliest(&values, 20), [7, 2, 6, 3, 5, 4, 8, 0, 1]);
        assert_eq!(likeliest(&values, 3), [7, 2, 6]);
        let rising: Vec<f32> = (0_u16..1_000).map(|i| f32::from(i) - 500.0).collect();
        assert_eq!(likeliest(&rising, 3), [999, 998, 997]);
    }

    #[test]
    fn the_largest_is_found_in_every_place() {
        for len in [1, 31, 32, 33, 100] {
            for place in 0..len {
                let mut values = vec![-2.0; len];
                values[place] = -1.0;
                assert_eq!((largest(&values), argmax(&values) as usize), (-1.0, place));
            }
        }
        assert_eq!((largest(&[]), argmax(&[])), (f32::NEG_INFINITY, 0));
        assert_eq!(argmax(&[f32::NAN, 1.0, f32::NAN]), 1);
    }

    #[test]
    fn equal_logits_take_the_lowest_id_and_minus_infinity_is_never_drawn() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        let mut logits = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
        for position in 0..100 {
            assert_eq!(draw(&mut logits.clone(), &Sampling::default(), position), 1);
        }
        logits.fill(f32::NEG_INFINITY);
        assert_eq!(draw(&mut logits, &Sampling::default(), 0), 0);
    }
}
