//! What engines answer from a model's text side alone, and what they refuse before they compute.

use std::sync::Arc;

use adapters::{AdapterVector, Kind};
use model::{Config, Control, Message, TextSide};

use crate::{ChatMessage, ControlTokens, SubmitError, TextError};

/// The text side of a model whose embedding has `vocabulary` rows.
#[derive(Debug, Clone)]
pub struct ModelText {
    model: Arc<TextSide>,
    vocabulary: usize,
}

impl ModelText {
    /// The embedding may have more rows than the tokenizer has tokens: those have no text.
    #[must_use]
    pub const fn new(model: Arc<TextSide>, vocabulary: usize) -> Self {
        Self { model, vocabulary }
    }

    /// The model's.
    #[must_use]
    pub const fn side(&self) -> &Arc<TextSide> {
        &self.model
    }

    /// See [`Engine::tokenize`](crate::Engine::tokenize).
    ///
    /// # Errors
    /// As there.
    pub fn tokenize(&self, text: &str, control: ControlTokens) -> Result<Vec<u32>, TextError> {
        let control = match control {
            ControlTokens::AsText => Control::AsText,
            ControlTokens::Parse => Control::Parse,
        };
        let tokenizer = self.model.tokenizer();
        tokenizer.encode(text, control).map_err(|e| TextError::Tokenizer(e.to_string()))
    }

    /// See [`Engine::detokenize`](crate::Engine::detokenize).
    ///
    /// # Errors
    /// As there.
    pub fn detokenize(&self, tokens: &[u32]) -> Result<String, TextError> {
        let tokenizer = self.model.tokenizer();
        let unknown = tokens.iter().find(|t| **t as usize >= self.vocabulary);
        unknown.map_or_else(|| Ok(tokenizer.decode(tokens)), |t| Err(TextError::UnknownToken(*t)))
    }

    /// See [`Engine::token_bytes`](crate::Engine::token_bytes).
    ///
    /// # Errors
    /// As there.
    pub fn token_bytes(&self, token: u32) -> Result<Vec<u8>, TextError> {
        if token as usize >= self.vocabulary {
            return Err(TextError::UnknownToken(token));
        }
        Ok(self.model.tokenizer().bytes(token).unwrap_or_default().to_vec())
    }

    /// See [`Engine::render_chat`](crate::Engine::render_chat).
    ///
    /// # Errors
    /// As there.
    pub fn render_chat(&self, messages: &[ChatMessage]) -> Result<Vec<u32>, TextError> {
        let messages: Vec<Message> = messages
            .iter()
            .map(|m| Message { role: m.role.clone(), content: m.content.clone() })
            .collect();
        self.model
            .template()
            .and_then(|template| template.encode(&messages, self.model.tokenizer()))
            .map_err(|e| TextError::Template(e.to_string()))
    }

    /// Refuses a prompt that is empty or has an id outside the vocabulary.
    ///
    /// # Errors
    /// [`SubmitError::EmptyPrompt`] or [`SubmitError::UnknownToken`].
    pub fn check_prompt(&self, prompt: &[u32]) -> Result<(), SubmitError> {
        if prompt.is_empty() {
            return Err(SubmitError::EmptyPrompt);
        }
        match prompt.iter().find(|t| **t as usize >= self.vocabulary) {
            Some(token) => Err(SubmitError::UnknownToken(*token)),
            None => Ok(()),
        }
    }
}

/// Refuses adapters whose shapes do not fit a base of shape `config`. The catalogue checked them
/// against its base; this is the base that runs.
///
/// # Errors
/// [`SubmitError::Adapter`] for the first that does not fit.
pub fn check_adapters(adapters: &AdapterVector, config: &Config) -> Result<(), SubmitError> {
    for applied in adapters.entries() {
        let Kind::Lora(lora) = &applied.lease.adapter().kind;
        for (site, low_rank) in lora.sites() {
            let widths = (low_rank.factors.inputs(), low_rank.factors.outputs());
            if site.layer >= config.layers || widths != config.shape(site.projection) {
                return Err(SubmitError::Adapter {
                    name: applied.lease.name().to_string(),
                    reason: format!("its shape at {site} does not fit the model"),
                });
            }
        }
    }
    Ok(())
}
