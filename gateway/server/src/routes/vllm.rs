//! vLLM's routes for adapters, which answer in plain text.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use gateway_wire::{VllmLoadRequest, VllmUnloadRequest};

use super::adapters::{load_adapter, unload_adapter};
use crate::body::JsonBody;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::keys::{AdaptersWrite, Caller};

pub(super) async fn load(
    caller: Caller<AdaptersWrite>,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<VllmLoadRequest>,
) -> Result<HttpResponse, ApiError> {
    let adapter = load_adapter(&gateway, &caller, request.load, "lora_name").await?;
    Ok(success(&format!("Success: LoRA adapter '{}' added successfully.", adapter.name)))
}

pub(super) async fn unload(
    caller: Caller<AdaptersWrite>,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<VllmUnloadRequest>,
) -> Result<HttpResponse, ApiError> {
    let unloaded = unload_adapter(&gateway, &caller, &request.name, &request.expected).await;
    unloaded.map_err(|error| error.at("lora_name"))?;
    Ok(success(&format!("Success: LoRA adapter '{}' removed successfully.", request.name)))
}

fn success(text: &str) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::plaintext()).body(text.to_owned())
}
