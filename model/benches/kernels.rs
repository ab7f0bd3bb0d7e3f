//! What the linear layers of a decoder of the default model's shape cost, with and without
//! adapters, beside what the memory and the processor give in the same run.
//!
//! `cargo bench -p model`. The weights are noise: only their bytes matter.

#![expect(clippy::expect_used, reason = "a bench fails where it stands")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use model::kernels::Isa;
use model::kernels::attention::{Past, attend};
use model::kernels::elementwise::{Rotation, gate, halve, rms_norm};
use model::kernels::input::Input;
use model::kernels::linear::linear;
use model::kernels::low_rank::{Factors, Update};
use model::kernels::packed::{Block, GROUP, PackedMatrix, Precision};
use model::kernels::pool::{Pool, share};
use model::{BLOCK_TOKENS, Config, KvCache, Rows};

/// Layers of the default model.
const LAYERS: usize = 30;
/// Widths of the default model: hidden, keys, and the MLP's.
const HIDDEN: usize = 576;
const KEYS: usize = 192;
const MLP: usize = 1536;
/// Width of a head.
const HEAD: usize = 64;
const RANK: usize = 16;

/// The projections of a layer in groups that share their input: outputs and inputs.
const GROUPS: [&[(usize, usize)]; 4] = [
    &[(HIDDEN, HIDDEN), (KEYS, HIDDEN), (KEYS, HIDDEN)],
    &[(HIDDEN, HIDDEN)],
    &[(MLP, HIDDEN), (MLP, HIDDEN)],
    &[(HIDDEN, MLP)],
];

/// Deterministic noise; xorshift.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.next() % 256) as f32 / 1e4).collect()
    }

    fn rows(&mut self, rows: usize, width: usize) -> Rows {
        let mut x = Rows::zeros(rows, width);
        x.values_mut().iter_mut().for_each(|v| *v = (self.next() % 256) as f32 / 128.0 - 1.0);
        x
    }

    fn matrix(&mut self, precision: Precision, shape: (usize, usize)) -> PackedMatrix {
        PackedMatrix::from_blocks(precision, shape, |_, _| Block {
            scale: f16::from_f32(0.01),
            minimum: f16::from_f32(-0.08),
            quants: [0; GROUP].map(|_| (self.next() % 16) as u8),
        })
    }
}

/// Every linear layer but the head.
struct Layers(Vec<Vec<PackedMatrix>>);

impl Layers {
    fn new(precision: Precision) -> Self {
        let mut noise = Noise(7);
        let group = |shapes: &&[(usize, usize)]| {
            shapes.iter().map(|shape| noise.matrix(precision, *shape)).collect()
        };
        Self((0..LAYERS).flat_map(|_| GROUPS.iter()).map(group).collect())
    }

    fn bytes(&self) -> usize {
        self.0.iter().flatten().map(PackedMatrix::bytes).sum()
    }

    fn weights(&self) -> usize {
        self.0.iter().flatten().map(|m| m.inputs() * m.outputs()).sum()
    }

    /// One step: `adapters` has the factors of each matrix for each row, or none.
    fn run(&self, pool: &Pool, isa: Isa, inputs: &[Rows; 2], adapters: &[Adapter]) {
        let mut matrix = 0;
        for group in &self.0 {
            let x = Input::Plain(&inputs[usize::from(group[0].inputs() != HIDDEN)]);
            let mut updates = [const { Vec::new() }; 3];
            for updates in updates.iter_mut().take(group.len()) {
                updates.extend(adapters.iter().enumerate().map(|(row, a)| a.update(row, matrix)));
                matrix += 1;
            }
            let [one, two, three] = updates.each_ref().map(Vec::as_slice);
            match &group[..] {
                [a] => drop(black_box(linear(pool, isa, [a], [one], x))),
                [a, b] => drop(black_box(linear(pool, isa, [a, b], [one, two], x))),
                [a, b, c, ..] => {
                    drop(black_box(linear(pool, isa, [a, b, c], [one, two, three], x)));
                }
                [] => {}
            }
        }
    }
}

/// The factors of each matrix.
struct Adapter(Vec<Factors>);

impl Adapter {
    fn new(noise: &mut Noise) -> Self {
        let shapes = (0..LAYERS).flat_map(|_| GROUPS.iter().copied().flatten());
        let factors = |(o, i): &(usize, usize)| {
            let (a, b) = (noise.values(RANK * i), noise.values(RANK * o));
            Factors::new(Precision::Int8, RANK, &a, &b).expect("finite")
        };
        Self(shapes.map(factors).collect())
    }

    fn update(&self, row: usize, matrix: usize) -> Update<'_> {
        Update { rows: row..row + 1, factors: &self.0[matrix], scale: 0.5 }
    }
}

/// Reading as many bytes as there are weights: what a step of one row cannot go below.
fn memory(criterion: &mut Criterion) {
    let pool = pool();
    let bytes = Layers::new(Precision::Int4Affine).bytes();
    let words: Vec<u64> = (0..bytes as u64 / 8).collect();
    let mut group = criterion.benchmark_group("memory");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            pool.run(&|part| {
                let own = &words[share(words.len(), part, pool.parts())];
                black_box(own.iter().fold(0, |sum, word| sum ^ *word));
            });
        });
    });
}

/// Products of 8-bit integers from registers alone: what a step of many rows cannot go below.
#[cfg(target_arch = "x86_64")]
fn arithmetic(criterion: &mut Criterion) {
    /// Products of one pass: twelve instructions of 64, for each has to wait four cycles for the sum
    /// before it.
    const PASS: u64 = 12 * 64;
    const PASSES: u64 = 100_000;
    if Isa::detect() != Isa::Avx512 {
        return;
    }
    let pool = pool();
    let mut group = criterion.benchmark_group("arithmetic");
    group.throughput(Throughput::Elements(PASS * PASSES * pool.parts() as u64));
    group.bench_function("products", |bencher| {
        bencher.iter(|| pool.run(&|_| passes(PASSES)));
    });
}

