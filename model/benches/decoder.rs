//! What a step of the default model costs: one row, eight rows, a prompt, and the head alone.
//!
//! `cargo bench -p model --bench decoder`. The model is fetched if it is not there yet.

#![expect(clippy::expect_used, reason = "a bench without its model cannot go on")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::kernels::low_rank::{Factors, Update};
use model::kernels::packed::Precision;
use model::kernels::pool::Pool;
use model::source::{DEFAULT_MODEL, ModelStore, default_home};
use model::{
    BLOCK_TOKENS, Config, KvCache, Model, NoDelta, PackedDecoder, Projection, RowDelta, Rows,
    Segment, ServedPrecision, Site,
};

/// Tokens before the step that is timed.
const PAST: usize = 256;
const PROMPT: usize = 512;
const ROWS: usize = 8;
const RANK: usize = 16;

fn open() -> PackedDecoder {
    let home = std::env::var_os("LETHE_HOME").map_or_else(default_home, Into::into);
    let source = DEFAULT_MODEL.parse().expect("a source");
    let path = ModelStore::new(&home).get(&source).expect("the default model");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let model = Model::open(&path).expect("a model");
    model.packed(ServedPrecision::Auto, Arc::new(Pool::new(threads))).expect("its decoder")
}

/// Factors of every site; a row of each.
struct Adapters(Vec<Vec<Factors>>);

impl Adapters {
    fn new(config: &Config, rows: usize) -> Self {
        let sites = || (0..config.layers).flat_map(|_| Projection::ALL);
        let factors = |projection| {
            let (inputs, outputs) = config.shape(projection);
            let (a, b) = (vec![1e-3; RANK * inputs], vec![1e-3; RANK * outputs]);
            Factors::new(Precision::Int8, RANK, &a, &b).expect("finite")
        };
        Self((0..rows).map(|_| sites().map(factors).collect()).collect())
    }
}

impl RowDelta for Adapters {
    fn updates(&self, site: Site) -> Vec<Update<'_>> {
        let index = site.layer * Projection::ALL.len() + site.projection as usize;
        self.0
            .iter()
            .enumerate()
            .map(|(row, factors)| Update {
                rows: row..row + 1,
                factors: &factors[index],
                scale: 0.5,
            })
            .collect()
    }
}

/// A cache in which `rows` sequences have their past, and their tables.
fn past(decoder: &PackedDecoder, rows: usize) -> (KvCache, Vec<Vec<u32>>) {
    let blocks = PROMPT.max(PAST + BLOCK_TOKENS) / BLOCK_TOKENS;
    let mut cache = KvCache::new(decoder.config(), rows * blocks);
    let count = u32::try_from(blocks).expect("few");
    let tables: Vec<Vec<u32>> = (0..u32::try_from(rows).expect("few"))
        .map(|row| (row * count..(row + 1) * count).collect())
        .collect();
    let tokens: Vec<u32> = (0..PAST).map(|i| 100 + u32::try_from(i).expect("few")).collect();
    for table in &tables {
        let segment = Segment { tokens: &tokens, start: 0, table };
        decoder.hidden(&mut cache, &[segment], &NoDelta).expect("a step");
    }
    (cache, tables)
}

fn steps(criterion: &mut Criterion) {
    let decoder = open();
    let mut group = criterion.benchmark_group("step");
    for rows in [1, ROWS] {
        let (mut cache, tables) = past(&decoder, rows);
        let adapters = Adapters::new(decoder.config(), rows);
        let deltas: [(&str, &dyn RowDelta); 2] = [("base", &NoDelta), ("adapters", &adapters)];
        for (name, delta) in deltas {
            group.throughput(Throughput::Elements(rows as u64));
            group.bench_function(BenchmarkId::new(name, rows), |bencher| {
                let segment = |table| Segment { tokens: &[7], start: PAST, table };
                let segments: Vec<Segment<'_>> = tables.iter().map(|t| segment(t)).collect();
                bencher.iter(|| black_box(decoder.hidden(&mut cache, &segments, delta)));
            });
        }
    }
    let tokens: Vec<u32> = (0..PROMPT).map(|i| 100 + u32::try_from(i).expect("few")).collect();
    let (mut cache, tables) = past(&decoder, 1);
    group.throughput(Throughput::Elements(PROMPT as u64));
    for chunk in [64, 256] {
        group.bench_function(BenchmarkId::new("prompt, tokens a step", chunk), |bencher| {
            bencher.iter(|| {
                for start in (0..PROMPT).step_by(chunk) {
                    let tokens = &tokens[start..start + chunk];
                    let segment = Segment { tokens, start, table: &tables[0] };
                    black_box(decoder.hidden(&mut cache, &[segment], &NoDelta).expect("a step"));
                }
            });
        });
    }
    for rows in [1, ROWS] {
        let hidden = Rows::zeros(rows, decoder.config().hidden);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("head", rows), |bencher| {
            bencher.iter(|| black_box(decoder.logits(&hidden)));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = steps
}
criterion_main!(benches);
