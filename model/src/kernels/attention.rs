//! Attention of one token over the paged cache.
//!
//! Scores are computed block by block, sixteen tokens side by side; then the softmax over all of
//! them; then the weighted sum of values in the order of tokens. What was computed for a token
//! depends only on the tokens before it, not on how they came into the cache.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::lanes::{self, LANES, Lanes};
use super::{Isa, per_isa};
use crate::cache::{BLOCK_TOKENS, KvCache};

const _: () = assert!(BLOCK_TOKENS == LANES, "a block's tokens are one register's lanes");

/// Where the keys and values of a token's past are.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Where they are stored.
    pub cache: &'a KvCache,
    /// The layer.
    pub layer: usize,
    /// The key head.
    pub kv_head: usize,
    /// Numbers of the sequence's blocks, in order.
    pub table: &'a [u32],
    /// How many tokens it sees, itself included; at least 1.
    pub tokens: usize,
}

/// The query heads that share a key head: `q` and `out` are (heads, head_dim).
///
/// `scores` is overwritten; it only saves an allocation.
///
/// # Panics
/// If the cache has no such layer or head, or the table no such block.
pub fn attend(isa: Isa, past: Past<'_>, q: &[f32], out: &mut [f32], scores: &mut Vec<Lanes>) {
    let dim = past.head_dim();
    // Few heads share a key head; the usual numbers keep their sums in registers.
    let mut heads = q.len() / dim;
    let (mut q, mut out) = (q, out);
    while heads > 0 {
        let now = heads.min(4);
        let (q_now, q_rest) = q.split_at(now * dim);
        let (out_now, out_rest) = out.split_at_mut(now * dim);
        match now {
            1 => attend_heads::<1>(isa, past, q_now, out_now, scores),
            2 => attend_heads::<2>(isa, past, q_now, out_now, scores),
            3 => attend_heads::<3>(isa, past, q_now, out_now, scores),
            _ => attend_heads::<4>(isa, past, q_now, out_now, scores),
        }
        (q, out, heads) = (q_rest, out_rest, heads - now);
    }
}

/// The same for `G` heads.
fn attend_heads<const G: usize>(
    isa: Isa,
    past: Past<'_>,
    q: &[f32],
    out: &mut [f32],
    scores: &mut Vec<Lanes>,
) {
    let blocks = past.blocks().len();
    scores.clear();
    scores.resize(G * blocks, lanes::splat(0.0));
    raw_scores::<G>(isa, past, q, scores);
    for scores in scores.chunks_exact_mut(blocks) {
        softmax(isa, scores, past.tokens);
    }
    weighted_values::<G>(isa, past, scores, out);
}

/// `scores` (G, blocks, 16) = q . k over the root of the head's width.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls the copy whose features were detected")
)]
fn raw_scores<const G: usize>(isa: Isa, past: Past<'_>, q: &[f32], scores: &mut [Lanes]) {
    match isa.supported() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has what is supported.
        Isa::Avx512 => unsafe { avx512::raw_scores::<G>(past, q, scores) },
        isa => match G {
            1 => raw_scores_1(isa, past, q, scores),
            2 => raw_scores_2(isa, past, q, scores),
            3 => raw_scores_3(isa, past, q, scores),
            _ => raw_scores_4(isa, past, q, scores),
        },
    }
}

/// `out` (G, head_dim) = the values weighted by `scores`, token by token.
#[cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls the copy whose features were detected")
)]
fn weighted_values<const G: usize>(isa: Isa, past: Past<'_>, scores: &[Lanes], out: &mut [f32]) {
    match isa.supported() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has what is supported.
        Isa::Avx512 => unsafe { avx512::weighted_values::<G>(past, scores, out) },
        isa => match G {
            1 => weighted_values_1(isa, past, scores, out),
            2 => weighted_values_2(isa, past, scores, out),
            3 => weighted_values_3(isa, past, scores, out),
            _ => weighted_values_4(isa, past, scores, out),
        },
    }
}

