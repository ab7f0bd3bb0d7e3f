//! What the labels of published classifiers mean here.

use std::collections::BTreeMap;

use super::EncoderError;
use crate::Category;

/// The category that a label stands for. Labels that are narrower than a category (threats,
/// insults) or that say that a text is harmless have none.
fn category(label: &str) -> Option<Category> {
    match label {
        "toxic" | "toxicity" | "toxic_speech" => Some(Category::Toxicity),
        "hate" | "hateful" | "hate_speech" | "hatespeech" | "identity_hate" | "identity_attack" => {
            Some(Category::Hate)
        }
        "obscene" | "obscenity" | "offensive" | "profane" | "profanity" => {
            Some(Category::Profanity)
        }
        "sexism" | "sexist" | "misogyny" => Some(Category::BiasGender),
        "racism" | "racist" => Some(Category::BiasRace),
        "homophobia" | "homophobic" | "transphobia" => Some(Category::BiasOrientation),
        other => Category::parse(other),
    }
}

/// The category of each output, in their order, from `id2label`.
///
/// # Errors
/// [`EncoderError::Labels`] if no label has a meaning here.
pub(super) fn categories(
    id2label: &BTreeMap<String, String>,
) -> Result<Vec<Option<Category>>, EncoderError> {
    let in_order: Option<Vec<&String>> =
        (0..id2label.len()).map(|id| id2label.get(&id.to_string())).collect();
    let labels = in_order
        .ok_or_else(|| EncoderError::Unsupported("an id2label that skips an output".into()))?;
    let written = |label: &str| label.trim().to_lowercase().replace([' ', '-'], "_");
    let categories: Vec<_> = labels.iter().map(|label| category(&written(label))).collect();
    if categories.iter().all(Option::is_none) {
        return Err(EncoderError::Labels(labels.into_iter().cloned().collect()));
    }
    Ok(categories)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[&str]) -> Result<Vec<Option<Category>>, EncoderError> {
        let pairs = labels.iter().enumerate();
        categories(&pairs.map(|(id, label)| (id.to_string(), (*label).to_owned())).collect())
    }

    #[test]
    fn the_labels_of_the_jigsaw_classifiers_have_their_meanings() {
        let labels = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"];
        let (toxicity, hate) = (Some(Category::Toxicity), Some(Category::Hate));
        let expected = [toxicity, None, Some(Category::Profanity), None, None, hate];
        assert_eq!(of(&labels).expect("known labels"), expected);
    }

    #[test]
    fn labels_are_compared_without_case_and_separators() {
        let both = of(&["Non Hate", "Hate-Speech"]).expect("a known label");
        assert_eq!(both, [None, Some(Category::Hate)]);
        assert_eq!(of(&["bias/race"]).expect("ours"), [Some(Category::BiasRace)]);
    }

    #[test]
    fn labels_without_any_meaning_are_listed() {
        let error = of(&["LABEL_0", "LABEL_1"]).expect_err("no meaning");
        assert_eq!(error.to_string(), "no label has a known meaning: LABEL_0, LABEL_1");
    }

    #[test]
    fn more_than_ten_labels_keep_their_numeric_order() {
        let mut labels = vec!["other"; 12];
        labels[10] = "toxic";
        assert_eq!(of(&labels).expect("a known label")[10], Some(Category::Toxicity));
    }
}
