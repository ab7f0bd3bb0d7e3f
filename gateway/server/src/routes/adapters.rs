//! `/v1/adapters`: list, show, load, swap and unload.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, Query};
use adapters::{AdapterInfo, AdapterName, CatalogueError, Expected, Verification};
use gateway_wire::{Adapter, Deleted, ExpectedGeneration, List, LoadRequest};

use super::operation::{Parameters, SchemaOf, schema_of};
use crate::audit::Change;
use crate::body::JsonBody;
use crate::clock;
use crate::error::{ApiError, Code};
use crate::gateway::Gateway;
use crate::keys::{AdaptersRead, AdaptersWrite, Caller};

/// The query of a removal.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    expected_generation: Option<String>,
}

impl Parameters for Condition {
    const FIELDS: &'static [(&'static str, SchemaOf)] =
        &[("expected_generation", |_| schema_of(ExpectedGeneration::schema()))];
}

pub(super) async fn list(
    caller: Caller<AdaptersRead>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let adapters = gateway.served()?.catalogue.list();
    let seen = adapters.into_iter().filter(|adapter| caller.sees([adapter.name.as_str()]));
    let shown = seen.map(show).collect::<Result<_, _>>()?;
    Ok(HttpResponse::Ok().json(List::new(shown)))
}

pub(super) async fn get(
    caller: Caller<AdaptersRead>,
    gateway: Data<Gateway>,
    name: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let name = parse_known(&name)?;
    let adapter = gateway.served()?.catalogue.get(&name);
    let adapter = adapter.filter(|adapter| caller.sees([adapter.name.as_str()]));
    let adapter = adapter.ok_or(CatalogueError::Unknown(name))?;
    Ok(HttpResponse::Ok().json(show(adapter)?))
}

pub(super) async fn load(
    caller: Caller<AdaptersWrite>,
    gateway: Data<Gateway>,
    JsonBody(request): JsonBody<LoadRequest>,
) -> Result<HttpResponse, ApiError> {
    let adapter = load_adapter(&gateway, &caller, request, "name").await?;
    Ok(HttpResponse::Ok().json(show(adapter)?))
}

pub(super) async fn unload(
    caller: Caller<AdaptersWrite>,
    gateway: Data<Gateway>,
    name: Path<String>,
    condition: Query<Condition>,
) -> Result<HttpResponse, ApiError> {
    let expected = match &condition.expected_generation {
        None => ExpectedGeneration::Any,
        Some(text) => ExpectedGeneration::parse(text)?,
    };
    unload_adapter(&gateway, &caller, &name, &expected).await?;
    Ok(HttpResponse::Ok().json(Deleted { id: name.into_inner(), object: "adapter", deleted: true }))
}

/// Loads or swaps, off the worker. `param` is where the request has the name.
pub(super) async fn load_adapter(
    gateway: &Gateway,
    caller: &Caller<AdaptersWrite>,
    request: LoadRequest,
    param: &'static str,
) -> Result<AdapterInfo, ApiError> {
    let name = parse_new(gateway, &request.name, param)?;
    let expected = expected(&request.expected)?;
    let catalogue = Arc::clone(&gateway.served()?.catalogue);
    let before = catalogue.get(&name).map(|adapter| adapter.digest.to_string());
    let replaces = before.is_some();
    let record = caller.change();
    let started = clock::now();
    // What is done off the worker is done, and recorded, even if nobody waits for it any more.
    let load = move || {
        let loaded = catalogue.load(&name, &request.source, expected).map_err(ApiError::from);
        match &loaded {
            Ok(loaded) => {
                let change = if before.is_some() { Change::Swap } else { Change::Load };
                record.write(change, name.as_str(), before, Some(loaded.digest.to_string()));
            }
            Err(error) => record.refuse(error.code(), name.as_str(), before),
        }
        loaded
    };
    let result = web::block(load).await.map_err(ApiError::internal)?;
    gateway.count_load(result.as_ref().ok(), replaces, started.elapsed());
    result
}

/// Unloads, off the worker, since the change is written to disk.
pub(super) async fn unload_adapter(
    gateway: &Gateway,
    caller: &Caller<AdaptersWrite>,
    name: &str,
    condition: &ExpectedGeneration,
) -> Result<(), ApiError> {
    let name = parse_known(name)?;
    let expected = expected(condition)?;
    let catalogue = Arc::clone(&gateway.served()?.catalogue);
    let record = caller.change();
    let unload = move || {
        let before = catalogue.get(&name).map(|adapter| adapter.digest.to_string());
        let unloaded = catalogue.unload(&name, expected).map_err(ApiError::from);
        match &unloaded {
            Ok(_) => record.write(Change::Unload, name.as_str(), before, None),
            Err(error) => record.refuse(error.code(), name.as_str(), before),
        }
        unloaded.map(|_| ())
    };
    web::block(unload).await.map_err(ApiError::internal)?
}

/// A name that may be given to an adapter: no preset has it.
fn parse_new(gateway: &Gateway, name: &str, param: &'static str) -> Result<AdapterName, ApiError> {
    let invalid = |what: String| ApiError::new(Code::Invalid("invalid_value"), what).at(param);
    if gateway.served()?.presets.contains_key(name) {
        return Err(invalid(format!("'{name}' is the name of a preset")));
    }
    AdapterName::parse(name).map_err(|error| invalid(error.to_string()))
}

/// What can be no adapter's name is the name of no adapter.
fn parse_known(name: &str) -> Result<AdapterName, ApiError> {
    AdapterName::parse(name)
        .map_err(|_| ApiError::new(Code::AdapterNotFound, "there is no such adapter"))
}

fn expected(expected: &ExpectedGeneration) -> Result<Expected, ApiError> {
    Ok(match expected {
        ExpectedGeneration::Any => Expected::Any,
        ExpectedGeneration::Absent => Expected::Absent,
        ExpectedGeneration::Digest(digest) => {
            // The wire has checked the form.
            Expected::Generation(digest.parse().map_err(ApiError::internal)?)
        }
    })
}

fn show(info: AdapterInfo) -> Result<Adapter, ApiError> {
    let doubt = match &info.verification {
        Verification::Verified => None,
        Verification::Unverified { reason } => Some(reason.to_string()),
    };
    Ok(Adapter {
        name: info.name.to_string(),
        object: "adapter",
        kind: info.kind.as_str(),
        digest: info.digest.to_string(),
        source: info.source,
        rank: info.rank,
        bytes: info.resident_bytes,
        leases: info.leases,
        verified: doubt.is_none(),
        doubt,
        card: info.card.map(serde_json::to_value).transpose().map_err(ApiError::internal)?,
    })
}
