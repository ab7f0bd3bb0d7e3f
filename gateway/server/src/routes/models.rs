//! `GET /v1/models`: everything that `model` may name.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use gateway_wire::{List, Model};

use crate::error::{ApiError, Code};
use crate::gateway::{Gateway, Served};
use crate::keys::{Caller, Infer};

pub(super) async fn list(
    _: Caller<Infer>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Ok().json(List::new(models(gateway.served()?))))
}

pub(super) async fn get(
    _: Caller<Infer>,
    gateway: Data<Gateway>,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let model = models(gateway.served()?).into_iter().find(|model| model.id == *id);
    let unknown = || ApiError::new(Code::ModelNotFound, "there is no such model").at("model");
    Ok(HttpResponse::Ok().json(model.ok_or_else(unknown)?))
}

/// The base model, then presets, then adapters, each sorted by name.
fn models(served: &Served) -> Vec<Model> {
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
    let presets = served.presets.keys().cloned();
    let named = presets.chain(adapters.iter().map(|adapter| adapter.name.to_string()));
    let mut models = vec![model(base.name.clone(), None)];
    models.extend(named.map(|name| model(name, Some(base.name.clone()))));
    models
}
