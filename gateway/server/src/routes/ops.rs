//! The routes of the operations listener: metrics and probes.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, Accept, Header as _, Quality};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder};
use gateway_engine::Status;
use prometheus::TextEncoder;

use crate::clock;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::keys::{Caller, Guarded, Metrics};
use crate::metrics::render_vllm;

const OPENMETRICS_TYPE: &str = "application/openmetrics-text";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
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

async fn metrics(
    _: Caller<Metrics>,
    gateway: Data<Gateway>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    gateway.refresh_metrics();
    let families = gateway.registry.gather();
    if prefers_openmetrics(&request) {
        let page = gateway.metrics.render_openmetrics(&families);
        return Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, OPENMETRICS))
            .body(page));
    }
    let page = TextEncoder::new().encode_to_string(&families);
    Ok(text(page.map_err(ApiError::internal)?))
}

/// Whether the client takes the one version of OpenMetrics that there is here, and likes it no less
/// than Prometheus' own format. Who takes anything gets the latter.
fn prefers_openmetrics(request: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(request) else { return false };
    let best = |kind: &str| {
        let known = accept.0.iter().filter(|item| {
            let version = item.item.get_param("version");
            let known = kind != OPENMETRICS_TYPE || version.is_none_or(|v| v == "1.0.0");
            item.item.essence_str() == kind && known
        });
        known.map(|item| item.quality).max().unwrap_or(Quality::ZERO)
    };
    let openmetrics = best(OPENMETRICS_TYPE);
    openmetrics > Quality::ZERO && openmetrics >= best("text/plain")
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
