//! `POST /v1/chat/completions`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::Data;
use gateway_engine::{ChatMessage, Engine, Logprobs};
use gateway_wire::{ChatRequest, Delivery, Message};

use super::reading::read;
use super::{Prepared, respond};
use crate::body::JsonBody;
use crate::call::Call;
use crate::choice;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::generation::Order;
use crate::moderation::Plan;
use crate::replies::chat::ChatReply;
use crate::replies::{Head, UsageChunk};
use crate::trace::{Operation, Subject};

pub(super) async fn create(
    call: Call,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<ChatRequest>,
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
    request: ChatRequest,
) -> Result<Prepared<ChatReply>, ApiError> {
    let served = gateway.served()?;
    let choice = choice::resolve(gateway, served, &request.model, request.adapters, call)?;
    let plan =
        served.moderation.plan(request.moderation.as_ref(), &choice.label, call.note().trace())?;
    let head = Head::new("chatcmpl", &*served.engine, &choice, plan.as_ref());
    let subject = Subject {
        operation: Operation::Chat,
        asked: request.model,
        reply: head.id().to_owned(),
        streams: request.delivery != Delivery::Whole,
    };
    let reply = ChatReply {
        head,
        usage: UsageChunk::of(request.delivery),
        logprobs: request.logprobs.is_some(),
    };
    let content = |message: &Message| message.content.clone();
    let reads = plan.as_ref().is_some_and(Plan::reads_prompts);
    let texts = reads.then(|| request.messages.iter().map(content).collect());
    let order = Order {
        texts: texts.into_iter().collect(),
        prompts: vec![render(&served.engine, request.messages).await?],
        plan,
        options: request.options,
        format: request.format,
        logprobs: Logprobs { generated: request.logprobs, prompt: None },
        choice,
        subject,
    };
    Ok(Prepared { order, reply, delivery: request.delivery })
}

/// The conversation's tokens, by the model's own template.
pub(super) async fn render(
    engine: &Arc<dyn Engine>,
    messages: Vec<Message>,
) -> Result<Vec<u32>, ApiError> {
    let engine = Arc::clone(engine);
    let turn = |message: Message| ChatMessage {
        role: message.role.as_str().to_owned(),
        content: message.content,
    };
    let turns: Vec<_> = messages.into_iter().map(turn).collect();
    let bytes = turns.iter().map(|turn| turn.role.len() + turn.content.len()).sum();
    let tokens = read(bytes, move || engine.render_chat(&turns)).await?;
    tokens.map_err(|error| ApiError::from(error).at("messages"))
}
