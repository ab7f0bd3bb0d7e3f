//! What all workers share: what is served, what is allowed, and how far the program's life is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use adapters::{AdapterInfo, Catalogue};
use gateway_engine::{Admission, Engine, Health, Permit};
use gateway_toxicity::Scorer;
use prometheus::Registry;
use tokio::sync::watch;

use crate::audit::{self, Audit, Event};
use crate::clock;
use crate::error::{ApiError, Code};
use crate::keys::Guard;
use crate::metrics::{Metrics, OTHER, SetLabels};
use crate::moderation::{Moderation, ModerationError};
use crate::settings::{
    Limits, ModerationSettings, Policy, Presets, Settings, ShadowSettings, StreamSettings,
};
use crate::shadow::Shadow;
use crate::trace::Tracing;

/// What is loaded before requests are served.
pub struct Loaded {
    pub engine: Arc<dyn Engine>,
    pub catalogue: Arc<Catalogue>,
    /// Named sets that come with the adapters; those of the settings come before them.
    pub presets: Presets,
    /// What scores prompts and answers.
    pub scorer: Arc<dyn Scorer>,
}

/// The gateway's state.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) guard: Guard,
    pub(crate) audit: Audit,
    pub(crate) tracing: Tracing,
    pub(crate) limits: Limits,
    pub(crate) stream: StreamSettings,
    pub(crate) policy: Policy,
    moderation: ModerationSettings,
    shadow: ShadowSettings,
    pub(crate) metrics: Metrics,
    pub(crate) registry: Registry,
    pub(crate) sets: SetLabels,
    admission: Admission,
    served: OnceLock<Served>,
    phase: watch::Sender<Phase>,
}

/// What is served, once it is there.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) presets: Arc<Presets>,
    pub(crate) moderation: Arc<Moderation>,
    /// If any runs are wanted.
    pub(crate) shadow: Option<Arc<Shadow>>,
    /// Seconds since the epoch.
    pub(crate) since: u64,
}

/// Where in its life the program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The model is being loaded.
    Starting,
    /// Requests are served.
    Ready,
    /// Requests are served, but nobody should send more.
    Draining,
    /// New requests are refused; old ones may end.
    Closing,
}

impl Gateway {
    /// A gateway that serves nothing yet, and nobody whom `guard` does not know.
    ///
    /// # Errors
    /// If metrics collide in `registry`, the audit log cannot be written, or spans cannot be
    /// exported.
    pub fn new(settings: &Settings, guard: Guard, registry: Registry) -> anyhow::Result<Self> {
        let metrics = Metrics::new(&registry)?;
        Ok(Self {
            guard,
            audit: Audit::start(&settings.audit, &metrics)?,
            tracing: Tracing::start(&settings.otel, &metrics)?,
            limits: settings.limits,
            stream: settings.stream,
            policy: settings.policy.clone(),
            moderation: settings.moderation.clone(),
            shadow: settings.shadow,
            metrics,
            registry,
            sets: SetLabels::new(settings.adapter_sets),
            admission: Admission::new(settings.limits.requests),
            served: OnceLock::new(),
            phase: watch::Sender::new(Phase::Starting),
        })
    }

    /// Begins to serve; what is served never changes afterwards.
    ///
    /// # Errors
    /// If the settings ask for more moderation than what is loaded can do, or there can be no
    /// thread for it or for shadow runs.
    pub fn serve(&self, loaded: Loaded) -> Result<(), ModerationError> {
        let moderation =
            Moderation::start(&self.moderation, loaded.scorer, &self.metrics, self.audit.is_on())?;
        let moderation = Arc::new(moderation);
        let Loaded { engine, catalogue, mut presets, .. } = loaded;
        presets.extend(self.policy.presets.clone());
        let presets = Arc::new(presets);
        let since = clock::since_epoch().as_secs();
        let shadow = Shadow::start(self.shadow, &engine, &moderation, &self.metrics)?;
        self.audit.record(serving(&*engine, &catalogue));
        let served = Served { engine, catalogue, presets, moderation, shadow, since };
        if self.served.set(served).is_ok() {
            self.enter(Phase::Ready);
        }
        Ok(())
    }

    /// What is served.
    ///
    /// # Errors
    /// If there is nothing yet, or no longer.
    pub(crate) fn served(&self) -> Result<&Served, ApiError> {
        if self.phase() == Phase::Closing {
            return Err(ApiError::new(Code::ShuttingDown, "the gateway is shutting down"));
        }
        self.loaded().ok_or_else(|| ApiError::new(Code::NotReady, "the model is still loading"))
    }

    /// What is served, whatever the phase.
    pub(crate) fn loaded(&self) -> Option<&Served> {
        self.served.get()
    }

    /// A place in the house.
    ///
    /// # Errors
    /// If all are taken.
    pub(crate) fn admit(&self) -> Result<Permit, ApiError> {
        self.admission.admit().map_err(ApiError::from)
    }

    /// Counts fields that a request had and that were ignored.
    pub(crate) fn count_ignored(&self, fields: &[&'static str]) {
        for field in fields {
            self.metrics.ignored_fields.with_label_values(&[field]).inc();
        }
    }

    /// Counts an attempt to load an adapter, or to replace one that had the name already. What was
    /// refused has no label of its own: its name may be anything.
    pub(crate) fn count_load(&self, loaded: Option<&AdapterInfo>, replaces: bool, took: Duration) {
        let label = loaded.map(|adapter| self.sets.label(adapter.name.as_str()));
        let (adapter, outcome) = match &label {
            Some(label) => (&**label, "loaded"),
            None => (OTHER, "refused"),
        };
        let seconds = self.metrics.adapter_load_seconds.with_label_values(&[adapter, outcome]);
        seconds.observe(took.as_secs_f64());
        if loaded.is_some() && replaces {
            self.metrics.adapter_swaps.with_label_values(&[adapter]).inc();
        }
    }

    /// Brings the metrics up to what is true now.
    pub(crate) fn refresh_metrics(&self) {
        self.metrics.admitted.set(i64::try_from(self.admitted()).unwrap_or(i64::MAX));
        if let Some(served) = self.loaded() {
            self.metrics.refresh(&*served.engine, &served.catalogue);
        }
    }

    /// How many requests wait or run.
    pub fn admitted(&self) -> usize {
        self.admission.admitted()
    }

    /// Where in its life the program is.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Goes on to `next`, unless it is further already.
    pub(crate) fn enter(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let further = *phase < next;
            if further {
                *phase = next;
            }
            further
        });
    }

    /// Whether requests should be sent here.
    pub(crate) fn is_ready(&self) -> bool {
        let healthy = |served: &Served| served.engine.status().health == Health::Ready;
        self.phase() == Phase::Ready && self.loaded().is_some_and(healthy) && !self.audit.refuses()
    }
}

/// What is served from now on.
fn serving(engine: &dyn Engine, catalogue: &Catalogue) -> Event {
    let adapters = catalogue.list().into_iter().map(|adapter| audit::Loaded {
        name: adapter.name.to_string(),
        digest: adapter.digest.to_string(),
    });
    Event::Serving { model: engine.model().name.clone(), adapters: adapters.collect() }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("model", self.engine.model()).finish_non_exhaustive()
    }
}
