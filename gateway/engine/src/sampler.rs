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
    // As few candidates are sorted as will do: few tokens carry most of the weight.
    let mut count = weights.len().min(64);
    loop {
        let mut kept = candidates(weights, count);
        if let Some(len) = nucleus(&kept, sampling, total) {
            kept.truncate(len);
            return kept;
        }
        if count == weights.len() {
            return kept;
        }
        count = (count * 8).min(weights.len());
    }
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
    let order = |a: &u32, b: &u32| {
        values[*b as usize].total_cmp(&values[*a as usize]).then_with(|| a.cmp(b))
    };
    let mut ids: Vec<u32> = (0..index(values.len())).collect();
    if count < ids.len() {
        ids.select_nth_unstable_by(count - 1, order);
        ids.truncate(count);
    }
    ids.sort_unstable_by(order);
    ids
}

/// The id of the largest value, the lowest of several.
fn argmax(values: &[f32]) -> u32 {
    let best = values
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, v)| if *v > best.1 { (id, *v) } else { best });
    index(best.0)
}

fn largest(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
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
