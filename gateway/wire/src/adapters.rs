//! Managing adapters: Lethe's own form, vLLM's, and llama.cpp's list.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::RequestError;
use crate::object::Object;
use crate::schema::{self, Unknown};

/// The longest path of a source, in bytes.
const MAX_SOURCE_BYTES: usize = 1_024;

/// What must hold for an alias at the moment of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedGeneration {
    /// Anything.
    Any,
    /// No adapter has the name.
    Absent,
    /// The name stands for this digest.
    Digest(String),
}

/// `POST /v1/adapters`: load an adapter, or swap what its name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRequest {
    /// The name that requests will use.
    pub name: String,
    /// Folder of the adapter, inside the adapter root.
    pub source: String,
    /// What the name must stand for now.
    pub expected: ExpectedGeneration,
}

/// vLLM's `POST /v1/load_lora_adapter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VllmLoadRequest {
    /// What to load. Without `load_inplace` the name must be absent.
    pub load: LoadRequest,
}

/// vLLM's `POST /v1/unload_lora_adapter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VllmUnloadRequest {
    /// The adapter's name.
    pub name: String,
    /// What the name must stand for now.
    pub expected: ExpectedGeneration,
}

/// An adapter as `/v1/adapters` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Adapter {
    /// What requests call it.
    pub name: String,
    /// `adapter`
    pub object: &'static str,
    /// What it does, such as `lora`.
    pub kind: &'static str,
    /// Identity of its content.
    pub digest: String,
    /// The folder inside the adapter folder that it was read from.
    pub source: String,
    /// Highest rank of its weights.
    pub rank: usize,
    /// What it holds in memory.
    pub bytes: u64,
    /// Requests that use it now.
    pub leases: usize,
    /// Whether it was made and measured on the very weights that are served.
    pub verified: bool,
    /// Why it is not verified.
    pub doubt: Option<String>,
    /// What was measured of it.
    pub card: Option<Value>,
}

/// The reply to a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deleted {
    /// What was removed.
    pub id: String,
    /// `adapter`
    pub object: &'static str,
    /// `true`
    pub deleted: bool,
}

/// An entry of llama.cpp's `GET /lora-adapters`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LlamaAdapter {
    /// Its place among the loaded adapters, sorted by name.
    pub id: usize,
    /// Its name; paths are not shown.
    pub path: String,
    /// The scale that a request gets which chooses nothing.
    pub scale: f32,
}

impl LoadRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let name = object.required_text("name")?;
        let source = take_source(&mut object, "source")?;
        let expected = take_expected(&mut object)?.unwrap_or(ExpectedGeneration::Any);
        object.refuse_remaining()?;
        Ok(Self { name, source, expected })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let required = vec![("name", schema::adapter_name()), ("source", source_schema())];
        let optional = vec![("expected_generation", ExpectedGeneration::schema())];
        schema::object(required, optional, Unknown::Refused)
    }
}

impl VllmLoadRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let name = object.required_text("lora_name")?;
        let source = take_source(&mut object, "lora_path")?;
        let in_place = object.flag("load_inplace")?.unwrap_or(false);
        let expected = take_expected(&mut object)?.unwrap_or(if in_place {
            ExpectedGeneration::Any
        } else {
            ExpectedGeneration::Absent
        });
        object.refuse_remaining()?;
        Ok(Self { load: LoadRequest { name, source, expected } })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let required = vec![("lora_name", schema::adapter_name()), ("lora_path", source_schema())];
        let optional = vec![
            ("load_inplace", schema::about("Whether the name may be taken.", schema::flag())),
            ("expected_generation", ExpectedGeneration::schema()),
        ];
        schema::object(required, optional, Unknown::Refused)
    }
}

impl VllmUnloadRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let name = object.required_text("lora_name")?;
        object.integer("lora_int_id", i64::MIN..=i64::MAX)?;
        let expected = take_expected(&mut object)?.unwrap_or(ExpectedGeneration::Any);
        object.refuse_remaining()?;
        Ok(Self { name, expected })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let optional = vec![
            ("lora_int_id", schema::integer(&(i64::MIN..=i64::MAX))),
            ("expected_generation", ExpectedGeneration::schema()),
        ];
        schema::object(vec![("lora_name", schema::text())], optional, Unknown::Refused)
    }
}

impl ExpectedGeneration {
    /// Reads `absent` or a digest such as `sha256:...`.
    ///
    /// # Errors
    /// [`RequestError`] if `text` is neither.
    pub fn parse(text: &str) -> Result<Self, RequestError> {
        if text == "absent" {
            return Ok(Self::Absent);
        }
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match text.strip_prefix("sha256:") {
            Some(digits) if digits.len() == 64 && digits.bytes().all(hex) => {
                Ok(Self::Digest(text.to_owned()))
            }
            Some(_) | None => Err(RequestError::invalid(
                "expected_generation",
                "it must be 'absent' or 'sha256:' and 64 hexadecimal digits",
            )),
        }
    }

    /// What [`Self::parse`] reads.
    #[must_use]
    pub fn schema() -> Value {
        let pattern = json!({"type": "string", "pattern": "^(absent|sha256:[0-9a-f]{64})$"});
        schema::about("What the name must stand for now: `absent`, or a digest.", pattern)
    }
}

fn take_source(object: &mut Object, name: &str) -> Result<String, RequestError> {
    let source = object.required_text(name)?;
    if source.is_empty() || source.len() > MAX_SOURCE_BYTES || source.contains(char::is_control) {
        let fault = "it must be the path of a folder inside the adapter folder";
        return Err(RequestError::invalid(object.path(name), fault));
    }
    Ok(source)
}

fn take_expected(object: &mut Object) -> Result<Option<ExpectedGeneration>, RequestError> {
    object.text("expected_generation")?.map(|text| ExpectedGeneration::parse(&text)).transpose()
}

fn source_schema() -> Value {
    let pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";
    let source = json!({"type": "string", "pattern": pattern, "maxLength": MAX_SOURCE_BYTES});
    schema::about("A folder inside the adapter folder.", source)
}
