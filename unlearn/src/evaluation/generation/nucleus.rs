//! From logits to a token.

use model::kernels::Isa;
use model::kernels::elementwise::exponentiate;

/// Weights below this part of the largest are looked at only if the others do not suffice.
const FIRST_FLOOR: f32 = 1e-3;

/// The first of the largest logits.
pub(super) fn likeliest(logits: &[f32]) -> u32 {
    let larger = |best: (u32, f32), next: (u32, f32)| if next.1 > best.1 { next } else { best };
    (0..).zip(logits.iter().copied()).fold((0, f32::NEG_INFINITY), larger).0
}

/// The token that `chance`, in [0, 1), picks from the smallest set of the likeliest tokens whose
/// probabilities sum to `share` or more. Overwrites the logits, one of which is finite.
pub(super) fn draw(logits: &mut [f32], share: f64, chance: f32) -> u32 {
    let best = likeliest(logits);
    let largest = logits[best as usize];
    let total = exponentiate(Isa::detect(), logits, largest, 1.0);
    let kept = nucleus(logits, share * total);
    let mut left =
        f64::from(chance) * kept.iter().map(|(_, weight)| f64::from(*weight)).sum::<f64>();
    for (token, weight) in &kept {
        left -= f64::from(*weight);
        if left < 0.0 {
            return *token;
        }
    }
    kept.last().map_or(best, |(token, _)| *token)
}

/// The likeliest tokens, in falling order, as few as sum to `enough`; the largest weight is 1.
fn nucleus(weights: &[f32], enough: f64) -> Vec<(u32, f32)> {
    let mut floor = FIRST_FLOOR;
    loop {
        let above = (0..).zip(weights.iter().copied()).filter(|(_, weight)| *weight >= floor);
        let mut kept: Vec<(u32, f32)> = above.collect();
        let sum: f64 = kept.iter().map(|(_, weight)| f64::from(*weight)).sum();
        if sum < enough && floor > 0.0 {
            floor = if floor > f32::MIN_POSITIVE { floor / 100.0 } else { 0.0 };
            continue;
        }
        kept.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut sum = 0.0;
        let mut short = |(_, weight): &(u32, f32)| {
            let before = sum;
            sum += f64::from(*weight);
            before < enough
        };
        let count = kept.iter().take_while(|pair| short(pair)).count();
        kept.truncate(count.max(1));
        return kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Shares of many draws.
    fn shares(logits: &[f32], share: f64) -> Vec<f64> {
        let mut random = Random::new(5);
        let mut counts = vec![0_u32; logits.len()];
        for _ in 0..20_000 {
            counts[draw(&mut logits.to_vec(), share, random.unit()) as usize] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / 20_000.0).collect()
    }

    #[test]
    fn draws_follow_the_distribution_within_the_nucleus() {
        // Probabilities 1/8, 1/2, 1/4, 1/8.
        let logits = [0.0, 4.0_f32.ln(), 2.0_f32.ln(), 0.0];
        for (share, want) in [
            (1.0, [0.125, 0.5, 0.25, 0.125]),
            (0.8, [0.125 / 0.875, 0.5 / 0.875, 0.25 / 0.875, 0.0]),
            (0.75, [0.0, 2.0 / 3.0, 1.0 / 3.0, 0.0]),
            (0.3, [0.0, 1.0, 0.0, 0.0]),
        ] {
            for (got, want) in shares(&logits, share).into_iter().zip(want) {
                assert!((got - want).abs() < 0.012, "{share}: {got} {want}");
            }
        }
    }

    #[test]
    fn a_nucleus_of_many_small_weights_is_found() {
        let mut weights = vec![1e-5; 30_000];
        weights[7] = 1.0;
        let kept = nucleus(&weights, 0.9 * 1.3);
        assert_eq!((kept[0].0, kept[1].0), (7, 0));
        assert!((16_990..17_010).contains(&kept.len()), "{}", kept.len());
    }

    #[test]
    fn what_is_barred_is_never_drawn() {
        let logits = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
        assert!(shares(&logits, 1.0)[1] > 0.99);
        assert_eq!(likeliest(&[f32::NEG_INFINITY, -3.0, -3.0]), 1);
    }
}
