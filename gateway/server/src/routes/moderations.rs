//! `POST /v1/moderations`: what the scorer says of texts by themselves.

use actix_web::HttpResponse;
use actix_web::web::Data;
use gateway_wire::{ModerationReply, ModerationRequest};

use crate::body::JsonBody;
use crate::call::Call;
use crate::chance;
use crate::error::ApiError;
use crate::gateway::Gateway;

pub(super) async fn create(
    call: Call,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<ModerationRequest>,
) -> Result<HttpResponse, ApiError> {
    gateway.count_ignored(&request.ignored);
    let _permit = gateway.admit()?;
    let moderation = &gateway.served()?.moderation;
    if let Some(model) = &request.model {
        moderation.check_model(model, "model")?;
    }
    let results = call.wait(gateway.limits.deadline, moderation.verdicts(&request.inputs)).await?;
    let id = format!("modr-{}", chance::id());
    let reply = ModerationReply { id, model: moderation.version(), results: results? };
    Ok(HttpResponse::Ok().json(reply))
}
