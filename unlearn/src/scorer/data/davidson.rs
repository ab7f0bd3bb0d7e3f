//! Davidson et al., "Automated Hate Speech Detection and the Problem of Offensive Language", 2017:
//! tweets that at least three annotators called hateful, offensive or neither.

use std::path::Path;

use gateway_toxicity::{Category, Scores};
use serde::Deserialize;

use super::{Example, Source};
use crate::corpus::table::{self, Encoding};
use crate::corpus::{Part, cleaned};
use crate::evaluation::DataError;

const HATEFUL: u8 = 0;
const OFFENSIVE: u8 = 1;
const NEITHER: u8 = 2;

#[derive(Debug, Deserialize)]
struct Row {
    /// What most annotators said.
    class: u8,
    tweet: String,
}

pub(super) fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let rows: Vec<Row> = table::rows(&folder.join("davidson/labeled_data.csv"), Encoding::Utf8)?;
    Ok(rows.iter().map(example).collect())
}

fn example(row: &Row) -> Example {
    let truth = |is| f32::from(u8::from(is));
    let mut labels = Scores::from_iter([
        (Category::Toxicity, truth(row.class != NEITHER)),
        (Category::Hate, truth(row.class == HATEFUL)),
    ]);
    // The tweets were found by a word list; those called offensive are so for their words, and
    // hateful ones may or may not swear.
    match row.class {
        OFFENSIVE => labels.set(Category::Profanity, 1.0),
        NEITHER => labels.set(Category::Profanity, 0.0),
        _ => {}
    }
    let text = cleaned(&row.tweet);
    Example { source: Source::Davidson, part: Part::of(&text), text, labels }
}
