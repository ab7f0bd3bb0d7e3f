//! From what a request says about its model and adapters to leased adapters.

use std::sync::Arc;

use adapters::{AdapterName, AdapterVector, Catalogue, CatalogueError, Lease};
use gateway_wire::selection::{Chosen, Directory, Mix, ModelChoice, Selection, SelectionError};
use gateway_wire::{Applied, AppliedAdapter};

use crate::call::Call;
use crate::error::{ApiError, Code};
use crate::gateway::{Gateway, Served};
use crate::keys::Rules;
use crate::settings::Presets;

/// The adapters that apply to a request.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// What the engine applies; the leases inside keep the adapters in memory.
    pub(crate) vector: AdapterVector,
    /// What the reply says of it.
    pub(crate) applied: Applied,
    /// What the reply's header says of it.
    pub(crate) header: String,
    /// What metrics call it.
    pub(crate) label: Arc<str>,
}

struct House<'a> {
    presets: &'a Presets,
    catalogue: &'a Catalogue,
}

impl Directory for House<'_> {
    fn preset(&self, name: &str) -> Option<&Selection> {
        self.presets.get(name)
    }

    fn adapter_at(&self, index: usize) -> Option<String> {
        self.catalogue.list().get(index).map(|adapter| adapter.name.to_string())
    }
}

/// Finds out which adapters a request chooses, and leases them.
///
/// # Errors
/// 404 if it names a model or an adapter that does not exist: never the base by silence. 403 if it
/// names an adapter that the caller may not choose.
pub(crate) fn resolve(
    gateway: &Gateway,
    served: &Served,
    model: &str,
    body: Option<Selection>,
    call: &Call,
) -> Result<Choice, ApiError> {
    let model = model_choice(served, model)?;
    let says_nothing =
        body.is_none() && call.header.is_none() && matches!(model, ModelChoice::Base);
    let chosen = Chosen::by(body, call.header.clone(), model, &gateway.policy.default);
    let house = House { presets: &served.presets, catalogue: &served.catalogue };
    let mut mix = chosen
        .selection
        .expand(&house, gateway.policy.bounds)
        .map_err(|error| selection_error(&error, chosen.param))?;
    if let Some(rules) = call.caller.rules() {
        // Who says nothing gets what the operator says, whatever else the key may choose.
        if !says_nothing {
            check_allowed(rules, &mix, &chosen)?;
        }
        check_required(rules, &served.catalogue)?;
        rules.raise(&mut mix);
    }
    let vector = lease(&mix, &served.catalogue, chosen.param)?;
    let label = gateway.sets.label(&vector.set_name());
    call.note().choose(&served.engine.model().name, &label);
    Ok(Choice { applied: applied(&vector), header: mix.header(), label, vector })
}

/// Whether the caller may choose all of `mix`.
fn check_allowed(rules: &Rules, mix: &Mix, chosen: &Chosen) -> Result<(), ApiError> {
    rules.forbidden(mix).map_or(Ok(()), |name| {
        // What is behind an id or in a preset is not told to who may not see it.
        let message = match chosen.selection.names().any(|named| named == name) {
            true => format!("this API key may not choose adapter '{name}'"),
            false => {
                "this API key may not choose one of the adapters that this stands for".to_owned()
            }
        };
        Err(ApiError::new(Code::AdapterNotAllowed, message).at(chosen.param))
    })
}

/// Whether all is there that applies to the caller's requests whatever they choose.
fn check_required(rules: &Rules, catalogue: &Catalogue) -> Result<(), ApiError> {
    rules.required().find(|name| !is_loaded(catalogue, name)).map_or(Ok(()), |name| {
        let message = format!("adapter '{name}', which this API key requires, is not loaded");
        Err(ApiError::new(Code::AdapterNotFound, message))
    })
}

/// What requests get that choose nothing.
///
/// # Errors
/// If the settings and the catalogue do not fit together.
pub(crate) fn default_mix(gateway: &Gateway, served: &Served) -> Result<Mix, ApiError> {
    let house = House { presets: &served.presets, catalogue: &served.catalogue };
    let mix = gateway.policy.default.expand(&house, gateway.policy.bounds);
    mix.map_err(|error| selection_error(&error, "model"))
}

/// Reads `model`.
///
/// # Errors
/// 404 if there is no such model, adapter or preset.
pub(crate) fn model_choice(served: &Served, model: &str) -> Result<ModelChoice, ApiError> {
    let choice = ModelChoice::parse(model, &served.engine.model().name)
        .map_err(|error| selection_error(&error, "model"))?;
    let known = match &choice {
        Some(ModelChoice::Alias(name)) => {
            served.presets.contains_key(name) || is_loaded(&served.catalogue, name)
        }
        Some(ModelChoice::Base | ModelChoice::Suffix(_)) => true,
        None => false,
    };
    choice.filter(|_| known).ok_or_else(|| {
        ApiError::new(Code::ModelNotFound, "there is no such model, adapter or preset").at("model")
    })
}

fn is_loaded(catalogue: &Catalogue, name: &str) -> bool {
    AdapterName::parse(name).is_ok_and(|name| catalogue.resolve(&name).is_ok())
}

/// Leases every adapter of `mix`, those at scale 0 included: what does not exist cannot be
/// switched off either.
fn lease(mix: &Mix, catalogue: &Catalogue, param: &str) -> Result<AdapterVector, ApiError> {
    let mut leases: Vec<(Lease, f32)> = Vec::new();
    for (name, scale) in mix.iter() {
        let lease = AdapterName::parse(name)
            .map_err(|_| adapter_not_found(name).at(param))
            .and_then(|name| Ok(catalogue.resolve(&name)?))
            .map_err(|error| error.at(param))?;
        leases.push((lease, scale));
    }
    AdapterVector::new(leases).map_err(ApiError::internal)
}

fn applied(vector: &AdapterVector) -> Applied {
    let adapters = vector.entries().iter().map(|entry| AppliedAdapter {
        name: entry.lease.name().to_string(),
        scale: entry.scale,
        digest: entry.lease.digest().to_string(),
    });
    Applied { adapters: adapters.collect(), scorer: None }
}

fn adapter_not_found(name: &str) -> ApiError {
    ApiError::new(Code::AdapterNotFound, format!("adapter '{name}' is not loaded"))
}

fn selection_error(error: &SelectionError, param: &str) -> ApiError {
    let code = match error {
        SelectionError::UnknownIndex(_) => Code::AdapterNotFound,
        SelectionError::Syntax(_)
        | SelectionError::TooMany
        | SelectionError::Twice(_)
        | SelectionError::Scale { .. } => Code::Invalid("invalid_value"),
    };
    ApiError::new(code, error.to_string()).at(param)
}

impl From<CatalogueError> for ApiError {
    fn from(error: CatalogueError) -> Self {
        let code = match &error {
            CatalogueError::Unknown(name) => return adapter_not_found(name.as_str()),
            CatalogueError::Reserved(_) => Code::Invalid("invalid_value"),
            CatalogueError::Conflict { .. } => Code::GenerationConflict,
            CatalogueError::TooMany { .. } | CatalogueError::Full { .. } => Code::AdapterLimit,
            CatalogueError::Adapter(_) => Code::AdapterRefused,
            CatalogueError::State(_) | CatalogueError::Root(_) => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}
