//! `POST /v1/completions`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use gateway_engine::{ControlTokens, Engine, Logprobs, TextError};
use gateway_wire::{CompletionRequest, Delivery, Prompt};

use super::reading::read;
use super::{Prepared, respond};
use crate::body::JsonBody;
use crate::call::Call;
use crate::choice;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::generation::Order;
use crate::moderation::Plan;
use crate::replies::completions::CompletionReply;
use crate::replies::{Head, UsageChunk};
use crate::trace::{Operation, Subject};

pub(super) async fn create(
    call: Call,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<CompletionRequest>,
) -> Result<HttpResponse, ApiError> {
    let gateway = gateway.into_inner();
    gateway.count_ignored(&request.ignored);
    let permit = gateway.admit()?;
    let prepared = prepare(&gateway, &call, request).await?;
    respond(&gateway, &call, permit, prepared).await
}

async fn prepare(
    gateway: &Gateway,
    call: &Call,
    request: CompletionRequest,
) -> Result<Prepared<CompletionReply>, ApiError> {
    let served = gateway.served()?;
    let choice = choice::resolve(gateway, served, &request.model, request.adapters, call)?;
    let plan =
        served.moderation.plan(request.moderation.as_ref(), &choice.label, call.note().trace())?;
    let head = Head::new("cmpl", &*served.engine, &choice, plan.as_ref());
    let subject = Subject {
        operation: Operation::TextCompletion,
        asked: request.model,
        reply: head.id().to_owned(),
        streams: request.delivery != Delivery::Whole,
    };
    let usage = UsageChunk::of(request.delivery);
    let mut reply = CompletionReply::new(head, usage, request.logprobs.is_some());
    let reads = plan.as_ref().is_some_and(Plan::reads_prompts);
    let prompts = tokenize(&served.engine, request.prompts, reads || request.echo).await?;
    let (prompts, texts): (Vec<_>, Vec<_>) = prompts.into_iter().unzip();
    if request.echo {
        reply = reply.echoing(texts.clone(), request.options.n);
    }
    let prompt_logprobs = request.logprobs.filter(|_| request.echo);
    let order = Order {
        prompts,
        texts: texts.into_iter().map(|text| vec![text]).collect(),
        plan,
        options: request.options,
        format: request.format,
        logprobs: Logprobs { generated: request.logprobs, prompt: prompt_logprobs },
        choice,
        subject,
    };
    Ok(Prepared { order, reply, delivery: request.delivery })
}

/// Each prompt's tokens, and its text if it is to be echoed or read. Control tokens may be spelled: a
/// plain completion is in full control of its prompt.
async fn tokenize(
    engine: &Arc<dyn Engine>,
    prompts: Vec<Prompt>,
    spelled: bool,
) -> Result<Vec<(Vec<u32>, String)>, ApiError> {
    let engine = Arc::clone(engine);
    let bytes = prompts.iter().map(prompt_bytes).sum();
    let pair = move |prompt| match prompt {
        Prompt::Text(text) => Ok((engine.tokenize(&text, ControlTokens::Parse)?, text)),
        Prompt::Tokens(tokens) if spelled => {
            let text = engine.detokenize(&tokens)?;
            Ok((tokens, text))
        }
        Prompt::Tokens(tokens) => Ok((tokens, String::new())),
    };
    let pairs = move || prompts.into_iter().map(pair).collect::<Result<_, TextError>>();
    read(bytes, pairs).await?.map_err(|error| ApiError::from(error).at("prompt"))
}

/// How much there is to read.
fn prompt_bytes(prompt: &Prompt) -> usize {
    match prompt {
        Prompt::Text(text) => text.len(),
        Prompt::Tokens(tokens) => size_of_val(tokens.as_slice()),
    }
}
