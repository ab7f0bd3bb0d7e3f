//! llama.cpp's list of adapters. Its ids are places in the list, sorted by name, so they move when
//! adapters are loaded; a request that uses one in `lora` is resolved against the list of that
//! moment. Changing scales for everybody, as llama.cpp's `POST` does, is not offered.

use actix_web::HttpResponse;
use actix_web::web::Data;
use gateway_wire::LlamaAdapter;
use gateway_wire::selection::Mix;

use crate::choice;
use crate::error::ApiError;
use crate::gateway::Gateway;
use crate::keys::{AdaptersRead, Caller};

pub(super) async fn list(
    caller: Caller<AdaptersRead>,
    gateway: Data<Gateway>,
) -> Result<HttpResponse, ApiError> {
    let served = gateway.served()?;
    let mut default: Mix = choice::default_mix(&gateway, served)?;
    if let Some(rules) = caller.rules() {
        rules.raise(&mut default);
    }
    let scale = |name: &str| default.iter().find(|(n, _)| *n == name).map_or(0.0, |(_, s)| s);
    let entry = |(id, adapter): (usize, adapters::AdapterInfo)| LlamaAdapter {
        id,
        scale: scale(adapter.name.as_str()),
        path: adapter.name.to_string(),
    };
    let adapters = served.catalogue.list().into_iter().enumerate();
    // Ids are places in the whole list: they mean the same to all callers.
    let seen = adapters.filter(|(_, adapter)| caller.sees([adapter.name.as_str()]));
    let adapters: Vec<_> = seen.map(entry).collect();
    Ok(HttpResponse::Ok().json(adapters))
}
