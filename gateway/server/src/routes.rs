//! The API's routes. A handler extracts, makes one call, and responds.

mod adapters;
mod chat;
mod completions;
mod llama;
mod models;
mod moderations;
mod openapi;
mod operation;
mod ops;
mod reading;
mod table;
mod tokens;
mod vllm;

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;

use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, Data, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{HttpResponse, Resource};
use gateway_engine::Permit;
use gateway_wire::{Delivery, selection, sse};
use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::gateway::Gateway;
use crate::generation::{Order, stream};
use crate::replies::Reply;
use openapi::Document;
use operation::Operation;

pub use ops::configure as configure_ops;

/// Enters all routes of the API.
pub fn configure(config: &mut ServiceConfig) {
    let operations = table::operations();
    config.app_data(Data::new(Document::of(&operations)));
    let mut paths: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for operation in operations {
        paths.entry(operation.path).or_default().push(operation);
    }
    for (path, operations) in paths {
        config.service(resource(path, operations));
    }
    config
        .app_data(QueryConfig::default().error_handler(|_, _| unreadable_query().into()))
        .app_data(PathConfig::default().error_handler(|_, _| nothing_here().into()))
        .default_service(web::to(unknown_route));
}

/// The API's document.
pub(crate) fn document() -> Value {
    openapi::describe(&table::operations())
}

/// A path with its methods; all others are refused.
fn resource(path: &str, operations: Vec<Operation>) -> Resource {
    let methods: Vec<_> = operations.iter().map(|operation| operation.method.as_str()).collect();
    let methods = methods.join(", ");
    let routes = operations.into_iter().map(|operation| operation.route);
    routes
        .fold(web::resource(path), Resource::route)
        .default_service(web::to(move || ready(wrong_method(&methods))))
}

async fn unknown_route() -> Result<HttpResponse, ApiError> {
    Err(nothing_here())
}

fn nothing_here() -> ApiError {
    ApiError::new(Code::RouteNotFound, "there is nothing at this path")
}

fn unreadable_query() -> ApiError {
    ApiError::new(Code::Invalid("invalid_value"), "the query has an unknown or malformed parameter")
}

fn wrong_method(methods: &str) -> Result<HttpResponse, ApiError> {
    let error = ApiError::new(Code::MethodNotAllowed, "this path does not take this method");
    Err(error.allowing(methods))
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
            Ok(response.streaming(stream(run, reply, call, gateway).await?))
        }
    }
}
