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
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route};
use gateway_engine::Permit;
use gateway_wire::{Delivery, selection, sse};

use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::gateway::Gateway;
use crate::generation::{Order, stream};
use crate::keys::Guarded;
use crate::replies::Reply;

pub use ops::configure as configure_ops;

/// Enters all routes of the API.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/v1/chat/completions", [guarded(web::post(), chat::create)]))
        .service(resource("/v1/completions", [guarded(web::post(), completions::create)]))
        .service(resource("/v1/moderations", [guarded(web::post(), moderations::create)]))
        .service(resource("/v1/models", [guarded(web::get(), models::list)]))
        .service(resource("/v1/models/{model}", [guarded(web::get(), models::get)]))
        .service(resource(
            "/v1/adapters",
            [guarded(web::get(), adapters::list), guarded(web::post(), adapters::load)],
        ))
        .service(resource(
            "/v1/adapters/{name}",
            [guarded(web::get(), adapters::get), guarded(web::delete(), adapters::unload)],
        ))
        .service(resource("/v1/load_lora_adapter", [guarded(web::post(), vllm::load)]))
        .service(resource("/v1/unload_lora_adapter", [guarded(web::post(), vllm::unload)]))
        .service(resource("/lora-adapters", [guarded(web::get(), llama::list)]))
        .service(resource("/tokenize", [guarded(web::post(), tokens::tokenize)]))
        .service(resource("/detokenize", [guarded(web::post(), tokens::detokenize)]))
        .default_service(web::to(unknown_route));
}

/// What [`guarded`] makes.
struct GuardedRoute(Route);

/// A route to a handler whose first argument proves that the caller may do this. There is no
/// other way to enter one here.
fn guarded<F, Arguments>(route: Route, handler: F) -> GuardedRoute
where
    F: Handler<Arguments>,
    F::Output: Responder + 'static,
    Arguments: FromRequest + Guarded + 'static,
{
    GuardedRoute(route.to(handler))
}

/// A path with its methods; all others are refused.
fn resource<const N: usize>(path: &str, routes: [GuardedRoute; N]) -> Resource {
    let routes = routes.into_iter().map(|route| route.0);
    let resource = routes.fold(web::resource(path), Resource::route);
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
