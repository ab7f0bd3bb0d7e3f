//! What this engine costs beside the local one, in one run: start, memory, tokens a second, and
//! what a variant takes.
//!
//! `cargo run -p gateway-mistralrs --features mistralrs --example speed -- MODEL ADAPTERS NAME`,
//! with a model's file or folder, a folder of adapters for it, and the name of one of them.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]
#![expect(clippy::expect_used, reason = "a measurement that fails is over")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::{
    AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected,
    Limits as AdapterLimits,
};
use futures_util::future::join_all;
use gateway_engine::{
    Admission, Engine, Generation, Grammar, Job, Limits, LocalEngine, LocalSettings, Logprobs,
    Priority, Sampling,
};
use gateway_mistralrs::{Base, MistralEngine, MistralSettings};
use model::{Model, ServedPrecision};

/// Tokens of a prompt and of an answer.
const PROMPT: u32 = 64;
const ANSWER: usize = 64;

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut next = || arguments.next().expect("MODEL ADAPTERS NAME");
    let (model, folder, name) = (next(), next(), next());
    let name = name.to_string_lossy().into_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    for precision in [ServedPrecision::Auto, ServedPrecision::F32] {
        println!("\n{precision:?}");
        let catalogue = catalogue(&model, &folder, precision);
        let adapter = AdapterName::parse(&name).expect("a name");
        catalogue.load(&adapter, &name, Expected::Absent).expect("loads");
        let vector = |scale| {
            let lease = catalogue.resolve(&adapter).expect("loaded");
            AdapterVector::new(vec![(lease, scale)]).expect("a vector")
        };
        let before = resident_mb();
        let (local, took) = timed(|| local(&model, precision));
        println!("local      start {took:.1} s, {} MB more", resident_mb() - before);
        runtime.block_on(speeds("local", &local));
        drop(local);
        let before = resident_mb();
        let home = tempfile::tempdir().expect("a folder");
        let (engine, took) = timed(|| mistral(&model, home.path(), precision));
        println!("mistral.rs start {took:.1} s, {} MB more", resident_mb() - before);
        runtime.block_on(speeds("mistral.rs", &engine));
        for scale in [0.5, 1.0, 1.5] {
            let before = resident_mb();
            let (_, took) = timed(|| runtime.block_on(answer(&engine, vector(scale), 1)));
            println!("  variant {scale}: {took:.1} s, {} MB more", resident_mb() - before);
        }
        let (_, took) = timed(|| runtime.block_on(answer(&engine, vector(1.5), 1)));
        println!("  variant 1.5 again: {took:.2} s");
    }
}

/// Tokens a second of one stream, of four in turn and of four at a time; the better of two runs.
async fn speeds(name: &str, engine: &dyn Engine) {
    answer(engine, AdapterVector::default(), 4).await;
    let (mut one, mut four) = (0.0_f64, 0.0_f64);
    for _ in 0..2 {
        one = one.max(decode(engine, 1).await);
        four = four.max(decode(engine, 4).await);
    }
    println!("  {name}: 1 stream {one:.1} tok/s, 4 streams {four:.1} tok/s together");
}

/// Tokens a second of `streams` answers, from their first tokens on.
async fn decode(engine: &dyn Engine, streams: u32) -> f64 {
    let none = AdapterVector::default;
    let jobs = (0..streams).map(|salt| job(none(), ANSWER, salt));
    let generations: Vec<_> = jobs.map(|job| engine.submit(job).expect("submits")).collect();
    let started = Instant::now();
    let spans = join_all(generations.into_iter().map(drain)).await;
    let first = spans.iter().map(|(first, _)| *first).min().expect("a stream");
    let tokens: usize = spans.iter().map(|(_, tokens)| tokens).sum();
    let tokens = u32::try_from(tokens).expect("few");
    f64::from(tokens) / (started.elapsed() - first.duration_since(started)).as_secs_f64()
}

/// When the first token came, and how many came after it.
async fn drain(mut generation: Generation) -> (Instant, usize) {
    let (mut first, mut tokens) = (None, 0);
    while let Some(chunk) = generation.next().await {
        tokens += chunk.expect("generates").tokens.len();
        first.get_or_insert_with(Instant::now);
    }
    (first.expect("a token"), tokens - 1)
}

async fn answer(engine: &dyn Engine, adapters: AdapterVector, tokens: usize) {
    drain(engine.submit(job(adapters, tokens, 9)).expect("submits")).await;
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, f64) {
    let started = Instant::now();
    let result = run();
    (result, started.elapsed().as_secs_f64())
}

fn job(adapters: AdapterVector, max_tokens: usize, salt: u32) -> Job {
    Job {
        prompt: (0..PROMPT).map(|i| 300 + i * 7 + salt * 131).collect(),
        adapters,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        limits: Limits {
            max_tokens,
            min_tokens: 0,
            ignore_eos: true,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
        },
        grammar: Grammar::Free,
        logprobs: Logprobs::default(),
        companions: Vec::new(),
        comparison: None,
        priority: Priority::Foreground,
        trace: None,
        deadline: Instant::now() + Duration::from_secs(600),
        permit: Arc::new(Admission::new(1).admit().expect("free")),
    }
}

fn local(model: &Path, precision: ServedPrecision) -> LocalEngine {
    let settings = LocalSettings { kv_bytes: 64 << 20, precision, ..LocalSettings::default() };
    LocalEngine::start(Model::open(model).expect("opens"), &settings).expect("starts")
}

fn mistral(model: &Path, home: &Path, precision: ServedPrecision) -> MistralEngine {
    let settings = MistralSettings {
        home: home.to_owned(),
        variants_bytes: 2 << 30,
        context_tokens: usize::MAX,
        precision,
    };
    MistralEngine::start(Base::open(model).expect("opens"), &settings).expect("starts")
}

fn catalogue(model: &Path, root: &Path, precision: ServedPrecision) -> Catalogue {
    let model = Model::open(model).expect("opens");
    let base = BaseModel {
        name: model.name().to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        config: model.checkpoint().config().clone(),
        precision,
    };
    let (root, limits) = (root.to_owned(), AdapterLimits::default());
    Catalogue::open(CatalogueSettings { root, state: None, limits }, base).expect("opens")
}

/// Memory of this process; 0 where there is no /proc.
fn resident_mb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<i64>().ok());
    kb.unwrap_or(0) / 1024
}
