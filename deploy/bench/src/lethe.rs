//! Our local engine, with and without adapters.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::{AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected};
use futures_util::StreamExt;
use futures_util::stream::select_all;
use gateway_engine::{
    Admission, Engine, Generation, Grammar, Job, Limits, LocalEngine, LocalSettings, Logprobs,
    Priority, Sampling,
};
use model::{Model, ServedPrecision};
use tokio::runtime::{Builder, Runtime};
use unlearn::seeded::{Seeded, seeded_lora};

/// The engine and an adapter vector for each stream.
pub(crate) struct Ours {
    engine: LocalEngine,
    vectors: Vec<AdapterVector>,
    runtime: Runtime,
}

impl Ours {
    /// Loads the model, and makes and loads seeded adapters of rank 16 on all seven projections.
    pub(crate) fn load(path: &Path, scratch: &Path, streams: usize) -> anyhow::Result<Self> {
        let model = Model::open(path)?;
        let config = model.checkpoint().config().clone();
        let base = BaseModel {
            name: model.name().to_owned(),
            fingerprint: model.fingerprint().to_owned(),
            config: config.clone(),
            precision: ServedPrecision::Auto,
        };
        let root = scratch.join("adapters");
        let settings = CatalogueSettings {
            root: root.clone(),
            state: None,
            limits: adapters::Limits::default(),
        };
        std::fs::create_dir_all(&root)?;
        let catalogue = Catalogue::open(settings, base)?;
        let mut vectors = Vec::new();
        for stream in 0..streams {
            let name = format!("seeded-{stream}");
            let seeded = Seeded { rank: 16, seed: stream as u64, ..Seeded::default() };
            seeded_lora(&config, &seeded).save(&root.join(&name), &config)?;
            let adapter = AdapterName::parse(&name)?;
            catalogue.load(&adapter, &name, Expected::Absent)?;
            vectors.push(AdapterVector::new(vec![(catalogue.resolve(&adapter)?, 1.0)])?);
        }
        let engine = LocalEngine::start(model, &LocalSettings::default())?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { engine, vectors, runtime })
    }

    /// One stream of the base model.
    pub(crate) fn single(&mut self, prompt: &[u32], tokens: usize) -> anyhow::Result<f64> {
        self.run(prompt, tokens, &[AdapterVector::default()])
    }

    /// All streams together, of the base model.
    pub(crate) fn base_streams(&mut self, prompt: &[u32], tokens: usize) -> anyhow::Result<f64> {
        self.run(prompt, tokens, &vec![AdapterVector::default(); self.vectors.len()])
    }

    /// All streams together, each with its own adapter.
    pub(crate) fn adapted_streams(&mut self, prompt: &[u32], tokens: usize) -> anyhow::Result<f64> {
        let vectors = self.vectors.clone();
        self.run(prompt, tokens, &vectors)
    }

    /// Tokens a second of all streams together, from the last one's first token on.
    fn run(&self, prompt: &[u32], tokens: usize, vectors: &[AdapterVector]) -> anyhow::Result<f64> {
        let submit =
            |vector: &AdapterVector| self.engine.submit(job(prompt, tokens, vector.clone()));
        let streams: Vec<Generation> = vectors.iter().map(submit).collect::<Result<_, _>>()?;
        self.runtime.block_on(measure(streams))
    }
}

fn job(prompt: &[u32], tokens: usize, adapters: AdapterVector) -> Job {
    Job {
        prompt: prompt.to_vec(),
        adapters,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        limits: Limits {
            max_tokens: tokens + 1,
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
        permit: Arc::new(
            Admission::new(1).admit().unwrap_or_else(|_| unreachable!("a fresh gate")),
        ),
    }
}

async fn measure(mut streams: Vec<Generation>) -> anyhow::Result<f64> {
    for stream in &mut streams {
        Generation::next(stream).await.transpose()?;
    }
    let start = Instant::now();
    let mut count = 0;
    // Read as they come: a stream that nobody reads pauses.
    let mut chunks = select_all(streams);
    while let Some(chunk) = chunks.next().await {
        count += chunk?.tokens.len();
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
