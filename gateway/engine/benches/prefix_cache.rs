//! What it costs to look a prompt up in a prefix cache that is full.
//!
//! `cargo bench -p gateway-engine --bench prefix_cache`

#![expect(clippy::expect_used, reason = "a bench fails where it stands")]

use std::hint::black_box;

use adapters::VectorKey;
use criterion::{Criterion, criterion_group, criterion_main};
use model::BLOCK_TOKENS;

// Compiled into the bench, so that it stays private to the engine.
#[path = "../src/local/blocks.rs"]
#[expect(dead_code, reason = "the engine's worker uses more of it")]
mod blocks;

use blocks::BlockPool;

/// Prompts in the cache, and their length.
const PROMPTS: u32 = 128;
const BLOCKS: usize = 64;
const TOKENS: usize = BLOCKS * BLOCK_TOKENS;

/// Prompt `number`; no two have a block in common.
fn prompt(number: u32) -> Vec<u32> {
    (0..u32::try_from(TOKENS).expect("few")).map(|i| number * 100_003 + i * 7).collect()
}

/// A pool all of whose blocks are cached and in nobody's use.
fn full_pool(vector: &VectorKey) -> BlockPool {
    let mut pool = BlockPool::new(PROMPTS as usize * BLOCKS);
    for number in 0..PROMPTS {
        let prefix = pool.begin(vector, &[]);
        let (mut chain, mut taken) = (prefix.chain, prefix.blocks);
        for tokens in prompt(number).as_chunks().0 {
            let block = pool.allocate().expect("there is room for all");
            chain = pool.register(chain, tokens, block);
            taken.push(block);
        }
        pool.end(vector, &taken);
    }
    pool
}

fn look_ups(criterion: &mut Criterion) {
    let vector = VectorKey::default();
    let mut pool = full_pool(&vector);
    let known = prompt(PROMPTS / 2);
    let unknown = prompt(PROMPTS + 1);
    let half = [&known[..TOKENS / 2], &unknown[..TOKENS / 2]].concat();
    let cases = [("hit", known, BLOCKS), ("hit of half", half, BLOCKS / 2), ("miss", unknown, 0)];
    let mut group = criterion.benchmark_group("1,024 tokens among 131,072");
    for (name, prompt, found) in &cases {
        assert_eq!(pool.peek(&vector, prompt), *found, "{name}");
        group.bench_function(format!("{name}: look"), |bencher| {
            bencher.iter(|| pool.peek(&vector, black_box(prompt)));
        });
        group.bench_function(format!("{name}: take and give back"), |bencher| {
            bencher.iter(|| {
                let prefix = pool.begin(&vector, black_box(prompt));
                pool.end(&vector, &prefix.blocks);
            });
        });
    }
}

criterion_group!(benches, look_ups);
criterion_main!(benches);
