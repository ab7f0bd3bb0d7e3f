//! Barikeri et al., "RedditBias", 2021: comments that mention a group, with or without a bias
//! against it. Rows that are not annotated, or not plainly, are left out.

use std::path::Path;

use gateway_toxicity::{Category, Scores};
use serde::Deserialize;

use super::{Example, Source, cleaned};
use crate::corpus::Part;
use crate::corpus::table::{self, Encoding};
use crate::evaluation::DataError;

const TABLES: [(&str, Encoding, Category); 5] = [
    ("gender", Encoding::Utf8, Category::BiasGender),
    ("race", Encoding::Utf8, Category::BiasRace),
    ("religion_jews", Encoding::Latin1, Category::BiasReligion),
    ("religion_muslims", Encoding::Utf8, Category::BiasReligion),
    ("orientation", Encoding::Utf8, Category::BiasOrientation),
];

#[derive(Debug, Deserialize)]
struct Row {
    comment: String,
    bias_sent: String,
}

pub(super) fn load(folder: &Path) -> Result<Vec<Example>, DataError> {
    let mut examples = Vec::new();
    for (name, encoding, category) in TABLES {
        let path = folder.join(format!("redditbias/{name}.csv"));
        let rows: Vec<Row> = table::rows(&path, encoding)?;
        examples.extend(rows.iter().filter_map(|row| example(row, category)));
    }
    Ok(examples)
}

fn example(row: &Row, category: Category) -> Option<Example> {
    let biased = match row.bias_sent.as_str() {
        "0" => 0.0,
        "1" => 1.0,
        _ => return None,
    };
    let mut labels: Scores = Category::BIASES.into_iter().map(|bias| (bias, 0.0)).collect();
    labels.set(category, biased);
    // A comment without bias does not attack the group; one with bias may or may not.
    if biased == 0.0 {
        labels.set(Category::Hate, 0.0);
    }
    let text = cleaned(&row.comment);
    Some(Example { source: Source::RedditBias, part: Part::of(&text), text, labels })
}
