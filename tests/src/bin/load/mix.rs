//! Which adapters requests choose.

use std::fmt;

use clap::ValueEnum;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use serde::Serialize;

use crate::dialect::Applied;

/// Scales of a pair's adapters.
const PAIR: [f32; 2] = [1.0, 0.5];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mix {
    /// None.
    None,
    /// All the same one.
    Same,
    /// Each stream its own.
    Distinct,
    /// Each stream its own two, with different scales.
    Pairs,
    /// Each request one, the n-th as often as 1 / n.
    Zipf,
}

impl Mix {
    /// The adapters of a request of stream number `stream`, out of `count`.
    pub(crate) fn choose(
        self,
        stream: usize,
        count: usize,
        chance: &mut ChaCha8Rng,
    ) -> Vec<Applied> {
        match self {
            Self::None => Vec::new(),
            Self::Same => vec![(0, 1.0)],
            Self::Distinct => vec![(stream % count, 1.0)],
            Self::Pairs => vec![(stream % count, PAIR[0]), ((stream + 1) % count, PAIR[1])],
            Self::Zipf => vec![(zipf(count, chance), 1.0)],
        }
    }

    /// The adapters that a server must have.
    pub(crate) const fn needs(self) -> usize {
        match self {
            Self::None => 0,
            Self::Same | Self::Distinct | Self::Zipf => 1,
            Self::Pairs => 2,
        }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Same => "same",
            Self::Distinct => "distinct",
            Self::Pairs => "pairs",
            Self::Zipf => "zipf",
        })
    }
}

fn zipf(count: usize, chance: &mut ChaCha8Rng) -> usize {
    let weight = |index: usize| 1.0 / (index + 1) as f64;
    let total: f64 = (0..count).map(weight).sum();
    let mut left = f64::from(chance.next_u32()) / f64::from(u32::MAX) * total;
    let reached = |index: &usize| {
        left -= weight(*index);
        left <= 0.0
    };
    (0..count).find(reached).unwrap_or(count - 1)
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn streams_get_the_adapters_of_the_mix() {
        let chance = &mut ChaCha8Rng::seed_from_u64(1);
        let mut chosen = |mix: Mix, stream| mix.choose(stream, 3, chance);
        assert!(chosen(Mix::None, 4).is_empty());
        assert_eq!(chosen(Mix::Same, 4), [(0, 1.0)]);
        assert_eq!(chosen(Mix::Distinct, 4), [(1, 1.0)]);
        assert_eq!(chosen(Mix::Pairs, 5), [(2, 1.0), (0, 0.5)]);
    }

    #[test]
    fn the_nth_adapter_comes_as_often_as_one_nth() {
        let chance = &mut ChaCha8Rng::seed_from_u64(2);
        let mut counts = [0.0; 4];
        (0..25_000).for_each(|_| counts[zipf(4, chance)] += 1.0);
        // 25,000 / (1 + 1/2 + 1/3 + 1/4) is 12,000.
        for (index, count) in counts.iter().enumerate() {
            assert!((count / (12_000.0 / (index + 1) as f64) - 1.0_f64).abs() < 0.05, "{counts:?}");
        }
    }
}
