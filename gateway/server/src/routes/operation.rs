//! What the API can do, one method of one path at a time: who answers it, and what the API's
//! document says of it. Whatever a handler's arguments tell is taken from there, so that the
//! document cannot promise another body, key or parameter than the one that is asked for.

use actix_web::http::Method;
use actix_web::web::{self, Data, Path, Query};
use actix_web::{FromRequest, Handler, Responder, Route};
use gateway_wire::{Body, selection, sse};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::body::JsonBody;
use crate::call::Call;
use crate::error::{Code, INVALID_CODES};
use crate::keys::{Caller, Demand, Guarded, Scope};

/// Makes a schema, with what it refers to entered into the generator.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One method of one path.
pub(super) struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) route: Route,
    /// Its name in clients that are made from the document.
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// A key needs one of these, if keys are asked for.
    pub(super) scopes: &'static [Scope],
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<SchemaOf>,
    /// What a 200 can be: media types and their schemas.
    pub(super) replies: Vec<(&'static str, SchemaOf)>,
    /// How it can fail.
    pub(super) codes: Vec<Code>,
}

/// A parameter beside the body.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `path`, `query` or `header`.
    pub(super) place: &'static str,
    pub(super) schema: SchemaOf,
}

/// How any operation can fail.
const ALWAYS: [Code; 7] = [
    Code::InvalidApiKey,
    Code::InsufficientScope,
    Code::RequestsLimited,
    Code::Internal,
    Code::NotReady,
    Code::ShuttingDown,
    Code::AuditUnavailable,
];

impl Operation {
    /// An operation that `handler` answers, whose first argument proves that the caller may do this.
    pub(super) fn new<F, A>(method: Method, path: &'static str, handler: F) -> Self
    where
        F: Handler<A>,
        F::Output: Responder + 'static,
        A: FromRequest + Guarded + Arguments + 'static,
    {
        let mut operation = Self {
            route: web::method(method.clone()).to(handler),
            method,
            path,
            id: "",
            summary: "",
            scopes: A::SCOPES,
            parameters: Vec::new(),
            body: None,
            replies: Vec::new(),
            codes: ALWAYS.to_vec(),
        };
        A::describe(&mut operation);
        operation
    }

    /// Its name, and what it does in a sentence.
    pub(super) fn called(self, id: &'static str, summary: &'static str) -> Self {
        Self { id, summary, ..self }
    }

    /// It answers with JSON.
    pub(super) fn gives<T: JsonSchema>(self) -> Self {
        self.replies_with("application/json", SchemaGenerator::subschema_for::<T>)
    }

    /// It answers with events, if it was asked to.
    pub(super) fn streams<T: JsonSchema>(self) -> Self {
        self.replies_with(sse::CONTENT_TYPE, event::<T>)
    }

    /// It answers with plain text.
    pub(super) fn gives_text(self) -> Self {
        self.replies_with("text/plain", SchemaGenerator::subschema_for::<String>)
    }

    fn replies_with(mut self, media: &'static str, schema: SchemaOf) -> Self {
        self.replies.push((media, schema));
        self
    }

    /// It can fail in these ways, too.
    pub(super) fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend(codes);
        self
    }

    fn takes_parameter(&mut self, name: &'static str, place: &'static str, schema: SchemaOf) {
        self.parameters.push(Parameter { name, place, schema });
    }
}

/// What an argument of a handler says of the operation.
pub(super) trait Argument {
    /// Enters it.
    fn describe(operation: &mut Operation);
}

impl<T> Argument for Data<T> {
    fn describe(_: &mut Operation) {}
}

impl<D: Demand> Argument for Caller<D> {
    fn describe(_: &mut Operation) {}
}

impl Argument for Call {
    fn describe(operation: &mut Operation) {
        let schema: SchemaOf = |_| schema_of(selection::header_schema());
        operation.takes_parameter(selection::HEADER, "header", schema);
    }
}

impl<T: Body> Argument for JsonBody<T> {
    fn describe(operation: &mut Operation) {
        operation.body = Some(SchemaGenerator::subschema_for::<T>);
        operation.codes.extend(INVALID_CODES.map(|(slug, _)| Code::Invalid(slug)));
        operation.codes.extend([Code::BodyTimeout, Code::BodyTooLarge, Code::UnsupportedMediaType]);
    }
}

/// The path's only parameter.
impl Argument for Path<String> {
    fn describe(operation: &mut Operation) {
        let name = operation.path.split(['{', '}']).nth(1).unwrap_or_default();
        operation.takes_parameter(name, "path", |_| json_schema!({"type": "string"}));
    }
}

/// Of an event whose data is a `T`, or `[DONE]` at the end.
fn event<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let chunk = generator.subschema_for::<T>();
    let chunk = json!({"contentMediaType": "application/json", "contentSchema": chunk});
    json_schema!({
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "string", "anyOf": [chunk, {"const": "[DONE]"}]}},
    })
}

/// What is a JSON object.
pub(super) fn schema_of(object: Value) -> Schema {
    Schema::try_from(object).unwrap_or_default()
}

/// A query that describes itself.
pub(super) trait Parameters {
    const FIELDS: &'static [(&'static str, SchemaOf)];
}

impl<T: Parameters> Argument for Query<T> {
    fn describe(operation: &mut Operation) {
        for (name, schema) in T::FIELDS {
            operation.takes_parameter(name, "query", *schema);
        }
        operation.codes.push(Code::Invalid("invalid_value"));
    }
}

/// All arguments of a handler.
pub(super) trait Arguments {
    fn describe(operation: &mut Operation);
}

macro_rules! arguments {
    ($($Argument:ident),+) => {
        impl<$($Argument: Argument),+> Arguments for ($($Argument,)+) {
            fn describe(operation: &mut Operation) {
                $($Argument::describe(operation);)+
            }
        }
    };
}

arguments!(A);
arguments!(A, B);
arguments!(A, B, C);
arguments!(A, B, C, D);
