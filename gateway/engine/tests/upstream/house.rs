//! Servers, an engine before them, adapters and jobs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::{
    AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected,
    Limits as AdapterLimits,
};
use gateway_engine::scripted::upstream::{ScriptedUpstream, UpstreamScript};
use gateway_engine::upstream::{
    AdapterFolder, Dialect, Patience, UpstreamEngine, UpstreamSettings,
};
use gateway_engine::{
    Admission, Engine as _, EngineError, Finish, Generation, Grammar, Job, Limits, Logprobs,
    ModelInfo, Priority, Sampling, ScoredToken, SubmitError,
};
use model::{Model, ServedPrecision};
use tempfile::TempDir;

/// Nothing in these tests takes as long.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// An engine before some servers.
pub(crate) struct House {
    pub(crate) servers: Vec<ScriptedUpstream>,
    pub(crate) engine: UpstreamEngine,
    pub(crate) catalogue: Catalogue,
    _folder: TempDir,
}

/// What a test changes.
pub(crate) struct Plan {
    pub(crate) dialect: Dialect,
    pub(crate) scripts: Vec<UpstreamScript>,
    pub(crate) max_adapters: usize,
    pub(crate) max_rank: usize,
    pub(crate) attempts: usize,
    pub(crate) patience: Patience,
}

impl Default for Plan {
    fn default() -> Self {
        let patience =
            Patience { connect: LONG, first_token: LONG, idle: LONG, placement: LONG, probe: LONG };
        Self {
            dialect: Dialect::Vllm,
            scripts: vec![UpstreamScript::default()],
            max_adapters: 2,
            max_rank: 64,
            attempts: 5,
            patience,
        }
    }
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

impl House {
    pub(crate) fn open(plan: &Plan) -> Self {
        let start = |script| ScriptedUpstream::start(script).expect("a port");
        let servers: Vec<_> = plan.scripts.iter().cloned().map(start).collect();
        let urls: Vec<_> = servers.iter().map(ScriptedUpstream::url).collect();
        Self::before(servers, &urls, plan)
    }

    /// The engine before servers at these addresses, of which some may not be there.
    pub(crate) fn before(servers: Vec<ScriptedUpstream>, urls: &[String], plan: &Plan) -> Self {
        let model = Model::open(&fixtures().join("tiny-llama")).expect("the fixture");
        let config = model.checkpoint().config().clone();
        let folder = tempfile::tempdir().expect("a folder");
        let settings = UpstreamSettings {
            servers: urls.iter().map(|url| url.parse().expect("a server")).collect(),
            dialect: plan.dialect,
            model: "base".to_owned(),
            key: None,
            roots: Vec::new(),
            adapters: Some(AdapterFolder {
                here: folder.path().to_owned(),
                there: folder.path().to_string_lossy().into_owned(),
            }),
            max_adapters: plan.max_adapters,
            max_rank: plan.max_rank,
            attempts: plan.attempts,
            patience: plan.patience,
        };
        let info = ModelInfo {
            name: model.name().to_owned(),
            context_tokens: 64,
            vocabulary: config.vocabulary,
            fingerprint: model.fingerprint().to_owned(),
        };
        let text = Arc::clone(model.text());
        let engine = UpstreamEngine::start(text, config, info, settings).expect("starts");
        Self { servers, engine, catalogue: catalogue(&model), _folder: folder }
    }

    pub(crate) fn vector(&self, wanted: &[(&str, f32)]) -> AdapterVector {
        let lease = |name| {
            let name = AdapterName::parse(name).expect("a name");
            self.catalogue.resolve(&name).expect("loaded")
        };
        AdapterVector::new(wanted.iter().map(|(name, scale)| (lease(name), *scale)).collect())
            .expect("a vector")
    }

    pub(crate) async fn answer(&self, job: Job) -> Result<Answer, EngineError> {
        collect(self.engine.submit(job).expect("submits")).await
    }

    /// The answer to the usual prompt with these adapters.
    pub(crate) async fn ask(&self, wanted: &[(&str, f32)]) -> Result<Answer, EngineError> {
        self.answer(job(self.vector(wanted))).await
    }

    pub(crate) fn refusal(&self, job: Job) -> SubmitError {
        self.engine.submit(job).expect_err("refused")
    }
}

fn catalogue(model: &Model) -> Catalogue {
    let base = BaseModel {
        name: model.name().to_owned(),
        fingerprint: model.fingerprint().to_owned(),
        config: model.checkpoint().config().clone(),
        precision: ServedPrecision::F32,
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

/// `abcdefgh`; the scripted servers say it backwards.
pub(crate) fn prompt() -> Vec<u32> {
    b"abcdefgh".iter().map(|byte| u32::from(*byte) + 3).collect()
}

/// A job of at most 8 tokens with log-probabilities.
pub(crate) fn job(adapters: AdapterVector) -> Job {
    Job {
        prompt: prompt(),
        adapters,
        sampling: Sampling { seed: 7, ..Sampling::default() },
        limits: Limits {
            max_tokens: 8,
            min_tokens: 0,
            ignore_eos: false,
            stop: Vec::new(),
            stop_tokens: Vec::new(),
        },
        grammar: Grammar::Free,
        logprobs: Logprobs { generated: Some(1), prompt: None },
        companions: Vec::new(),
        comparison: None,
        priority: Priority::Foreground,
        trace: None,
        deadline: Instant::now() + LONG,
        permit: Arc::new(Admission::new(1).admit().expect("free")),
    }
}

/// Everything that a generation gave.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) tokens: Vec<ScoredToken>,
    pub(crate) prompt: Option<Vec<ScoredToken>>,
    pub(crate) finish: Option<Finish>,
}

pub(crate) async fn collect(mut generation: Generation) -> Result<Answer, EngineError> {
    let mut answer = Answer::default();
    while let Some(chunk) = generation.next().await {
        let chunk = chunk?;
        answer.text.push_str(&chunk.text);
        answer.tokens.extend(chunk.tokens);
        answer.prompt = answer.prompt.take().or(chunk.prompt);
        answer.finish = chunk.finish;
    }
    Ok(answer)
}
