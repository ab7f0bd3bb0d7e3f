//! `GET /v1/models`: everything that the caller's `model` may name.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use gateway_wire::{List, Model};

use crate::error::{ApiError, Code};
use crate::gateway::{Gateway, Served};
use crate::keys::{Caller, Infer};

pub(super) async fn list(
    caller: Caller<Infer>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(List::new(models(gateway.served()?, &caller))))
}

pub(super) async fn get(
    caller: Caller<Infer>,
    gateway: Data<Gateway>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let mut models = models(gateway.served()?, &caller).into_iter();
    let model = models.find(|model| model.id == *id);
    let unknown = || ApiError::new(Code::ModelNotFound, "there is no such model").at("model");
    Ok(HttpResponse::Ok().json(model.ok_or_else(unknown)?))
}

/// The base model, then presets, then adapters that the caller may choose, each sorted by name.
fn models(served: &Served, caller: &Caller<Infer>) -> Vec<Model> {
    let base = served.engine.model();
    let model = |id: String, parent: Option<String>| Model {
        id,
        object: "model",
        created: served.since,
        owned_by: "lethe",
        parent,
        max_model_len: base.context_tokens,
    };
    let adapters = served.catalogue.list();
    let adapters = adapters.iter().map(|adapter| adapter.name.as_str());
    let adapters = adapters.filter(|name| caller.sees([*name]));
    let presets = served.presets.iter().filter(|(_, preset)| caller.sees(preset.names()));
    let named = presets.map(|(name, _)| name.as_str()).chain(adapters).map(str::to_owned);
    let mut models = vec![model(base.name.clone(), None)];
    models.extend(named.map(|name| model(name, Some(base.name.clone()))));
    models
}
