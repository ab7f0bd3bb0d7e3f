//! An engine, adapters and jobs to test with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::{
    AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected,
    Limits as AdapterLimits,
};
use gateway_engine::{
    Admission, Chunk, Divergence, Engine, EngineError, Finish, Generation, Grammar, Job, Limits,
    LocalEngine, LocalSettings, Logprobs, Priority, Sampling, ScoredToken,
};
use model::{Model, ServedPrecision};

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

pub(crate) fn engine(settings: &LocalSettings) -> LocalEngine {
    let model = Model::open(&fixtures().join("tiny-llama")).expect("the fixture");
    LocalEngine::start(model, settings).expect("starts")
}

pub(crate) fn small() -> LocalSettings {
    LocalSettings { threads: 2, kv_bytes: 4 << 20, ..LocalSettings::default() }
}

/// The three fixture adapters for a base as it is held by default.
pub(crate) fn catalogue() -> Catalogue {
    catalogue_in(ServedPrecision::Auto)
}

/// The three fixture adapters.
pub(crate) fn catalogue_in(precision: ServedPrecision) -> Catalogue {
    let model = Model::open(&fixtures().join("tiny-llama")).expect("the fixture");
    let base = BaseModel {
        name: model.name().to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        config: model.checkpoint().config().clone(),
        precision,
    };
    let settings = CatalogueSettings {
        root: fixtures().join("adapters"),
        state: None,
        limits: AdapterLimits::default(),
    };
    let catalogue = Catalogue::open(settings, base).expect("opens");
    for name in ["one", "two", "three"] {
        let adapter = AdapterName::parse(name).expect("a name");
        catalogue.load(&adapter, name, Expected::Absent).expect("loads");
    }
    catalogue
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

/// A sampled job of 12 tokens with log-probabilities.
pub(crate) fn job(prompt: Vec<u32>, adapters: AdapterVector) -> Job {
    Job {
        prompt,
        adapters,
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
        deadline: Instant::now() + Duration::from_secs(120),
        permit: Arc::new(Admission::new(1).admit().expect("free")),
    }
}

/// Everything that a generation gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: Vec<ScoredToken>,
    pub(crate) prompt: Option<Vec<ScoredToken>>,
    pub(crate) divergence: Option<Divergence>,
    pub(crate) finish: Option<Finish>,
}

impl Answer {
    /// The answer without what the cache may change.
    pub(crate) fn content(&self) -> (&str, &[ScoredToken]) {
        (&self.text, &self.tokens)
    }

    pub(crate) fn end(&self) -> Finish {
        self.finish.expect("finished")
    }

    fn take(&mut self, chunk: Chunk) {
        self.text.push_str(&chunk.text);
        self.tokens.extend(chunk.tokens);
        self.divergence = self.divergence.or(chunk.divergence);
        self.prompt = self.prompt.take().or(chunk.prompt);
        self.finish = chunk.finish;
    }
}

pub(crate) async fn collect(mut generation: Generation) -> Result<Answer, EngineError> {
    let mut answer = Answer::default();
    while let Some(chunk) = generation.next().await {
        answer.take(chunk?);
    }
    Ok(answer)
}

/// Submits jobs together and gives their answers in order.
pub(crate) async fn answers(engine: &LocalEngine, jobs: Vec<Job>) -> Vec<Answer> {
    let generations: Vec<Generation> =
        jobs.into_iter().map(|job| engine.submit(job).expect("submits")).collect();
    let mut answers = Vec::new();
    for generation in generations {
        answers.push(collect(generation).await.expect("generates"));
    }
    answers
}

pub(crate) async fn answer(engine: &LocalEngine, job: Job) -> Answer {
    answers(engine, vec![job]).await.pop().expect("one job, one answer")
}
