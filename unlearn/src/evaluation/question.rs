//! Items of a test as texts, and which parts of them count.

use std::ops::Range;

use adapters::Digest;
use adapters::card::Word;

use super::{ReadError, Reader, Sheet, Test};

/// A text that a model is to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The text.
    pub passage: Passage,
    /// What is asked of it: one reading each.
    pub counted: Vec<Counted>,
    /// Tokens beyond these many are not read.
    pub limit: usize,
}

/// A text, or its tokens where only those say what is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Passage {
    /// A text, read without a token in front.
    Text(String),
    /// Tokens of the model's own tokenizer.
    Tokens(Vec<u32>),
}

/// Which tokens of a text count. The first never does: nothing is before it.
#[derive(Debug, Clone, PartialEq)]
pub enum Counted {
    /// The second and all later ones.
    All,
    /// Those that overlap one of these byte ranges; white space in front of a token is not part
    /// of it, and a token of white space never counts.
    Within(Vec<Range<usize>>),
}

impl Counted {
    /// One range of bytes.
    #[must_use]
    pub fn part(bytes: Range<usize>) -> Self {
        Self::Within(std::iter::once(bytes).collect())
    }
}

impl Question {
    /// A text of which all counts.
    #[must_use]
    pub fn whole(text: &str) -> Self {
        Self {
            passage: Passage::Text(text.to_owned()),
            counted: vec![Counted::All],
            limit: usize::MAX,
        }
    }

    /// `context` with `end` after it, of which only `end` counts.
    #[must_use]
    pub fn ending(context: &str, end: &str) -> Self {
        let text = format!("{context}{end}");
        let counted = Counted::part(context.len()..text.len());
        Self { passage: Passage::Text(text), counted: vec![counted], limit: usize::MAX }
    }
}

/// An item of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its group, such as its target term.
    pub group: u32,
    /// What is known of it whatever the model says; begins the item's row.
    pub facts: Vec<f64>,
    /// What is read; each of its readings adds a sum and a count to the item's row.
    pub questions: Vec<Question>,
}

impl Item {
    /// An item without group and facts.
    #[must_use]
    pub const fn plain(questions: Vec<Question>) -> Self {
        Self { group: 0, facts: Vec::new(), questions }
    }
}

/// One domain of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Questionnaire {
    /// The test.
    pub test: Test,
    /// The domain.
    pub domain: Word,
    /// Its items.
    pub items: Vec<Item>,
}

impl Questionnaire {
    /// What `reader` makes of it; `progress` is called with numbers of questions that were read.
    /// Items in which nothing counts, because of the limit, are left out.
    ///
    /// # Errors
    /// [`ReadError`] if the reader fails, or nothing is left.
    pub fn ask(
        &self,
        reader: &mut dyn Reader,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Sheet, ReadError> {
        let questions: Vec<&Question> = self.items.iter().flat_map(|i| &i.questions).collect();
        let mut readings = reader.read(&questions, progress)?.into_iter();
        let (mut groups, mut rows) = (Vec::new(), Vec::new());
        for item in &self.items {
            let own: Vec<_> = readings.by_ref().take(item.questions.len()).flatten().collect();
            if own.iter().any(|reading| reading.tokens == 0) {
                continue;
            }
            let numbers = own.iter().flat_map(|reading| reading.numbers());
            rows.push(item.facts.iter().copied().chain(numbers).collect());
            groups.push(item.group);
        }
        if rows.is_empty() {
            return Err(ReadError::Empty);
        }
        Ok(Sheet { test: self.test, domain: self.domain.clone(), key: self.key(), groups, rows })
    }

    /// How many questions it has.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.items.iter().map(|item| item.questions.len()).sum()
    }

    /// Digest of everything that is asked.
    #[must_use]
    pub fn key(&self) -> Digest {
        let parts: Vec<Vec<u8>> =
            self.items.iter().map(|item| format!("{item:?}").into()).collect();
        Digest::of(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}
