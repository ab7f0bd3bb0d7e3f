//! A job's way through the house: it waits for its variant and a place there, then mistral.rs
//! computes it. Deadline, shutdown and a reader that is gone end it wherever it is.

use std::sync::Arc;

use gateway_engine::{Drawing, EngineError, Job};
use mistralrs_core::{
    Constraint, MistralRs, NormalRequest, Request, RequestMessage, Response, SamplingParams,
};
use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio::sync::watch;

use crate::ledger::Ticket;
use crate::line::{End, Line};
use crate::pool::{Lease, Pool};
use crate::tap::{Event, Held, Tap};
use crate::variant::{Merging, Variant};

/// What all jobs share.
pub(crate) struct House {
    pub(crate) mistral: Arc<MistralRs>,
    pub(crate) base: Variant,
    /// None if nothing can be merged into the base.
    pub(crate) pool: Option<Arc<Pool<Merging>>>,
    /// Whether the engine was shut down.
    pub(crate) down: watch::Sender<bool>,
}

/// A job that was taken.
pub(crate) struct Work {
    pub(crate) job: Job,
    pub(crate) drawing: Drawing,
    pub(crate) ticket: Ticket,
    pub(crate) events: UnboundedSender<Event>,
}

/// Sees a job to its end.
pub(crate) async fn run(house: Arc<House>, work: Work) {
    let (deadline, events) = (work.job.deadline, work.events.clone());
    let mut down = house.down.subscribe();
    let (line, responses) = Line::new();
    let line = Arc::new(line);
    let failure = tokio::select! {
        biased;
        _ = down.wait_for(|down| *down) => Some(EngineError::ShuttingDown),
        () = events.closed() => None,
        () = tokio::time::sleep_until(deadline.into()) => Some(EngineError::Deadline),
        result = compute(&house, work, &line, responses) => result.err(),
    };
    line.cut();
    if let Some(error) = failure {
        // A reader that is gone needs no answer.
        let _ = events.send(Event::Failed(error));
    }
}

async fn compute(
    house: &House,
    work: Work,
    line: &Arc<Line>,
    responses: Sender<Response>,
) -> Result<(), EngineError> {
    let Work { job, drawing, ticket, events } = work;
    let variant = lease(house, &job).await?;
    let Variant { id, places } = variant.as_ref().map_or(&house.base, Lease::variant).clone();
    let place = places.acquire_owned().await.map_err(|_| EngineError::ShuttingDown)?;
    ticket.run();
    let params = SamplingParams {
        // Greedy: the tap leaves no choice.
        temperature: Some(0.0),
        max_len: Some(drawing.max_tokens()),
        ..SamplingParams::neutral()
    };
    let held = Held { place, variant, adapters: job.adapters, ticket, permit: job.permit };
    let tap = Tap::new(drawing, job.prompt.len(), events, Arc::clone(line), held);
    let request = request(house.mistral.next_request_id(), job.prompt, params, responses, tap);
    let broken = |_| EngineError::Internal("the model's thread is gone".into());
    let sender = house.mistral.get_sender(Some(&id)).map_err(broken)?;
    sender.send(request).await.map_err(|_| EngineError::Internal("the model is gone".into()))?;
    match line.end().await {
        End::Cut => Ok(()),
        End::Failed(error) => {
            tracing::error!(variant = id, error, "a sequence failed");
            Err(EngineError::Internal("the model failed".into()))
        }
        End::Lost => Err(EngineError::Internal("the model's thread ended".into())),
    }
}

/// The variant for a job's adapters; none for the base.
async fn lease(house: &House, job: &Job) -> Result<Option<Lease<Merging>>, EngineError> {
    let Some(pool) = house.pool.as_ref().filter(|_| !job.adapters.is_empty()) else {
        return Ok(None);
    };
    let key = pool.workshop().key(&job.adapters);
    let lease = pool.lease(key, &job.adapters).await.map_err(|error| {
        tracing::error!(%error, adapters = job.adapters.set_name(), "a variant is not built");
        EngineError::Internal("the model with these adapters cannot be built".into())
    })?;
    Ok(Some(lease))
}

fn request(
    id: usize,
    prompt: Vec<u32>,
    sampling_params: SamplingParams,
    response: Sender<Response>,
    tap: Tap,
) -> Request {
    Request::Normal(Box::new(NormalRequest {
        messages: RequestMessage::CompletionTokens(prompt),
        sampling_params,
        response,
        return_logprobs: false,
        // A streamed sequence ends when nobody reads it.
        is_streaming: true,
        id,
        constraint: Constraint::None,
        suffix: None,
        tools: None,
        tool_choice: None,
        logits_processors: Some(vec![Arc::new(tap)]),
        return_raw_logits: false,
        web_search_options: None,
        // The sender is the variant's own.
        model_id: None,
        truncate_sequence: false,
    }))
}
