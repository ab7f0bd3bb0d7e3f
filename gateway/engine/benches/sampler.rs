//! What drawing a token costs, with a vocabulary as large as the default model's.
//!
//! `cargo bench -p gateway-engine --bench sampler`

#![expect(clippy::expect_used, reason = "a bench fails where it stands")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use gateway_engine::Sampling;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

// Compiled into the bench, so that it stays private to the engine.
#[path = "../src/sampler.rs"]
#[expect(dead_code, reason = "its tests are not run here")]
mod sampler;

const VOCABULARY: usize = 49_152;

/// Logits of a model in doubt (`spread` 1) or rather sure (`spread` 3): sums of uniform numbers,
/// which are nearly normal.
fn logits(spread: f32) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut uniform =
        || f32::from(u16::try_from(random.next_u32() >> 16).expect("16 bits")) / 65_536.0;
    (0..VOCABULARY).map(|_| spread * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0)).collect()
}

fn draws(criterion: &mut Criterion) {
    let base = Sampling { seed: 1, ..Sampling::default() };
    let cases = [
        ("greedy", Sampling { temperature: 0.0, ..base.clone() }),
        ("of all", base.clone()),
        ("top-k 40", Sampling { top_k: 40, ..base.clone() }),
        ("top-p 0.95", Sampling { top_p: 0.95, ..base.clone() }),
        ("min-p 0.05", Sampling { min_p: 0.05, ..base }),
    ];
    for (model, spread) in [("sure", 3.0), ("in doubt", 1.0)] {
        let logits = logits(spread);
        let mut group = criterion.benchmark_group(format!("draw, {model}"));
        for (name, sampling) in &cases {
            let mut position = 0;
            group.bench_function(*name, |bencher| {
                bencher.iter_batched_ref(
                    || logits.clone(),
                    |logits| {
                        position += 1;
                        black_box(sampler::draw(logits, sampling, position))
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

fn scores(criterion: &mut Criterion) {
    let logits = logits(3.0);
    let mut group = criterion.benchmark_group("log-probabilities");
    for top in [0, 20] {
        group.bench_function(format!("with {top} alternatives"), |bencher| {
            bencher.iter(|| black_box(sampler::score(&logits, black_box(7), top)));
        });
    }
}

criterion_group!(benches, draws, scores);
criterion_main!(benches);