#[cfg(not(target_arch = "x86_64"))]
fn arithmetic(_: &mut Criterion) {}

/// In assembly, for the compiler would leave out what nobody reads.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the instructions were detected, and only registers are written")]
fn passes(count: u64) {
    macro_rules! products {
        ($($register:literal)*) => {
            concat!($("vpdpbusd zmm", $register, ", zmm30, zmm31\n"),*)
        };
    }
    // SAFETY: all registers that are written are named.
    unsafe {
        std::arch::asm!(
            "2:",
            products!(0 1 2 3 4 5 6 7 8 9 10 11),
            "dec {count}",
            "jnz 2b",
            count = inout(reg) count => _,
            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
            out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
            out("zmm10") _, out("zmm11") _,
            options(nostack, nomem),
        );
    }
}

fn layers(criterion: &mut Criterion) {
    let (pool, mut noise) = (pool(), Noise(3));
    for precision in [Precision::Int4Affine, Precision::Int8] {
        let layers = Layers::new(precision);
        let mut group = criterion.benchmark_group(format!("layers, {precision:?}"));
        for rows in [1, 8, 64, 256] {
            let inputs = [noise.rows(rows, HIDDEN), noise.rows(rows, MLP)];
            group.throughput(match rows {
                1 => Throughput::Bytes(layers.bytes() as u64),
                _ => Throughput::Elements((layers.weights() * rows) as u64),
            });
            group.bench_function(BenchmarkId::new("rows", rows), |bencher| {
                bencher.iter(|| layers.run(&pool, Isa::detect(), &inputs, &[]));
            });
        }
        let inputs = [noise.rows(1, HIDDEN), noise.rows(1, MLP)];
        group.bench_function("portable, 1 row", |bencher| {
            bencher.iter(|| layers.run(&pool, Isa::Portable, &inputs, &[]));
        });
    }
}

fn adapters(criterion: &mut Criterion) {
    let (pool, mut noise) = (pool(), Noise(5));
    let layers = Layers::new(Precision::Int4Affine);
    let adapters: Vec<Adapter> = (0..8).map(|_| Adapter::new(&mut noise)).collect();
    let mut group = criterion.benchmark_group("adapters of rank 16");
    for rows in [1, 8] {
        let inputs = [noise.rows(rows, HIDDEN), noise.rows(rows, MLP)];
        for (name, adapters) in [("none", &adapters[..0]), ("one a row", &adapters[..rows])] {
            group.bench_function(BenchmarkId::new(name, rows), |bencher| {
                bencher.iter(|| layers.run(&pool, Isa::detect(), &inputs, adapters));
            });
        }
    }
}

/// One query row of three heads that share a key head, on one core: twice `tokens` times the head's
/// width multiplications a head.
fn attention(criterion: &mut Criterion) {
    const TOKENS: usize = 1_000;
    let config = Config {
        hidden: HIDDEN,
        intermediate: MLP,
        layers: 1,
        heads: 3,
        kv_heads: 1,
        head_dim: HEAD,
        vocabulary: 1,
        context_tokens: TOKENS,
        rope_theta: 1e4,
        norm_epsilon: 1e-5,
    };
    let cache = KvCache::new(&config, TOKENS.div_ceil(BLOCK_TOKENS));
    let table: Vec<u32> = (0..).take(cache.blocks()).collect();
    let past = Past { cache: &cache, layer: 0, kv_head: 0, table: &table, tokens: TOKENS };
    let (q, mut out, mut scores) = (vec![0.5; 3 * HEAD], vec![0.0; 3 * HEAD], Vec::new());
    let mut group = criterion.benchmark_group("attention");
    group.throughput(Throughput::Elements((2 * TOKENS * q.len()) as u64));
    for isa in Isa::available() {
        group.bench_function(format!("{isa:?}"), |bencher| {
            bencher.iter(|| attend(isa, past, &q, black_box(&mut out), &mut scores));
        });
    }
}

/// What happens to rows between products, one row on one core.
fn elementwise(criterion: &mut Criterion) {
    let mut noise = Noise(11);
    let (x, up, weight) = (noise.values(MLP), noise.values(MLP), noise.values(HIDDEN));
    let rotation = Rotation::new(1e4, HEAD, 64);
    let mut group = criterion.benchmark_group("between products");
    for isa in Isa::available() {
        let (mut y, mut half) = (x.clone(), vec![0; HIDDEN]);
        group.bench_function(format!("norm, {isa:?}"), |bencher| {
            bencher
                .iter(|| rms_norm(isa, &x[..HIDDEN], &weight, 1e-5, black_box(&mut y[..HIDDEN])));
        });
        group.bench_function(format!("gate, {isa:?}"), |bencher| {
            bencher.iter(|| {
                y.copy_from_slice(&x);
                gate(isa, black_box(&mut y), &up);
            });
        });
        group.bench_function(format!("rotation, {isa:?}"), |bencher| {
            bencher.iter(|| rotation.apply(isa, black_box(&mut y[..HIDDEN]), 7));
        });
        group.bench_function(format!("to half precision, {isa:?}"), |bencher| {
            bencher.iter(|| halve(isa, &x[..HIDDEN], black_box(&mut half)));
        });
    }
}

fn pool() -> Pool {
    Pool::new(std::thread::available_parallelism().map_or(1, usize::from))
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = memory, arithmetic, layers, adapters, attention, elementwise
}
criterion_main!(benches);
