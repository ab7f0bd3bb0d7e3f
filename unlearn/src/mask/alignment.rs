//! Which tokens of a text and of its swapped form say the same.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::overlap;
use crate::swap::Swap;

/// A token, and the token that stands for it in the swapped text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aligned {
    /// Its place in the original.
    pub original: usize,
    /// Its place in the swapped text.
    pub swapped: usize,
    /// Whether it is a group's word itself, exchanged for another.
    pub is_group: bool,
}

/// A token and the bytes that it stands for, without white space in front.
type Token = (u32, Range<usize>);

/// Pairs the tokens of a text, at or after its first exchanged word, with those that end at the same
/// place of the swapped text: equal ones, and ones of exchanged words whose ids stand for each other.
/// The first token of neither text is paired.
pub(super) fn align(
    swap: &Swap,
    original: &[Token],
    swapped: &[Token],
    exchanged: &[(u32, u32)],
) -> Vec<Aligned> {
    let exchanged: HashSet<(u32, u32)> =
        exchanged.iter().flat_map(|&(a, b)| [(a, b), (b, a)]).collect();
    let places = places(swapped);
    let mut aligned = Vec::new();
    for (index, (token, nth)) in original.iter().zip(ordinals(original)).enumerate() {
        let (id, bytes) = token;
        let Some(end) = moved(swap, bytes.end) else { continue };
        let Some(&other) = places.get(&(end, nth)) else { continue };
        let is_group = swap.spans.iter().any(|(from, _)| overlap(from, bytes));
        let (other_id, _) = swapped[other];
        let same = if is_group { exchanged.contains(&(*id, other_id)) } else { *id == other_id };
        if index > 0 && other > 0 && same {
            aligned.push(Aligned { original: index, swapped: other, is_group });
        }
    }
    aligned
}

/// Where a place at or after the end of the first exchanged word lies in the swapped text.
fn moved(swap: &Swap, at: usize) -> Option<usize> {
    swap.spans.first().filter(|(from, _)| from.end <= at).map(|_| swap.place(at))
}

/// Each token by where it ends, and by its number among those that end there: several tokens can be
/// parts of one character.
fn places(tokens: &[Token]) -> HashMap<(usize, usize), usize> {
    let ends = tokens.iter().zip(ordinals(tokens)).map(|((_, bytes), nth)| (bytes.end, nth));
    ends.zip(0..).collect()
}

/// The number of each token among those before it that end at the same place.
fn ordinals(tokens: &[Token]) -> Vec<usize> {
    let mut ordinals: Vec<usize> = Vec::with_capacity(tokens.len());
    for (index, (_, bytes)) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).filter(|before| tokens[*before].1.end == bytes.end);
        ordinals.push(before.map_or(0, |before| ordinals[before] + 1));
    }
    ordinals
}
