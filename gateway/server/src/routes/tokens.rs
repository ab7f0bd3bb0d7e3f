//! `POST /tokenize` and `POST /detokenize`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data};
use gateway_engine::{ControlTokens, Engine, TextError};
use gateway_wire::{
    DetokenizeReply, DetokenizeRequest, TokenizeInput, TokenizeReply, TokenizeRequest,
};

use super::chat::render;
use crate::body::JsonBody;
use crate::choice::model_choice;
use crate::error::ApiError;
use crate::gateway::{Gateway, Served};
use crate::keys::{Caller, Infer};

pub(super) async fn tokenize(
    _: Caller<Infer>,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<TokenizeRequest>,
) -> Result<HttpResponse, ApiError> {
    let served = serving(&gateway, request.model.as_deref())?;
    let tokens = match request.input {
        TokenizeInput::Text(text) => {
            let tokenize = move |engine: &dyn Engine| engine.tokenize(&text, ControlTokens::Parse);
            off_worker(served, tokenize).await?
        }
        TokenizeInput::Chat(messages) => render(&served.engine, messages).await?,
    };
    let token_strs = request.strings.then(|| spell(&*served.engine, &tokens)).transpose()?;
    let max_model_len = served.engine.model().context_tokens;
    let reply = TokenizeReply { count: tokens.len(), max_model_len, tokens, token_strs };
    Ok(HttpResponse::Ok().json(reply))
}

pub(super) async fn detokenize(
    _: Caller<Infer>,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<DetokenizeRequest>,
) -> Result<HttpResponse, ApiError> {
    let served = serving(&gateway, request.model.as_deref())?;
    let detokenize = move |engine: &dyn Engine| engine.detokenize(&request.tokens);
    let prompt = off_worker(served, detokenize).await.map_err(|error| error.at("tokens"))?;
    Ok(HttpResponse::Ok().json(DetokenizeReply { prompt }))
}

/// What is served, if `model` is part of it.
fn serving<'a>(gateway: &'a Gateway, model: Option<&str>) -> Result<&'a Served, ApiError> {
    let served = gateway.served()?;
    if let Some(model) = model {
        model_choice(served, model)?;
    }
    Ok(served)
}

async fn off_worker<T: Send + 'static>(
    served: &Served,
    work: impl FnOnce(&dyn Engine) -> Result<T, TextError> + Send + 'static,
) -> Result<T, ApiError> {
    let engine = Arc::clone(&served.engine);
    Ok(web::block(move || work(&*engine)).await.map_err(ApiError::internal)??)
}

fn spell(engine: &dyn Engine, tokens: &[u32]) -> Result<Vec<String>, TextError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    tokens.iter().map(|token| engine.token_bytes(*token).map(text)).collect()
}
