//! The API's routes. A handler extracts, makes one call, and responds.

mod adapters;
mod chat;
mod completions;
mod llama;
mod models;
mod moderations;
mod ops;
mod reading;
mod tokens;
mod vllm;

use std::sync::Arc;

use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};
use gateway_engine::Permit;
use gateway_wire::{Delivery, selection, sse};

use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::gateway::Gateway;
use crate::generation::{Order, stream};
use crate::replies::Reply;

pub use ops::configure as configure_ops;

/// Enters all routes of the API.
pub fn configure(config: &mut ServiceConfig) {
    let post = web::post;
    let get = web::get;
    config
        .service(resource("/v1/chat/completions", [post().to(chat::create)]))
        .service(resource("/v1/completions", [post().to(completions::create)]))
        .service(resource("/v1/moderations", [post().to(moderations::create)]))
        .service(resource("/v1/models", [get().to(models::list)]))
        .service(resource("/v1/models/{model}", [get().to(models::get)]))
        .service(resource("/v1/adapters", [get().to(adapters::list), post().to(adapters::load)]))
        .service(resource(
            "/v1/adapters/{name}",
            [get().to(adapters::get), web::delete().to(adapters::unload)],
        ))
        .service(resource("/v1/load_lora_adapter", [post().to(vllm::load)]))
        .service(resource("/v1/unload_lora_adapter", [post().to(vllm::unload)]))
        .service(resource("/lora-adapters", [get().to(llama::list)]))
        .service(resource("/tokenize", [post().to(tokens::tokenize)]))
        .service(resource("/detokenize", [post().to(tokens::detokenize)]))
        .default_service(web::to(unknown_route));
}

/// A path with its methods; all others are refused.
fn resource<const N: usize>(path: &str, routes: [Route; N]) -> Resource {
    let resource = routes.into_iter().fold(web::resource(path), Resource::route);
    resource.default_service(web::to(wrong_method))
}

async fn unknown_route() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(Code::RouteNotFound, "there is nothing at this path"))
}

async fn wrong_method() -> Result<HttpResponse, ApiError> {
    Err(ApiError::new(Code::MethodNotAllowed, "this path does not take this method"))
}

/// What a completion handler has made of its request.
struct Prepared<R> {
    order: Order,
    reply: R,
    delivery: Delivery,
}

/// Generates, and answers in one piece or as a stream.
async fn respond<R: Reply>(
    gateway: &Arc<Gateway>,
    call: &Call,
    permit: Permit,
    prepared: Prepared<R>,
) -> Result<HttpResponse, ApiError> {
    let Prepared { order, mut reply, delivery } = prepared;
    let mut response = HttpResponse::Ok();
    response.insert_header((selection::HEADER, order.choice.header.as_str()));
    let mut run = order.start(gateway, gateway.served()?, call, permit).await?;
    if run.is_refused() {
        reply.withhold_prompts();
    }
    match delivery {
        Delivery::Whole => {
            let answers = run.collect(&call.client).await?;
            let body = reply.whole(answers, run.closing())?;
            Ok(response.content_type(ContentType::json()).body(body))
        }
        Delivery::Stream { .. } => {
            // Proxies shall neither keep nor hold back any of it.
            response
                .insert_header((header::CONTENT_TYPE, sse::CONTENT_TYPE))
                .insert_header((header::CACHE_CONTROL, "no-cache"))
                .insert_header(("x-accel-buffering", "no"));
            Ok(response.streaming(stream(run, reply, call, gateway)))
        }
    }
}
