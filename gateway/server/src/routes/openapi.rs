//! `GET /openapi.json`: the API's own description, in
//! [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.0.html), made from the table of its operations.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use gateway_wire::ErrorBody;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::operation::{Operation, Parameter};
use crate::keys::{Any, Caller};

/// The security scheme's name.
const KEY: &str = "key";

/// Where the answer to all failed requests is described.
const ERROR: &str = "#/components/responses/Error";

const ABOUT: &str = "OpenAI's API, with adapters by request. Every reply has `x-request-id`. An API \
    key is needed if the server has any.";

/// The document's text.
pub(super) struct Document(String);

impl Document {
    /// That of these operations.
    pub(super) fn of(operations: &[Operation]) -> Self {
        Self(describe(operations).to_string())
    }
}

pub(super) async fn show(_: Caller<Any>, document: Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(document.0.clone())
}

/// The whole document.
pub(super) fn describe(operations: &[Operation]) -> Value {
    let mut generator = generator();
    let error = json!({"application/json": {"schema": generator.subschema_for::<ErrorBody>()}});
    let mut paths: BTreeMap<_, Map<_, _>> = BTreeMap::new();
    for operation in operations {
        let method = operation.method.as_str().to_lowercase();
        let described = show_operation(operation, &mut generator);
        paths.entry(operation.path).or_default().insert(method, described);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lethe",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": {"Error": {"description": "What went wrong.", "content": error}},
            "securitySchemes": {KEY: {"type": "http", "scheme": "bearer"}},
        },
    })
}

/// Of schemas of what is sent; those of requests are the same either way.
fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.meta_schema = None;
    settings.definitions_path = "/components/schemas".into();
    settings.into_generator()
}

fn show_operation(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    // No key at all, where none are asked for.
    let scopes = operation.scopes.iter().map(|scope| json!({KEY: [scope.as_str()]}));
    let security: Vec<_> = scopes.chain([json!({})]).collect();
    let parameters =
        operation.parameters.iter().map(|parameter| show_parameter(parameter, generator));
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security,
        "parameters": parameters.collect::<Vec<_>>(),
    });
    if let Some(body) = operation.body {
        let content = json!({"application/json": {"schema": body(generator)}});
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described["responses"] = responses(operation, generator);
    described
}

fn show_parameter(parameter: &Parameter, generator: &mut SchemaGenerator) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "schema": (parameter.schema)(generator),
    })
}

/// The good answer, and one for each status of the codes.
fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let content = operation
        .replies
        .iter()
        .map(|(media, schema)| ((*media).to_owned(), json!({"schema": schema(generator)})));
    let good = json!({"description": "Done.", "content": content.collect::<Map<_, _>>()});
    let mut responses = BTreeMap::from([("200".to_owned(), good)]);
    let mut codes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for code in &operation.codes {
        codes.entry(code.status().as_str().to_owned()).or_default().push(code.slug());
    }
    for (status, mut slugs) in codes {
        slugs.sort_unstable();
        slugs.dedup();
        let description = format!("`{}`", slugs.join("`, `"));
        responses.insert(status, json!({"$ref": ERROR, "description": description}));
    }
    json!(responses)
}
