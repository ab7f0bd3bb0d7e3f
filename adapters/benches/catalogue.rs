//! What it costs to lease an adapter while others do, and while one adapter is swapped for another
//! without a pause.
//!
//! `cargo bench -p adapters --bench catalogue`

#![expect(clippy::expect_used, reason = "a bench fails where it stands")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use adapters::lora::{Lora, LowRank};
use adapters::{AdapterName, BaseModel, Catalogue, CatalogueSettings, Expected, Limits};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use model::{Config, Projection, ServedPrecision, Site};

const ADAPTERS: usize = 64;

fn config() -> Config {
    Config {
        hidden: 8,
        intermediate: 16,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        vocabulary: 259,
        context_tokens: 2_048,
        rope_theta: 10_000.0,
        norm_epsilon: 1e-5,
    }
}

/// The smallest adapter there can be; `seed` makes it another.
fn adapter(seed: u8) -> Lora {
    let values = |count: u8| (0..count).map(|i| f32::from(i % 7 + seed) / 64.0).collect();
    let low_rank = LowRank { rank: 1, scaling: 1.0, a: values(8), b: values(8) };
    Lora { sites: BTreeMap::from([(Site::new(0, Projection::Query), low_rank)]) }
}

/// A catalogue with all names loaded. Folders `even` and `odd` can be loaded under any of them.
fn open(folder: &Path) -> (Catalogue, Vec<AdapterName>) {
    for (seed, source) in [(0, "even"), (1, "odd")] {
        adapter(seed).save(&folder.join(source), &config()).expect("saved");
    }
    let base = BaseModel {
        name: "tiny".to_owned(),
        fingerprint: format!("sha256:{}", "0".repeat(64)),
        config: config(),
        precision: ServedPrecision::Auto,
    };
    let settings =
        CatalogueSettings { root: folder.to_owned(), state: None, limits: Limits::default() };
    let catalogue = Catalogue::open(settings, base).expect("a catalogue");
    let name = |number| AdapterName::parse(&format!("adapter-{number}")).expect("a name");
    let names: Vec<_> = (0..ADAPTERS).map(name).collect();
    for name in &names {
        catalogue.load(name, "even", Expected::Absent).expect("loaded");
    }
    (catalogue, names)
}

/// How long `readers` threads take until each has leased `count` adapters, one after the other.
fn read(catalogue: &Catalogue, names: &[AdapterName], readers: usize, count: u64) -> Duration {
    let start = Barrier::new(readers + 1);
    let started = std::thread::scope(|scope| {
        for reader in 0..readers {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let own = names.iter().cycle().skip(reader);
                for (name, _) in own.zip(0..count) {
                    black_box(catalogue.resolve(name).expect("it is never missing"));
                }
            });
        }
        start.wait();
        Instant::now()
    });
    started.elapsed()
}

/// The same, while every name in turn is pointed to another generation.
fn read_while_swapped(
    catalogue: &Catalogue,
    names: &[AdapterName],
    readers: usize,
    count: u64,
) -> Duration {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let turns = ["odd", "even"].into_iter().cycle();
            for (name, source) in names.iter().cycle().zip(turns) {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                catalogue.load(name, source, Expected::Any).expect("swapped");
            }
        });
        let took = read(catalogue, names, readers, count);
        done.store(true, Ordering::Relaxed);
        took
    })
}

fn leases(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let (catalogue, names) = open(folder.path());
    let mut group = criterion.benchmark_group("a lease of each reader");
    for readers in [1, 2, 8] {
        group.bench_function(BenchmarkId::new("readers", readers), |bencher| {
            bencher.iter_custom(|count| read(&catalogue, &names, readers, count));
        });
        group.bench_function(BenchmarkId::new("readers and a writer", readers), |bencher| {
            bencher.iter_custom(|count| read_while_swapped(&catalogue, &names, readers, count));
        });
    }
    drop(group);
    assert!(catalogue.counters().swaps > 0, "the writer came to swap");
}

criterion_group!(benches, leases);
criterion_main!(benches);
