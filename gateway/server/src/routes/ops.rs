//! The routes of the operations listener: metrics and probes.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder};
use gateway_engine::Status;
use prometheus::TextEncoder;

use crate::clock;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::keys::{Caller, Guarded, Metrics};
use crate::metrics::render_vllm;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Enters all routes of the operations listener.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(guarded("/metrics", metrics))
        .service(guarded("/metrics/vllm", vllm))
        // Whoever probes has no key, and learns next to nothing.
        .service(web::resource("/livez").get(livez))
        .service(web::resource("/readyz").get(readyz))
        .service(web::resource("/startupz").get(startupz));
}

/// A path whose handler has the proof of its caller.
fn guarded<F, A>(path: &str, handler: F) -> Resource
where
    F: Handler<A>,
    F::Output: Responder + 'static,
    A: FromRequest + Guarded + 'static,
{
    web::resource(path).get(handler)
}

async fn metrics(_: Caller<Metrics>, gateway: Data<Gateway>) -> Result<HttpResponse, ApiError> {
    gateway.refresh_metrics();
    let page = TextEncoder::new().encode_to_string(&gateway.registry.gather());
    Ok(text(page.map_err(ApiError::internal)?))
}

async fn vllm(_: Caller<Metrics>, gateway: Data<Gateway>) -> Result<HttpResponse, ApiError> {
    let served = gateway.loaded();
    let status = served.map_or_else(Status::default, |served| served.engine.status());
    let page = render_vllm(&status, gateway.limits.adapters, clock::since_epoch().as_secs_f64());
    Ok(text(page.map_err(ApiError::internal)?))
}

fn text(page: String) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, TEXT_FORMAT)).body(page)
}

/// The process answers.
async fn livez() -> HttpResponse {
    probe(true)
}

/// Requests should be sent here.
async fn readyz(gateway: Data<Gateway>) -> HttpResponse {
    probe(gateway.is_ready())
}

/// The model is loaded.
async fn startupz(gateway: Data<Gateway>) -> HttpResponse {
    probe(gateway.loaded().is_some())
}

fn probe(good: bool) -> HttpResponse {
    let (status, word) = match good {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    };
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(word)
}
