//! Engines, adapters and jobs to test with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::{
    AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected,
    Limits as AdapterLimits,
};
use gateway_engine::{
    Admission, Engine, EngineError, Finish, Generation, Grammar, Job, Limits, LocalEngine,
    LocalSettings, Logprobs, Priority, Sampling, ScoredToken,
};
use gateway_mistralrs::{Base, MistralEngine, MistralSettings};
use model::source::{DEFAULT_MODEL, ModelStore, default_home};
use model::{Model, ServedPrecision};
use tempfile::TempDir;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The tiny fixture model: a folder.
pub(crate) fn tiny() -> PathBuf {
    root().join("tests/fixtures/tiny-llama")
}

/// The default model: a GGUF file.
pub(crate) fn default_model() -> PathBuf {
    let home = std::env::var_os("LETHE_HOME").map_or_else(default_home, PathBuf::from);
    ModelStore::new(&home).get(&DEFAULT_MODEL.parse().expect("a source")).expect("the model")
}

/// An engine over mistral.rs, and the folder in which its merged models lie.
pub(crate) struct House {
    pub(crate) engine: MistralEngine,
    pub(crate) home: TempDir,
}

impl House {
    /// With memory for `variants` variants of the tiny model, or more than enough for one of the
    /// default model.
    pub(crate) fn start(model: &Path, precision: ServedPrecision, variants_bytes: u64) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let settings = MistralSettings {
            home: home.path().to_owned(),
            variants_bytes,
            context_tokens: usize::MAX,
            precision,
        };
        let base = Base::open(model).expect("opens");
        let engine = MistralEngine::start(base, &settings).expect("starts");
        Self { engine, home }
    }

    /// The tiny model in f32.
    pub(crate) fn tiny() -> Self {
        Self::start(&tiny(), ServedPrecision::F32, 1 << 30)
    }

    /// How many merged models lie on disk.
    pub(crate) fn scratch(&self) -> usize {
        std::fs::read_dir(self.home.path().join("scratch")).expect("there").count()
    }
}

pub(crate) fn local(model: &Path, precision: ServedPrecision) -> LocalEngine {
    let model = Model::open(model).expect("opens");
    let settings = LocalSettings { kv_bytes: 128 << 20, precision, ..LocalSettings::default() };
    LocalEngine::start(model, &settings).expect("starts")
}

/// The adapters of a folder, for `model`.
pub(crate) fn catalogue(model: &Path, adapters: &Path, precision: ServedPrecision) -> Catalogue {
    let model = Model::open(model).expect("opens");
    let base = BaseModel {
        name: model.name().to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        config: model.checkpoint().config().clone(),
        precision,
    };
    let limits = AdapterLimits::default();
    let settings = CatalogueSettings { root: adapters.to_owned(), state: None, limits };
    Catalogue::open(settings, base).expect("opens")
}

/// The three adapters of the tiny model.
pub(crate) fn tiny_adapters() -> Catalogue {
    let folder = root().join("tests/fixtures/adapters");
    let catalogue = catalogue(&tiny(), &folder, ServedPrecision::F32);
    for name in ["one", "two", "three"] {
        load(&catalogue, name);
    }
    catalogue
}

pub(crate) fn load(catalogue: &Catalogue, name: &str) {
    let adapter = AdapterName::parse(name).expect("a name");
    catalogue.load(&adapter, name, Expected::Absent).expect("loads");
}

pub(crate) fn vector(catalogue: &Catalogue, wanted: &[(&str, f32)]) -> AdapterVector {
    let lease =
        |name| catalogue.resolve(&AdapterName::parse(name).expect("a name")).expect("loaded");
    AdapterVector::new(wanted.iter().map(|(name, scale)| (lease(name), *scale)).collect())
        .expect("a vector")
}

/// A prompt of `count` byte tokens that differs by `salt`.
pub(crate) fn prompt(count: usize, salt: usize) -> Vec<u32> {
    (0..count).map(|i| 3 + u32::try_from((i * 31 + salt * 17) % 250).expect("small")).collect()
}

/// A sampled job of 12 tokens with log-probabilities, on the base.
pub(crate) fn job(prompt: Vec<u32>) -> Job {
    Job {
        prompt,
        adapters: AdapterVector::default(),
        sampling: Sampling { seed: 7, top_p: 0.95, ..Sampling::default() },
        limits: Limits {
            max_tokens: 12,
            min_tokens: 0,
            ignore_eos: true,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
        },
        grammar: Grammar::Free,
        logprobs: Logprobs { generated: Some(3), prompt: None },
        companions: Vec::new(),
        comparison: None,
        priority: Priority::Foreground,
        trace: None,
        deadline: Instant::now() + Duration::from_secs(300),
        permit: Arc::new(Admission::new(1).admit().expect("free")),
    }
}

pub(crate) fn greedy() -> Sampling {
    Sampling { temperature: 0.0, ..Sampling::default() }
}

/// Everything that a generation gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: Vec<ScoredToken>,
    pub(crate) finish: Option<Finish>,
}

impl Answer {
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.tokens.iter().map(|token| token.id).collect()
    }

    pub(crate) fn end(&self) -> Finish {
        self.finish.expect("finished")
    }

    pub(crate) fn logprobs(&self) -> Vec<f32> {
        self.tokens.iter().map(|token| token.logprob.expect("scored")).collect()
    }
}

pub(crate) async fn collect(mut generation: Generation) -> Result<Answer, EngineError> {
    let mut answer = Answer::default();
    while let Some(chunk) = generation.next().await {
        let chunk = chunk?;
        answer.text.push_str(&chunk.text);
        answer.tokens.extend(chunk.tokens);
        answer.finish = chunk.finish;
    }
    Ok(answer)
}

pub(crate) async fn answer(engine: &dyn Engine, job: Job) -> Answer {
    collect(engine.submit(job).expect("submits")).await.expect("generates")
}
