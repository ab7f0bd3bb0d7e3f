//! The chat template: a conversation as the tokens that the model was trained on.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};

use crate::tokenizer::{Control, Tokenizer, TokenizerError};

/// A turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user`, `assistant`, ...
    pub role: String,
    /// What was said.
    pub content: String,
}

/// Why a conversation could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The model has no chat template.
    #[error("the model has no chat template")]
    Missing,
    /// The template is malformed or refuses the messages; its own words.
    #[error("{0}")]
    Refused(String),
    /// The rendered text could not be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles a template in the dialect of Hugging Face's `apply_chat_template`.
    ///
    /// # Errors
    /// [`TemplateError::Refused`] if it is malformed.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_syntax(syntax().map_err(|e| refused(&e))?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| refused(&e))?;
        Ok(Self { source: source.to_owned(), environment })
    }

    /// The template as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The conversation as text, ready for the assistant's turn.
    ///
    /// # Errors
    /// [`TemplateError::Refused`] if the template refuses the messages.
    pub fn render(
        &self,
        messages: &[Message],
        tokenizer: &Tokenizer,
    ) -> Result<String, TemplateError> {
        let text = |id: Option<u32>| id.map(|id| tokenizer.decode(&[id])).unwrap_or_default();
        let message =
            |m: &Message| context! { role => m.role.as_str(), content => m.content.as_str() };
        let messages: Vec<Value> = messages.iter().map(message).collect();
        let template = self.environment.get_template(NAME).map_err(|e| refused(&e))?;
        template
            .render(context! {
                messages,
                add_generation_prompt => true,
                bos_token => text(tokenizer.bos()),
                eos_token => text(tokenizer.eos().first().copied()),
            })
            .map_err(|e| refused(&e))
    }

    /// The conversation as token ids, ready for the assistant's turn.
    ///
    /// Control tokens come from the template alone. One that a message spells is marked before
    /// rendering, so that it is text when the rendered whole is cut at the control tokens.
    ///
    /// # Errors
    /// [`TemplateError`] if the template refuses the messages or the tokenizer fails.
    pub fn encode(
        &self,
        messages: &[Message],
        tokenizer: &Tokenizer,
    ) -> Result<Vec<u32>, TemplateError> {
        let mark = unused_mark(messages);
        let texts = tokenizer.control();
        let marked: Vec<Message> = messages
            .iter()
            .map(|m| Message {
                role: defuse(&m.role, texts, mark),
                content: defuse(&m.content, texts, mark),
            })
            .collect();
        let rendered = self.render(&marked, tokenizer)?;
        let mut ids = Vec::new();
        let mut rest = rendered.as_str();
        while let Some((at, (id, control))) = first_control(rest, texts) {
            ids.extend(tokenizer.encode(&rest[..at].replace(mark, ""), Control::AsText)?);
            ids.push(*id);
            rest = &rest[at + control.len()..];
        }
        ids.extend(tokenizer.encode(&rest.replace(mark, ""), Control::AsText)?);
        Ok(ids)
    }
}

/// A private-use character that no message has.
fn unused_mark(messages: &[Message]) -> char {
    let used = |c: char| messages.iter().any(|m| m.content.contains(c) || m.role.contains(c));
    // There are more such characters than a request can have messages with one each; should all be
    // used, the last one is dropped from the text.
    ('\u{f0000}'..='\u{ffffd}').find(|c| !used(*c)).unwrap_or('\u{ffffd}')
}

/// Puts `mark` inside every control token that `text` spells.
fn defuse(text: &str, control: &[(u32, String)], mark: char) -> String {
    let mut text = text.to_owned();
    for (_, token) in control {
        if let Some(first) = token.chars().next().filter(|_| text.contains(token.as_str())) {
            let (head, tail) = token.split_at(first.len_utf8());
            text = text.replace(token.as_str(), &format!("{head}{mark}{tail}"));
        }
    }
    text
}

/// The first control token in `text`, the longest where several begin.
fn first_control<'a>(
    text: &str,
    control: &'a [(u32, String)],
) -> Option<(usize, &'a (u32, String))> {
    control
        .iter()
        .filter_map(|token| Some((text.find(token.1.as_str())?, token)))
        .min_by_key(|(at, (_, token))| (*at, usize::MAX - token.len()))
}

/// The whitespace rules of `apply_chat_template`.
fn syntax() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
}

fn raise(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// The template's own words, without line numbers or a dump of its variables.
fn refused(error: &Error) -> TemplateError {
    TemplateError::Refused(error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}
