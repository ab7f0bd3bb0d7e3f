//! Untrained adapters with seeded weights, for tests, demonstrations and benchmarks.
//!
//! They change what a model says and teach it nothing. Whoever ships one says so in its name.

use std::collections::BTreeMap;

use adapters::lora::{Lora, LowRank};
use model::{Config, Projection, Site};

/// What a seeded adapter is like.
#[derive(Debug, Clone, PartialEq)]
pub struct Seeded {
    /// The projections it acts at, in every layer.
    pub projections: Vec<Projection>,
    /// The rank.
    pub rank: usize,
    /// The root mean square of an update's entries, in units of a typical weight's (one over the
    /// root of the inputs).
    pub strength: f32,
    /// Same seed, same weights.
    pub seed: u64,
}

impl Default for Seeded {
    fn default() -> Self {
        Self { projections: Projection::ALL.to_vec(), rank: 8, strength: 0.05, seed: 0 }
    }
}

/// Makes an adapter for models of the given shape. Entries of both factors are uniform; alpha is
/// the rank.
#[must_use]
pub fn seeded_lora(config: &Config, seeded: &Seeded) -> Lora {
    let mut noise = Noise(seeded.seed);
    let sites = (0..config.layers)
        .flat_map(|layer| seeded.projections.iter().map(move |p| Site::new(layer, *p)));
    let sites: BTreeMap<Site, LowRank> = sites
        .map(|site| {
            let (inputs, outputs) = config.shape(site.projection);
            #[expect(clippy::cast_precision_loss, reason = "a layer's width and a rank")]
            let (width, rank) = (inputs as f32, seeded.rank as f32);
            // Uniform on [-1, 1) has variance 1/3; a product of two such sums `rank` terms of 1/9.
            let a = noise.uniform(seeded.rank * inputs, 1.0);
            let b =
                noise.uniform(outputs * seeded.rank, 3.0 * seeded.strength / (width * rank).sqrt());
            (site, LowRank { rank: seeded.rank, scaling: 1.0, a, b })
        })
        .collect();
    Lora { sites }
}

/// `SplitMix64`: a generator that is the same everywhere and needs no crate.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self, count: usize, bound: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * bound).collect()
    }

    /// Uniform in [-1, 1).
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
        let unit = (z >> 40) as f32 / (1_u32 << 23) as f32;
        unit - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            hidden: 64,
            intermediate: 96,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            head_dim: 16,
            vocabulary: 10,
            context_tokens: 64,
            rope_theta: 1e4,
            norm_epsilon: 1e-5,
        }
    }

    #[test]
    fn the_seed_decides_and_the_strength_is_as_asked() {
        let seeded = Seeded { rank: 4, strength: 0.5, seed: 3, ..Seeded::default() };
        let lora = seeded_lora(&config(), &seeded);
        assert_eq!(lora, seeded_lora(&config(), &seeded));
        assert_ne!(lora, seeded_lora(&config(), &Seeded { seed: 4, ..seeded }));
        assert_eq!(lora.sites.len(), 14);
        let site = &lora.sites[&Site::new(1, Projection::Gate)];
        let entry = |o: usize, i: usize| -> f32 {
            (0..4).map(|k| site.b[o * 4 + k] * site.a[k * 64 + i]).sum()
        };
        let squares: f32 = (0..96).flat_map(|o| (0..64).map(move |i| entry(o, i).powi(2))).sum();
        let root_mean_square = (squares / (96.0 * 64.0)).sqrt();
        assert!((root_mean_square - 0.5 / 8.0).abs() < 0.01, "{root_mean_square}");
    }
}
