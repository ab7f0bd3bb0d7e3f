//! Tests of a language model's bias and quality, and of what adapters change.
//!
//! A test turns data into [`Questionnaire`]s, items with texts and which part of them counts. A
//! [`Reader`] says how likely a model finds those parts, which gives a [`Sheet`]: a row of numbers
//! for each item. A [`Metric`] sums up the rows, and because two models have rows of the same
//! items, what an adapter changes has a paired bootstrap interval ([`Sheet::compare`]).

mod battery;
mod bbq;
pub(crate) mod bootstrap;
mod chat;
mod continuations;
mod crows_pairs;
mod definitional;
mod file;
mod generation;
mod likelihood;
mod metric;
pub mod page;
pub mod perplexity;
mod question;
mod reader;
mod report;
mod scorer;
mod sheet;
mod sheet_file;
pub mod stereoset;
mod swapped;
mod test;
mod winobias;

pub use battery::{BatteryError, Exam, Source};
pub use bootstrap::Interval;
pub use chat::{Chat, ChatError};
pub use continuations::{Amount, Prompts, continuation_prompts};
pub(crate) use file::parse_lines;
pub use file::{DataError, read_bytes, read_text};
pub use generation::{Choice, Continuing, Generator};
pub use metric::Metric;
pub use question::{Counted, Item, Passage, Question, Questionnaire};
pub use reader::{Endpoint, EndpointError, LocalReader, ReadError, Reader, Reading};
pub use report::{AppliedAdapter, Comparison, Measurement, Report, Row, Table};
pub use scorer::{DenseScorer, PackedScorer, Predictor, ScoreError, Scorer, score_all};
pub use sheet::{Sheet, SheetError};
pub use sheet_file::{Examinee, SheetFile, SheetFileError};
pub use test::Test;