per_isa! { fn raw_scores_1(p: Past<'_>, q: &[f32], s: &mut [Lanes]) = raw_scores_body::<1> }
per_isa! { fn raw_scores_2(p: Past<'_>, q: &[f32], s: &mut [Lanes]) = raw_scores_body::<2> }
per_isa! { fn raw_scores_3(p: Past<'_>, q: &[f32], s: &mut [Lanes]) = raw_scores_body::<3> }
per_isa! { fn raw_scores_4(p: Past<'_>, q: &[f32], s: &mut [Lanes]) = raw_scores_body::<4> }
per_isa! { fn weighted_values_1(p: Past<'_>, s: &[Lanes], out: &mut [f32]) = weighted_values_body::<1> }
per_isa! { fn weighted_values_2(p: Past<'_>, s: &[Lanes], out: &mut [f32]) = weighted_values_body::<2> }
per_isa! { fn weighted_values_3(p: Past<'_>, s: &[Lanes], out: &mut [f32]) = weighted_values_body::<3> }
per_isa! { fn weighted_values_4(p: Past<'_>, s: &[Lanes], out: &mut [f32]) = weighted_values_body::<4> }

impl Past<'_> {
    fn head_dim(&self) -> usize {
        self.cache.keys(self.layer, 0, 0).len() / BLOCK_TOKENS
    }

    fn blocks(&self) -> &[u32] {
        &self.table[..self.tokens.div_ceil(BLOCK_TOKENS)]
    }

    /// How many of its tokens are in its `block`-th block.
    fn tokens_in(&self, block: usize) -> usize {
        (self.tokens - block * BLOCK_TOKENS).min(BLOCK_TOKENS)
    }
}

/// What scores are multiplied with.
#[expect(clippy::cast_precision_loss, reason = "a head's width")]
fn scale(dim: usize) -> f32 {
    1.0 / (dim as f32).sqrt()
}

#[inline(always)]
fn raw_scores_body<const G: usize>(past: Past<'_>, q: &[f32], scores: &mut [Lanes]) {
    let dim = q.len() / G;
    let scale = scale(dim);
    let blocks = past.blocks();
    for (b, &block) in blocks.iter().enumerate() {
        let keys = past.cache.keys(past.layer, block as usize, past.kv_head);
        let mut acc = [lanes::splat(0.0); G];
        for (d, keys) in keys.as_chunks::<LANES>().0.iter().enumerate() {
            let keys = lanes::widen(keys);
            for (g, acc) in acc.iter_mut().enumerate() {
                *acc = lanes::fma(&lanes::splat(q[g * dim + d]), &keys, acc);
            }
        }
        for (g, acc) in acc.iter().enumerate() {
            scores[g * blocks.len() + b] = lanes::scale(acc, scale);
        }
    }
}

per_isa! {
    /// Softmax over the first `tokens` scores; the rest become 0.
    fn softmax(scores: &mut [Lanes], tokens: usize) = softmax_body
}

#[inline(always)]
fn softmax_body(scores: &mut [Lanes], tokens: usize) {
    if let Some(last) = scores.last_mut() {
        last[(tokens - 1) % LANES + 1..].fill(f32::NEG_INFINITY);
    }
    let mut most = lanes::splat(f32::NEG_INFINITY);
    for s in scores.iter() {
        most = lanes::larger(&most, s);
    }
    let largest = lanes::largest(&most);
    let mut total = lanes::splat(0.0);
    for s in scores.iter_mut() {
        for v in s.iter_mut() {
            *v -= largest;
        }
        *s = lanes::exp(s);
        for i in 0..LANES {
            total[i] += s[i];
        }
    }
    let inverse = 1.0 / lanes::sum(&total);
    for s in scores {
        *s = lanes::scale(s, inverse);
    }
}

#[inline(always)]
fn weighted_values_body<const G: usize>(past: Past<'_>, scores: &[Lanes], out: &mut [f32]) {
    let dim = out.len() / G;
    let blocks = past.blocks();
    for chunk in 0..dim / LANES {
        let mut acc = [lanes::splat(0.0); G];
        for (b, &block) in blocks.iter().enumerate() {
            let values = past.cache.values(past.layer, block as usize, past.kv_head);
            for (token, values) in values.chunks_exact(dim).take(past.tokens_in(b)).enumerate() {
                let mut bits = [0; LANES];
                bits.copy_from_slice(&values[chunk * LANES..][..LANES]);
                let values = lanes::widen(&bits);
                for (g, acc) in acc.iter_mut().enumerate() {
                    let weight = scores[g * blocks.len() + b][token];
                    *acc = lanes::fma(&lanes::splat(weight), &values, acc);
                }
            }
        }
        for (g, acc) in acc.iter().enumerate() {
            out[g * dim + chunk * LANES..][..LANES].copy_from_slice(acc);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::elementwise;
    use super::super::linear::tests::Noise;
    use super::*;
    use crate::Config;

    fn config(heads: usize) -> Config {
        Config {
            hidden: 16 * heads,
            intermediate: 16,
            layers: 1,
            heads,
            kv_heads: 1,
            head_dim: 16,
            vocabulary: 2,
            context_tokens: 64,
            rope_theta: 1e4,
            norm_epsilon: 1e-5,
        }
    }

    /// Attention in f64 over half-precision keys and values.
    fn reference(q: &[f32], k: &Rows, v: &Rows) -> Vec<f64> {
        let round = |x: f32| f64::from(half::f16::from_f32(x).to_f32());
        let scores: Vec<f64> = (0..k.len())
            .map(|t| {
                k.row(t).iter().zip(q).map(|(k, q)| round(*k) * f64::from(*q)).sum::<f64>() / 4.0
            })
            .collect();
        let total: f64 = scores.iter().map(|s| s.exp()).sum();
        (0..16)
            .map(|d| (0..k.len()).map(|t| scores[t].exp() / total * round(v.row(t)[d])).sum())
            .collect()
    }

    use crate::Rows;

    #[test]
    fn attention_agrees_with_the_formula_for_any_number_of_heads_and_tokens() {
        for (heads, tokens) in [(1, 1), (3, 16), (2, 17), (7, 40)] {
            let mut noise = Noise::new(11);
            let (k, v) = (noise.rows(tokens, 16), noise.rows(tokens, 16));
            let q = noise.rows(1, heads * 16);
            let cache = KvCache::new(&config(heads), 4);
            let table = [2, 0, 3];
            for t in 0..tokens {
                let [mut key, mut value] = [[0; 16]; 2];
                elementwise::halve(Isa::Portable, k.row(t), &mut key);
                elementwise::halve(Isa::Portable, v.row(t), &mut value);
                let slot = (table[t / 16] as usize, t % 16);
                #[expect(unsafe_code, reason = "nobody else has the cache")]
                // SAFETY: as said.
                unsafe {
                    cache.store((0, 0), slot, &key, &value);
                }
            }
            let past = Past { cache: &cache, layer: 0, kv_head: 0, table: &table, tokens };
            let mut portable = vec![0.0; heads * 16];
            attend(Isa::Portable, past, q.row(0), &mut portable, &mut Vec::new());
            for head in 0..heads {
                let want = reference(&q.row(0)[head * 16..][..16], &k, &v);
                for (got, want) in portable[head * 16..].iter().zip(want) {
                    assert!(
                        (f64::from(*got) - want).abs() < 1e-5,
                        "{heads} {tokens}: {got} {want}"
                    );
                }
            }
            for isa in Isa::available() {
                let mut out = vec![0.0; heads * 16];
                attend(isa, past, q.row(0), &mut out, &mut Vec::new());
                assert_eq!(out, portable, "{isa:?}");
            }
        }
    }
}
