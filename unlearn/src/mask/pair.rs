//! A text beside itself with another group named.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use model::{Control, Tokenizer, TokenizerError};

use super::alignment::{Aligned, align};
use super::{MaskError, Masked, phrase, tokens};
use crate::corpus::{Domain, Text};
use crate::random::Random;
use crate::swap::Exchange;

/// A text, and the same text said of another group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The text's tokens.
    pub tokens: Vec<u32>,
    /// The swapped text's tokens.
    pub swapped: Vec<u32>,
    /// Of each token of the text whether it is harmful; the first never is.
    pub mask: Vec<bool>,
    /// Tokens that say the same in both texts, from the first exchanged word on.
    pub aligned: Vec<Aligned>,
    /// Ids that stand for each other when these groups change places: their words that are single
    /// tokens, with a space in front or not and in every case. An id occurs once.
    pub exchanged: Vec<(u32, u32)>,
    /// Ids of all words of these groups that are single tokens, exchanged or not, each once.
    pub naming: Vec<u32>,
}

/// What two groups are called, in ids.
#[derive(Debug, Clone, Default)]
struct Names {
    exchanged: Vec<(u32, u32)>,
    naming: Vec<u32>,
}

/// Makes [`Pair`]s. It keeps the ids of groups that it has seen.
#[derive(Debug)]
pub struct Pairing<'a> {
    tokenizer: &'a Tokenizer,
    max_tokens: usize,
    names: HashMap<Exchange, Names>,
}

impl<'a> Pairing<'a> {
    /// Texts are cut to `max_tokens`.
    #[must_use]
    pub fn new(tokenizer: &'a Tokenizer, max_tokens: usize) -> Self {
        Self { tokenizer, max_tokens, names: HashMap::new() }
    }

    /// Puts a text beside itself with another group named; `None` if it names no group of the
    /// domain, or no token after that says the same in both.
    ///
    /// # Errors
    /// [`MaskError::Tokenizer`] if the tokenizer fails.
    pub fn pair(
        &mut self,
        domain: Domain,
        text: &Text,
        random: &mut Random,
    ) -> Result<Option<Pair>, MaskError> {
        let Some(exchange) = Exchange::draw(domain, &text.text, random) else { return Ok(None) };
        let swap = exchange.apply(&text.text);
        let names = match self.names.entry(exchange) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(names(self.tokenizer, &exchange)?),
        };
        let mut original = tokens(self.tokenizer, &text.text)?;
        let mut swapped = tokens(self.tokenizer, &swap.text)?;
        original.truncate(self.max_tokens);
        swapped.truncate(self.max_tokens);
        let aligned = align(&swap, &original, &swapped, &names.exchanged);
        if aligned.is_empty() {
            return Ok(None);
        }
        let masked = phrase(self.tokenizer, text, self.max_tokens)?;
        let swapped = swapped.into_iter().map(|(id, _)| id).collect();
        let Masked { tokens, mask } = masked;
        let Names { exchanged, naming } = names.clone();
        Ok(Some(Pair { tokens, swapped, mask, aligned, exchanged, naming }))
    }
}

/// The ids of the words that stand for each other when two groups change places.
fn names(tokenizer: &Tokenizer, exchange: &Exchange) -> Result<Names, TokenizerError> {
    let mut names = Names::default();
    let mut seen = HashSet::new();
    for (one, other) in exchange.words() {
        for space in ["", " "] {
            let one = single(tokenizer, &format!("{space}{one}"))?;
            let other = single(tokenizer, &format!("{space}{other}"))?;
            let both = one.zip(other).filter(|(one, other)| one != other);
            names.exchanged.extend(both.filter(|(a, b)| !seen.contains(a) && !seen.contains(b)));
            let new = one.into_iter().chain(other).filter(|id| seen.insert(*id));
            names.naming.extend(new);
        }
    }
    Ok(names)
}

/// The id of a word that is one token.
fn single(tokenizer: &Tokenizer, word: &str) -> Result<Option<u32>, TokenizerError> {
    let tokens = tokenizer.encode(word, Control::AsText)?;
    Ok(<[u32; 1]>::try_from(tokens).ok().map(|[id]| id))
}
