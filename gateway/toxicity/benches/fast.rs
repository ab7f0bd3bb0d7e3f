//! How many words the embedded scorer reads in a second, on one core.

#![expect(clippy::expect_used, reason = "a bench fails where it stands")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway_toxicity::{FastScorer, Scorer as _, score_text};

const SENTENCE: &str = "The moon, which is round, rose slowly over the quiet harbour while two \
    fishermen mended their nets and talked about the weather. ";

fn words(criterion: &mut Criterion) {
    let scorer = FastScorer::embedded().expect("a sound file");
    let window: String =
        SENTENCE.repeat(2).split_whitespace().take(32).collect::<Vec<_>>().join(" ");
    let text = SENTENCE.repeat(20);
    let mut group = criterion.benchmark_group("fast");
    group.throughput(Throughput::Elements(32));
    group.bench_function("a window of 32 words", |bencher| {
        bencher.iter(|| scorer.score(&[black_box(&window)]));
    });
    group.throughput(Throughput::Elements(text.split_whitespace().count() as u64));
    group.bench_function("a long text, each word in four windows", |bencher| {
        bencher.iter(|| score_text(&scorer, black_box(&text)));
    });
    group.finish();
}

criterion_group!(benches, words);
criterion_main!(benches);
