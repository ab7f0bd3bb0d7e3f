//! Structured output: only tokens that the grammar allows, by the `llguidance` crate.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::{Matcher, ParserFactory};
use model::Tokenizer;
use serde_json::json;
use toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};

use super::LogitsRule;
use crate::{EngineError, Grammar, SubmitError};

/// White space between JSON tokens: a space, or a line's end with its indentation. A model that
/// may write any amount can go on with it until its tokens are used up.
const WHITE_SPACE: &str = r"( |\n {0,16})?";

/// Turns grammars into rules for one vocabulary.
pub(crate) struct GrammarCompiler {
    factory: ParserFactory,
}

impl GrammarCompiler {
    /// A compiler for `tokenizer` over `vocabulary` logits.
    pub(crate) fn new(tokenizer: &Tokenizer, vocabulary: usize) -> Result<Self, String> {
        let size = u32::try_from(vocabulary).map_err(|e| e.to_string())?;
        let words: Vec<Vec<u8>> = (0..size).map(|id| word(tokenizer, id)).collect();
        let eos = tokenizer.eos().first().copied().unwrap_or(0);
        let trie = TokTrie::from(&TokRxInfo::new(size, eos), &words);
        let trie =
            if tokenizer.eos().is_empty() { trie } else { trie.with_eos_tokens(tokenizer.eos()) };
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&environment).map_err(|e| e.to_string())?;
        factory.quiet();
        Ok(Self { factory })
    }

    /// The rule for `grammar`; none if it allows everything.
    ///
    /// # Errors
    /// [`SubmitError::Grammar`] with the compiler's words if the grammar is not supported.
    pub(crate) fn compile(&self, grammar: &Grammar) -> Result<Option<GrammarRule>, SubmitError> {
        let mut schema = match grammar {
            Grammar::Free => return Ok(None),
            Grammar::JsonObject => json!({ "type": "object" }),
            Grammar::JsonSchema(schema) => schema.clone(),
        };
        if let Some(object) = schema.as_object_mut() {
            object.insert("x-guidance".into(), json!({ "whitespace_pattern": WHITE_SPACE }));
        }
        let parser = self.factory.create_parser(TopLevelGrammar::from_json_schema(schema));
        let parser = parser.map_err(|e| SubmitError::Grammar(e.to_string()))?;
        Ok(Some(GrammarRule { matcher: Matcher::new(Ok(parser)) }))
    }
}

/// The bytes of a token as the trie wants them: control tokens behind a marker byte that no text
/// has, so that a grammar never spells them.
fn word(tokenizer: &Tokenizer, id: u32) -> Vec<u8> {
    let bytes = tokenizer.bytes(id).unwrap_or_default();
    if tokenizer.is_control(id) {
        let mut marked = vec![TokTrie::SPECIAL_TOKEN_MARKER];
        marked.extend(bytes);
        return marked;
    }
    bytes.to_vec()
}

/// Masks what the grammar does not allow next.
pub(crate) struct GrammarRule {
    matcher: Matcher,
}

impl LogitsRule for GrammarRule {
    fn apply(&mut self, logits: &mut [f32], _: &[&[f32]]) -> Result<(), EngineError> {
        let mask =
            self.matcher.compute_mask_or_eos().map_err(|e| EngineError::Grammar(e.to_string()))?;
        for (id, logit) in logits.iter_mut().enumerate() {
            if id >= mask.len() || !mask.get(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), EngineError> {
        if self.matcher.is_stopped() {
            return Ok(());
        }
        self.matcher.consume_token(token).map_err(|e| EngineError::Grammar(e.to_string()))
    }
}
