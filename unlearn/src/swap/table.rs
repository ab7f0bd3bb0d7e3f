//! Which words name which groups.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use crate::corpus::{Domain, runs};

/// Sections of lines of words; `#` begins a remark.
const WORDS: &str = include_str!("groups.txt");

/// The tables of each domain, in the order of [`Domain::ALL`].
static TABLES: LazyLock<[Vec<Table>; 5]> = LazyLock::new(|| Domain::ALL.map(build));

/// The word that a group has for a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) group: usize,
    pub(super) form: usize,
}

/// Groups that can stand for each other.
#[derive(Debug)]
pub(super) struct Table {
    /// The words of each group by form; empty where it has none.
    groups: Vec<Vec<&'static str>>,
    /// Whether a text must name the first group: the one that the domain is about.
    pub(super) is_about_first: bool,
    /// What a word in lower case can be.
    entries: HashMap<String, Vec<Entry>>,
    /// Words that count only with a capital letter, in lower case.
    cased: HashSet<String>,
}

/// A word of a text that names a group.
#[derive(Debug)]
pub(super) struct Mention<'a> {
    /// Its bytes.
    pub(super) range: Range<usize>,
    /// What it can be.
    pub(super) entries: &'a [Entry],
}

impl Mention<'_> {
    /// The forms that it can be as a word of `group`.
    pub(super) fn forms(&self, group: usize) -> impl Iterator<Item = usize> {
        self.entries.iter().filter(move |entry| entry.group == group).map(|entry| entry.form)
    }
}

/// The tables of a domain.
pub(super) fn tables(domain: Domain) -> &'static [Table] {
    match domain {
        Domain::Gender => &TABLES[0],
        Domain::Race => &TABLES[1],
        Domain::ReligionJews => &TABLES[2],
        Domain::ReligionMuslims => &TABLES[3],
        Domain::Orientation => &TABLES[4],
    }
}

fn build(domain: Domain) -> Vec<Table> {
    match domain {
        Domain::Gender => vec![Table::new(transposed(&section("gender")), false)],
        Domain::Race => ["race_peoples", "race_continents", "race_nations"]
            .map(|name| Table::new(section(name), false))
            .into(),
        Domain::ReligionJews | Domain::ReligionMuslims => {
            let mut groups = section(domain.name());
            groups.extend(section("religions"));
            vec![Table::new(groups, true)]
        }
        Domain::Orientation => vec![Table::new(transposed(&section("orientation")), true)],
    }
}

/// The lines under a heading, each as its words.
fn section(name: &str) -> Vec<Vec<&'static str>> {
    let heading = format!("[{name}]");
    let lines = WORDS.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(',').map(str::trim).collect()).collect()
}

/// Lines of forms as lines of groups.
fn transposed(forms: &[Vec<&'static str>]) -> Vec<Vec<&'static str>> {
    let groups = forms.first().map_or(0, Vec::len);
    let of = |group: usize| forms.iter().filter_map(|form| form.get(group).copied()).collect();
    (0..groups).map(of).collect()
}

impl Table {
    fn new(groups: Vec<Vec<&'static str>>, is_about_first: bool) -> Self {
        let mut entries: HashMap<String, Vec<Entry>> = HashMap::new();
        for (group, words) in groups.iter().enumerate() {
            for (form, word) in words.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
                entries.entry(word.to_lowercase()).or_default().push(Entry { group, form });
            }
        }
        let cased = section("cased").concat().into_iter().map(str::to_lowercase).collect();
        Self { groups, is_about_first, entries, cased }
    }

    /// How many groups there are.
    pub(super) const fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The word of a group for a form; empty if it has none.
    pub(super) fn word(&self, group: usize, form: usize) -> &'static str {
        self.groups[group].get(form).copied().unwrap_or_default()
    }

    /// How many forms a group has.
    pub(super) fn forms(&self, group: usize) -> usize {
        self.groups[group].len()
    }

    /// The words of a text that name groups, in order. Of two that overlap the longer counts, so
    /// that South Africans are no Africans.
    pub(super) fn mentions(&self, text: &str) -> Vec<Mention<'_>> {
        let words = words(text);
        let mut mentions = Vec::new();
        let mut next = 0;
        while next < words.len() {
            let one = words[next].clone();
            let two = words.get(next + 1).filter(|word| &text[one.end..word.start] == " ");
            let two = two.and_then(|word| self.mention(text, one.start..word.end));
            next += 1 + usize::from(two.is_some());
            mentions.extend(two.or_else(|| self.mention(text, one)));
        }
        mentions
    }

    fn mention(&self, text: &str, range: Range<usize>) -> Option<Mention<'_>> {
        let word = text[range.clone()].to_lowercase();
        let entries = self.entries.get(&word)?;
        let is_capital = text[range.clone()].starts_with(char::is_uppercase);
        let counts = is_capital || !self.cased.contains(&word);
        counts.then_some(Mention { range, entries })
    }
}

/// Runs of letters and digits.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    runs(text, char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_file_has_a_word_for_each_form() {
        for domain in Domain::ALL {
            for table in tables(domain) {
                assert!(table.groups() >= 2, "{domain}");
                for group in 0..table.groups() {
                    assert_eq!(
                        table.forms(group),
                        table.forms(0),
                        "{domain} {}",
                        table.word(group, 0)
                    );
                    let words = (0..table.forms(group)).map(|form| table.word(group, form));
                    assert!(words.clone().any(|word| !word.is_empty()));
                    assert!(words.into_iter().all(|word| words_of(word) <= 2), "{domain}");
                }
            }
        }
        let nations = tables(Domain::Race)[2].groups();
        assert!(nations >= 60, "{nations}");
        let sections = WORDS.lines().filter(|line| line.starts_with('[')).count();
        assert_eq!(sections, 9, "each is read by name");
    }

    fn words_of(text: &str) -> usize {
        words(text).len()
    }

    #[test]
    fn only_whole_words_name_groups_and_the_longest_counts() {
        let table = &tables(Domain::Race)[2];
        let named = |text: &str| {
            let mentions = table.mentions(text);
            mentions.iter().map(|m| text[m.range.clone()].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(named("A german in Germany, not Germanic"), ["german", "Germany"]);
        assert_eq!(named("South  African, South African"), ["South African"]);
        assert_eq!(named("roast turkey from Turkey with polish"), ["Turkey"]);
        assert_eq!(named("\u{e9}German German\u{e9} Thai's"), ["Thai"]);
    }
}
