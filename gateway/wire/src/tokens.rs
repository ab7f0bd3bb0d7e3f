//! `POST /tokenize` and `/detokenize`, in vLLM's shapes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::RequestError;
use crate::chat::{self, Message};
use crate::object::{Located, Object};
use crate::schema::{self, Unknown};

/// The most tokens that are turned into text at once.
const MAX_TOKENS: usize = 1 << 20;

/// What is to become tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizeRequest {
    /// The served model's name, if given.
    pub model: Option<String>,
    /// The text.
    pub input: TokenizeInput,
    /// Whether each token's text is wanted, too.
    pub strings: bool,
}

/// A plain text or a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizeInput {
    /// A text, in which control tokens may be spelled.
    Text(String),
    /// A conversation, which the chat template puts into text.
    Chat(Vec<Message>),
}

/// The tokens of a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TokenizeReply {
    /// How many.
    pub count: usize,
    /// Longest prompt plus answer, in tokens.
    pub max_model_len: usize,
    /// Their ids.
    pub tokens: Vec<u32>,
    /// Their texts, if asked for.
    pub token_strs: Option<Vec<String>>,
}

/// Token ids that are to become text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetokenizeRequest {
    /// The served model's name, if given.
    pub model: Option<String>,
    /// The ids.
    pub tokens: Vec<u32>,
}

/// The text of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DetokenizeReply {
    /// The text.
    pub prompt: String,
}

impl TokenizeRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let model = object.text("model")?;
        let input = match object.text("prompt")? {
            Some(_) if object.take("messages").is_some() => {
                return Err(RequestError::invalid("messages", "it cannot stand beside 'prompt'"));
            }
            Some(text) => TokenizeInput::Text(text),
            None => TokenizeInput::Chat(chat::take_messages(&mut object, &mut Vec::new())?),
        };
        let strings = object.flag("return_token_strs")?.unwrap_or(false);
        // Both are what is done anyway, in vLLM's defaults.
        for (name, default) in [("add_special_tokens", true), ("add_generation_prompt", true)] {
            if object.flag(name)?.is_some_and(|value| value != default) {
                return Err(RequestError::unsupported(name));
            }
        }
        object.refuse_remaining()?;
        Ok(Self { model, input, strings })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let always = || json!({"type": "boolean", "enum": [true]});
        let optional = vec![
            ("model", schema::text()),
            ("prompt", schema::about("The text.", schema::text())),
            ("messages", chat::messages_schema()),
            ("return_token_strs", schema::flag()),
            ("add_special_tokens", always()),
            ("add_generation_prompt", always()),
        ];
        let mut schema = schema::object(Vec::new(), optional, Unknown::Refused);
        schema["oneOf"] = json!([
            {"required": ["prompt"], "properties": {"prompt": {"type": "string"}}},
            {"required": ["messages"], "properties": {"messages": {"type": "array"}}},
        ]);
        schema
    }
}

impl DetokenizeRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] names the first parameter at fault.
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let mut object = Object::parse(body)?;
        let model = object.text("model")?;
        let tokens = object.list("tokens", MAX_TOKENS)?.ok_or_else(|| object.missing("tokens"))?;
        object.refuse_remaining()?;
        let tokens = tokens.into_iter().map(Located::into_token).collect::<Result<_, _>>()?;
        Ok(Self { model, tokens })
    }

    /// What [`Self::parse`] takes.
    pub(crate) fn schema() -> Value {
        let required = vec![("tokens", schema::list(schema::token(), 0, MAX_TOKENS))];
        schema::object(required, vec![("model", schema::text())], Unknown::Refused)
    }
}
