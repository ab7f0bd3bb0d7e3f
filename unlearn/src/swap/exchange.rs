//! Two groups that change places.

use std::collections::BTreeSet;

use super::Swap;
use super::pronoun::fits;
use super::spelling::{article, capitalised, in_case_of};
use super::table::{Mention, Table, tables, words};
use crate::corpus::Domain;
use crate::random::Random;

/// Two groups of a domain, each of which stands for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exchange {
    domain: Domain,
    table: usize,
    groups: [usize; 2],
}

impl Exchange {
    /// Finds the group that `text` names first, or the one that the domain is about, and draws
    /// another that has a word for each that is needed; rather one whose words leave no choice.
    /// `None` if the text names no group of the domain.
    #[must_use]
    pub fn draw(domain: Domain, text: &str, random: &mut Random) -> Option<Self> {
        let mut named: Vec<(usize, usize, usize)> = Vec::new();
        for (number, table) in tables(domain).iter().enumerate() {
            for mention in table.mentions(text) {
                let groups: BTreeSet<usize> = mention.entries.iter().map(|e| e.group).collect();
                let counts = |group: &usize| !table.is_about_first || *group == 0;
                let groups = groups.into_iter().filter(counts);
                named.extend(groups.map(|group| (mention.range.start, number, group)));
            }
        }
        named.sort_unstable();
        named.into_iter().find_map(|(_, number, group)| {
            let table = &tables(domain)[number];
            let others = candidates(table, group, &table.mentions(text));
            let other = (!others.is_empty()).then(|| *random.pick(&others))?;
            Some(Self { domain, table: number, groups: [group, other] })
        })
    }

    /// The text with the two groups exchanged. Without a word of theirs it is the same text.
    #[must_use]
    pub fn apply(&self, text: &str) -> Swap {
        let mut swap = Swap { text: String::with_capacity(text.len()), spans: Vec::new() };
        let words = words(text);
        let mut copied = 0;
        let mut replace = |range: std::ops::Range<usize>, by: &str| {
            swap.text.push_str(&text[copied..range.start]);
            let start = swap.text.len();
            swap.text.push_str(by);
            copied = range.end;
            swap.spans.push((range, start..start + by.len()));
        };
        for mention in self.table().mentions(text) {
            let Some(word) = self.counterpart(text, &mention) else { continue };
            let before = words.partition_point(|word| word.end <= mention.range.start);
            let before = before.checked_sub(1).map(|index| words[index].clone());
            let before = before.filter(|word| &text[word.end..mention.range.start] == " ");
            let right = before.and_then(|at| Some((at.clone(), article(&text[at], &word)?)));
            if let Some((before, right)) = right {
                replace(before, &right);
            }
            replace(mention.range, &word);
        }
        swap.text.push_str(&text[copied..]);
        swap
    }

    /// The words that stand for each other, as inside a sentence and in capitals; of a word that
    /// could stand for several the first.
    #[must_use]
    pub fn words(&self) -> Vec<(String, String)> {
        let table = self.table();
        let [one, other] = self.groups;
        let forms =
            (0..table.forms(one)).map(|form| (table.word(one, form), table.word(other, form)));
        let forms = forms.filter(|(a, b)| !a.is_empty() && !b.is_empty() && a != b);
        let cases = forms.flat_map(|(a, b)| {
            let as_is = (a.to_owned(), b.to_owned());
            let lower = (a.to_lowercase(), b.to_lowercase());
            let capital = (capitalised(a), capitalised(b));
            [as_is, lower, capital, (a.to_uppercase(), b.to_uppercase())]
        });
        cases.collect()
    }

    fn table(&self) -> &'static Table {
        &tables(self.domain)[self.table]
    }

    /// What stands in the place of a mention; `None` if it is of neither group.
    fn counterpart(&self, text: &str, mention: &Mention<'_>) -> Option<String> {
        let table = self.table();
        let [one, other] = self.groups;
        let (from, to) = match mention.forms(one).next() {
            Some(_) => (one, other),
            None => (other, one),
        };
        let usual = table.word(from, mention.forms(from).next()?);
        let mut counterparts = counterparts(table, mention, from, to);
        counterparts.sort_by_key(|word| u8::from(!fits(word, &text[mention.range.end..])));
        let original = &text[mention.range.clone()];
        let begins = begins_sentence(&text[..mention.range.start]);
        Some(in_case_of(original, usual, counterparts.first()?, begins))
    }
}

/// The groups that can take the place of `group`.
fn candidates(table: &Table, group: usize, mentions: &[Mention<'_>]) -> Vec<usize> {
    // How many words there are to choose from for the mention that has fewest or most.
    let choices = |other: usize| {
        let to_other = mentions.iter().filter(move |m| m.forms(group).next().is_some());
        let from_other = mentions.iter().filter(move |m| m.forms(other).next().is_some());
        let to_other = to_other.map(move |m| counterparts(table, m, group, other).len());
        let from_other = from_other.map(move |m| counterparts(table, m, other, group).len());
        to_other.chain(from_other).collect::<Vec<_>>()
    };
    let others = (0..table.groups()).filter(|other| *other != group);
    let possible: Vec<usize> = others.filter(|other| !choices(*other).contains(&0)).collect();
    let plain = possible.iter().copied().filter(|other| choices(*other).iter().all(|n| *n == 1));
    let plain: Vec<usize> = plain.collect();
    if plain.is_empty() { possible } else { plain }
}

/// The words of a group that can stand for a mention of another, in the order of forms.
fn counterparts(table: &Table, mention: &Mention<'_>, from: usize, to: usize) -> Vec<&'static str> {
    let mut words: Vec<&str> = Vec::new();
    for form in mention.forms(from) {
        let word = table.word(to, form);
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// Whether a sentence begins after `before`.
fn begins_sentence(before: &str) -> bool {
    let end =
        before.trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '.' | '!' | '?'));
    end.is_empty() || end.ends_with(['.', '!', '?'])
}
