//! What becomes known of a request while it runs, for what is told at its end.

use std::cell::RefCell;
use std::num::NonZeroU128;
use std::rc::Rc;
use std::sync::Arc;

use crate::audit::{AdapterChange, AdapterRefusal, Change, Event, Generated, Place, Request};
use crate::error::Code;
use crate::keys::Standing;
use crate::request_id::RequestId;
use crate::trace::{Answered, Ending, Inference, Trace};

/// What the log, the metrics, the reply's headers and the audit log are told of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Note(Rc<RefCell<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    adapters: Option<Arc<str>>,
    standings: Vec<Standing>,
    /// For the request's record; gone once it is filled.
    place: Place,
    id: String,
    trace: Option<Trace>,
    key: Option<Arc<str>>,
    error: Option<Code>,
    generated: Option<Generated>,
    /// The route of a request that may change adapters.
    changes: Option<String>,
    /// If spans are exported.
    inference: Option<Inference>,
}

/// The record of a change of adapters that is about to be made.
#[derive(Debug)]
pub(crate) struct ChangeRecord {
    place: Place,
    id: String,
    key: Option<Arc<str>>,
    route: String,
}

impl Note {
    /// Of the request `id`, which is part of `trace` if it is one of the API.
    pub(crate) fn new(id: &RequestId, trace: Option<Trace>) -> Self {
        let id = id.to_string();
        Self(Rc::new(RefCell::new(Noted { id, trace, ..Noted::default() })))
    }

    /// The trace that the request is part of.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.0.borrow().trace.clone()
    }

    /// Keeps the place of the request's record.
    pub(crate) fn hold(&self, place: Place) {
        self.0.borrow_mut().place = place;
    }

    /// The label of the adapter set; empty for routes that have none.
    pub(crate) fn adapters(&self) -> Arc<str> {
        self.0.borrow().adapters.clone().unwrap_or_default()
    }

    /// How the caller's key stands with its limits, as far as they were looked at.
    pub(crate) fn standings(&self) -> Vec<Standing> {
        self.0.borrow().standings.clone()
    }

    /// Tells the reply how the caller's key stands.
    pub(crate) fn stand(&self, standing: Option<Standing>) {
        self.0.borrow_mut().standings.extend(standing);
    }

    /// Tells the log and the metrics which adapters apply.
    pub(crate) fn choose(&self, model: &str, adapters: &Arc<str>) {
        tracing::Span::current().record("model", model).record("adapters", &**adapters);
        self.0.borrow_mut().adapters = Some(Arc::clone(adapters));
    }

    /// Tells the log and the audit log which key the request came with.
    pub(crate) fn come_with(&self, key: &Arc<str>) {
        tracing::Span::current().record("key", &**key);
        self.0.borrow_mut().key = Some(Arc::clone(key));
    }

    /// Tells the audit log how the request failed.
    pub(crate) fn fail(&self, code: Code) {
        self.0.borrow_mut().error = Some(code);
    }

    /// Tells the audit log what was generated.
    pub(crate) fn generate(&self, generated: Generated) {
        self.0.borrow_mut().generated = Some(generated);
    }

    /// Has the audit log told of the request if it changes no adapter, since its caller may.
    pub(crate) fn may_change(&self, route: String) {
        self.0.borrow_mut().changes = Some(route);
    }

    /// The trace's id, if the trace is sampled.
    pub(crate) fn sampled(&self) -> Option<NonZeroU128> {
        self.0.borrow().trace.as_ref().and_then(Trace::sampled)
    }

    /// Tells the trace, if it is recorded, that answers are to be made.
    pub(crate) fn infer(&self, inference: impl FnOnce() -> Inference) {
        let mut noted = self.0.borrow_mut();
        if noted.trace.as_ref().is_some_and(Trace::is_recorded) {
            noted.inference = Some(inference());
        }
    }

    /// Tells the trace what became of them.
    pub(crate) fn answer(&self, answered: impl FnOnce() -> Answered) {
        if let Some(inference) = &mut self.0.borrow_mut().inference {
            inference.end(answered());
        }
    }

    /// The record of a change that the request is about to make, in place of its own.
    pub(crate) fn change(&self) -> ChangeRecord {
        let mut noted = self.0.borrow_mut();
        let place = std::mem::take(&mut noted.place);
        let route = noted.changes.take().unwrap_or_default();
        ChangeRecord { place, id: noted.id.clone(), key: noted.key.clone(), route }
    }

    /// Has the request's spans exported, and the audit log told of it, if it is one that the log
    /// tells of: it came to generation, its key did not open what it asked for, or it was to change
    /// an adapter.
    pub(crate) fn end(&self, route: &str, status: u16, seconds: f64) {
        self.0.borrow_mut().end_trace(route, status);
        let (error, changes) = (self.0.borrow().error, self.0.borrow().changes.is_some());
        if changes {
            return self.change().tell_refusal(status, error, None, None);
        }
        let mut noted = self.0.borrow_mut();
        let place = std::mem::take(&mut noted.place);
        if noted.generated.is_none() && !noted.error.is_some_and(Code::is_of_key) {
            return;
        }
        place.fill(Event::Request(Box::new(Request {
            id: noted.id.clone(),
            key: noted.key.as_deref().map(str::to_owned),
            route: route.to_owned(),
            status,
            error: noted.error.map(Code::slug),
            seconds,
            generated: noted.generated.take(),
        })));
    }
}

impl Noted {
    fn end_trace(&mut self, route: &str, status: u16) {
        let (error, inference) = (self.error, self.inference.take());
        if let Some(trace) = &self.trace {
            trace.end(Ending { id: &self.id, route, status, error, inference });
        }
    }
}

impl ChangeRecord {
    /// Records the change, and blocks until it is on the disk, or cannot be brought there now.
    pub(crate) fn write(
        self,
        change: Change,
        name: &str,
        before: Option<String>,
        after: Option<String>,
    ) {
        let Self { place, id, key, .. } = self;
        let (key, name) = (key.as_deref().map(str::to_owned), name.to_owned());
        let change = AdapterChange { id, key, change, name, before, after };
        place.fill_and_wait(Event::Adapter(Box::new(change)));
    }

    /// Records that there is no change of `name`, which stands for `digest` if for anything.
    pub(crate) fn refuse(self, code: Code, name: &str, digest: Option<String>) {
        let name = Some(name.to_owned());
        self.tell_refusal(code.status().as_u16(), Some(code), name, digest);
    }

    fn tell_refusal(
        self,
        status: u16,
        error: Option<Code>,
        name: Option<String>,
        digest: Option<String>,
    ) {
        let Self { place, id, key, route } = self;
        place.fill(Event::AdapterRefused(Box::new(AdapterRefusal {
            id,
            key: key.as_deref().map(str::to_owned),
            route,
            status,
            error: error.map(Code::slug),
            name,
            digest,
        })));
    }
}
