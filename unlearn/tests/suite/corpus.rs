//! The corpus: data sets in their own layouts become texts with harmful parts.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use unlearn::corpus::{Domain, Part, Text, biased, split_digest, toxic_spans, unbiased};
use unlearn::evaluation::DataError;

const PARTS: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A table in the layout of the gender part. The odd words are invented.
fn gender(rows: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let table = "attribute_in_window,comment,phrase,bias_sent,bias_phrase,\n".to_owned() + rows;
    write(folder.path(), "redditbias/gender.csv", table.as_bytes());
    folder
}

fn all(read: impl Fn(Part) -> Result<Vec<Text>, DataError>) -> Vec<Text> {
    PARTS.into_iter().flat_map(|part| read(part).unwrap()).collect()
}

#[test]
fn a_biased_comment_comes_with_its_phrase_and_an_odd_row_not_at_all() {
    let rows = "x,\" caf\u{e9}  women are\n WARKS here \",Women are warks,1,1,\n\
                x,women sing,,0,0,\n\
                x,women are warks there,they are warks,1,1,\n\
                x,women wark,ark,1,1,\n\
                x,women dance,women dance,1,0,\n\
                x,women swim,women swim,0,1,\n\
                x,women walk,women walk,1,,\n\
                x,women run,women run,2,2,\n\
                x,women fly,women fly,1 (in jest),1,\n";
    let folder = gender(rows);
    let texts = all(|part| biased(folder.path(), Domain::Gender, part));
    assert_eq!(texts.len(), 1, "a phrase that is missing or short says nothing");
    assert_eq!(texts[0].text, "caf\u{e9} women are WARKS here");
    assert_eq!(&texts[0].text[texts[0].harmful[0].clone()], "women are WARKS");
    let texts = all(|part| unbiased(folder.path(), Domain::Gender, part));
    assert_eq!(texts, [Text { text: "women sing".to_owned(), harmful: Vec::new() }]);
}

#[test]
fn near_copies_are_dropped_and_no_text_is_in_two_parts() {
    let row = |n: usize| format!("x,\"women are warks, number {n}\",are warks,1,1,\n");
    let copy = |n: usize| format!("x,Women are WARKS number {n}!,are warks,1,1,\n");
    let rows: String = (0..200).map(|n| row(n) + &copy(n)).collect();
    let folder = gender(&rows);
    let mut seen = HashSet::new();
    for part in PARTS {
        let texts = biased(folder.path(), Domain::Gender, part).unwrap();
        assert!(texts.len() >= 5, "{} has {}", part.name(), texts.len());
        assert!(texts.into_iter().all(|text| seen.insert(text.text)));
    }
    assert_eq!(seen.len(), 200);
}

#[test]
fn the_split_has_a_digest_that_changes_with_its_rows() {
    let digest = |rows: &str| split_digest(gender(rows).path(), &[Domain::Gender]).unwrap();
    let (one, two) = ("x,women sing,,0,0,\n", "x,women dance,,0,0,\n");
    assert_eq!(digest(one), digest("y,Women sing!,,0,0,\n"), "near copies are the same text");
    assert_ne!(digest(one), digest(two));
    assert_ne!(digest(&format!("{one}{two}")), digest(&format!("{two}{one}")));
    let folder = gender(one);
    let twice = split_digest(folder.path(), &[Domain::Gender, Domain::Gender]).unwrap();
    assert_ne!(digest(one), twice);
    let missing = split_digest(folder.path(), &[Domain::Race]).unwrap_err().to_string();
    assert!(missing.contains("race.csv") && !missing.contains(&*folder.path().to_string_lossy()));
}

#[test]
fn spans_are_those_of_their_part_and_later_posts_are_never_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let table = |rows: &str| "spans,text\n".to_owned() + rows;
    let train = "\"[0, 1, 2, 3]\",wark one\n[],fine\n[0],shared\n\"[0, 1]\",Wark: one\n";
    write(folder.path(), "toxic_spans/tsd_train.csv", table(train).as_bytes());
    write(folder.path(), "toxic_spans/tsd_trial.csv", table("[0],two\n").as_bytes());
    write(folder.path(), "toxic_spans/tsd_test.csv", table("[0],Shared!\n").as_bytes());
    let train = toxic_spans(folder.path(), Part::Train).unwrap();
    let harmful = std::iter::once(0..4).collect();
    assert_eq!(train, [Text { text: "wark one".to_owned(), harmful }]);
    assert_eq!(toxic_spans(folder.path(), Part::Test).unwrap()[0].text, "Shared!");
    write(folder.path(), "toxic_spans/tsd_trial.csv", table("[0],two\n[9],secret\n").as_bytes());
    let error = toxic_spans(folder.path(), Part::Valid).unwrap_err();
    assert!(matches!(error, DataError::Line { line: 3, .. }), "{error}");
}
