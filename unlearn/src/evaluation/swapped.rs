//! How much a stereotype's likelihood depends on which group is named.
//!
//! `StereoSet`: the margin of an item is the mean log-probability of its stereotype minus that of its
//! anti-stereotype; `gap` is the mean of (margin - margin with the group exchanged for another),
//! `abs_gap` that of its absolute value, in nats per token (best: 0). Items count whose three sentences
//! all name a group that can be exchanged.
//!
//! `RedditBias`: the same of the harmful phrase in a held-out comment, over the tokens that stand in
//! both versions, after the first exchanged word and none of them.

use std::ops::Range;
use std::path::Path;

use adapters::card::Word;

use super::metric::{Sums, ratio};
use super::reader::mean;
use super::{Counted, DataError, Item, Metric, Passage, Question, Questionnaire, Test, stereoset};
use crate::corpus::{self, Domain, Part, Text};
use crate::random::Random;
use crate::swap::{Exchange, Swap, swap};

/// Of the groups that are drawn.
const SEED: u64 = 0;
const TOKENS: usize = 64;

/// `gap` and `abs_gap` of margins. A row has four readings: stereotype and anti-stereotype as they
/// are, then with the group exchanged.
pub(super) const STEREOSET_METRICS: &[Metric] = &[
    Metric::pooled("gap", |row| value(margin_gap(row)), ratio),
    Metric::pooled("abs_gap", |row| value(margin_gap(row).abs()), ratio),
];

/// `gap` and `abs_gap` of a phrase. A row has two readings: as it is, and exchanged.
pub(super) const REDDITBIAS_METRICS: &[Metric] = &[
    Metric::pooled("gap", |row| value(mean(row, 0) - mean(row, 1)), ratio),
    Metric::pooled("abs_gap", |row| value((mean(row, 0) - mean(row, 1)).abs()), ratio),
];

fn margin_gap(row: &[f64]) -> f64 {
    (mean(row, 0) - mean(row, 1)) - (mean(row, 2) - mean(row, 3))
}

const fn value(value: f64) -> Sums {
    [value, 1.0, 0.0, 0.0]
}

/// The test on `StereoSet`'s items about gender, race and religion.
///
/// # Errors
/// [`DataError`] if no item can be exchanged.
pub(super) fn of_stereoset(
    items: &[stereoset::Item<String>],
) -> Result<Vec<Questionnaire>, DataError> {
    let domains =
        [(Domain::Gender, "gender"), (Domain::Race, "race"), (Domain::ReligionMuslims, "religion")];
    let questionnaire = |(domain, name): (Domain, &str)| {
        let own = items.iter().filter(|item| item.domain == name);
        let mut random = Random::new(SEED);
        let items = own.filter_map(|item| margins(domain, item, &mut random)).collect();
        Ok(Questionnaire {
            test: Test::StereosetSwapped,
            domain: Word::parse(domain.name())?,
            items,
        })
    };
    let mut all = domains
        .into_iter()
        .map(questionnaire)
        .collect::<Result<Vec<Questionnaire>, DataError>>()?;
    all.retain(|questionnaire| !questionnaire.items.is_empty());
    if all.is_empty() { Err(DataError::Empty) } else { Ok(all) }
}

/// The same exchange in all sentences of an item.
fn margins(domain: Domain, item: &stereoset::Item<String>, random: &mut Random) -> Option<Item> {
    let sentences = item.sentences();
    let exchange = Exchange::draw(domain, &sentences.map(String::as_str).join("\n"), random)?;
    let swapped = sentences.map(|text| exchange.apply(text));
    let all = swapped.iter().all(|swap| !swap.spans.is_empty());
    let texts = [sentences[0], sentences[1], &swapped[0].text, &swapped[1].text];
    all.then(|| Item::plain(texts.map(|text| Question::whole(text)).to_vec()))
}

/// The test on held-out biased comments of each domain.
///
/// # Errors
/// [`DataError`] if a table is missing or malformed.
pub(super) fn of_redditbias(data: &Path, part: Part) -> Result<Vec<Questionnaire>, DataError> {
    let questionnaire = |domain: Domain| {
        let texts = corpus::biased(data, domain, part)?;
        let mut random = Random::new(SEED);
        let items = texts.iter().filter_map(|text| phrase(domain, text, &mut random)).collect();
        let domain = Word::parse(domain.name())?;
        Ok(Questionnaire { test: Test::RedditbiasSwapped, domain, items })
    };
    Domain::ALL.into_iter().map(questionnaire).collect()
}

fn phrase(domain: Domain, text: &Text, random: &mut Random) -> Option<Item> {
    let swapped = swap(domain, &text.text, random)?;
    let (own, other) = text.harmful.iter().flat_map(|range| kept(range, &swapped)).unzip();
    let question = |text: &str, counted: Vec<Range<usize>>| Question {
        passage: Passage::Text(text.to_owned()),
        counted: vec![Counted::Within(counted)],
        limit: TOKENS,
    };
    Some(Item::plain(vec![question(&text.text, own), question(&swapped.text, other)]))
}

/// The parts of `range` between exchanged words and after the first, in the original text and in
/// the swapped one.
fn kept(range: &Range<usize>, swapped: &Swap) -> Vec<(Range<usize>, Range<usize>)> {
    let ends = swapped.spans.iter().skip(1).map(|(original, _)| original.start);
    let between = swapped.spans.iter().zip(ends.chain([usize::MAX]));
    let part = |((original, other), end): (&(Range<usize>, Range<usize>), usize)| {
        let (start, end) = (range.start.max(original.end), range.end.min(end));
        let moved = |at: usize| at - original.end + other.end;
        (start < end).then(|| (start..end, moved(start)..moved(end)))
    };
    between.filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_the_same_text_in_both_versions() {
        let (one, two) = ("Of old: hers and hers, as it is.", "Of old: his and his, as it is.");
        let swapped = Swap { text: two.into(), spans: vec![(8..12, 8..11), (17..21, 16..19)] };
        let parts = kept(&(3..one.len()), &swapped);
        let texts: Vec<(&str, &str)> = parts.into_iter().map(|(a, b)| (&one[a], &two[b])).collect();
        assert_eq!(texts, [(" and ", " and "), (", as it is.", ", as it is.")]);
        assert_eq!(kept(&(0..8), &swapped), []);
    }

    #[test]
    fn gaps_are_differences_of_margins() {
        // Sums and counts of stereotype, anti-stereotype, and both exchanged.
        let row = |d: f64| vec![-2.0, 2.0, -3.0, 2.0, -4.0 + d, 2.0, -4.0, 2.0];
        let rows = [row(0.0), row(2.0)];
        let value = |index: usize| STEREOSET_METRICS[index].over(&rows, &[0, 0]).value();
        assert!((value(0) - 0.0).abs() < 1e-12, "{}", value(0));
        assert!((value(1) - 0.5).abs() < 1e-12, "{}", value(1));
    }
}
