//! `POST /v1/chat/completions`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use gateway_engine::{ChatMessage, Engine, Logprobs};
use gateway_wire::{ChatRequest, Message, RequestError};

use super::{Prepared, respond};
use crate::body::JsonBody;
use crate::call::Call;
use crate::choice;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::generation::Order;
use crate::replies::chat::ChatReply;
use crate::replies::{Head, UsageChunk};

pub(super) async fn create(
    gateway: Data<Gateway>,
    call: Call,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let gateway = gateway.into_inner();
    let request = ChatRequest::parse(&body.0)?;
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
    if request.moderation.is_some() {
        return Err(RequestError::unsupported("moderation").into());
    }
    let served = gateway.served()?;
    let choice = choice::resolve(gateway, served, &request.model, request.adapters, call)?;
    let reply = ChatReply {
        head: Head::new("chatcmpl", &*served.engine, &choice),
        usage: UsageChunk::of(request.delivery),
        logprobs: request.logprobs.is_some(),
    };
    let order = Order {
        prompts: vec![render(&served.engine, request.messages).await?],
        options: request.options,
        format: request.format,
        logprobs: Logprobs { generated: request.logprobs, prompt: None },
        choice,
    };
    Ok(Prepared { order, reply, delivery: request.delivery })
}

/// The conversation's tokens, by the model's own template, off the worker.
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
    let tokens = web::block(move || engine.render_chat(&turns)).await;
    tokens.map_err(ApiError::internal)?.map_err(|error| ApiError::from(error).at("messages"))
}
