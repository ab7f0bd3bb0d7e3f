//! Scorers: data sets are read, and a scorer's card says what it does on them.

use std::fs;
use std::path::Path;

use gateway_toxicity::{Category, Scores};
use unlearn::corpus::Part;
use unlearn::evaluation::DataError;
use unlearn::scorer::data::{self, Source};
use unlearn::scorer::evaluation::{Card, Judge, JudgeError, Tests};

/// A folder with a few rows of each set, in the sets' own layouts. The odd words are invented.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut tweets = ",count,hate_speech,offensive_language,neither,class,tweet\n".to_owned();
    for n in 0..120 {
        let (class, word) = [(0, "wark"), (1, "grimble"), (2, "moon")][n % 3];
        tweets.push_str(&format!("{n},3,0,0,0,{class},\"RT @x: the {word}, number {n}\"\n"));
    }
    write("davidson/labeled_data.csv", tweets.as_bytes());
    let table = "id,comment,phrase,bias_sent,bias_phrase\n1,they are warks,,1,1\n2,they read,,0,0\n3,odd,,2,\n";
    for name in ["gender", "race", "religion_muslims", "orientation"] {
        write(&format!("redditbias/{name}.csv"), table.replace("they", name).as_bytes());
    }
    write(
        "redditbias/religion_jews.csv",
        b"id,comment,phrase,bias_sent,bias_phrase\n1,na\xefve grimble,,1,\n",
    );
    for name in ["train", "trial", "test"] {
        let text = format!("spans,text\n\"[0, 1]\",wark it {name}\n[],fine {name}\n");
        write(&format!("toxic_spans/tsd_{name}.csv"), text.as_bytes());
    }
    write(
        "wikitext2/valid.txt",
        b" = Title = \n\n The <unk> moon , it is said , is round . It is far away from here . \n",
    );
    write(
        "hatecheck/test_suite_cases.csv",
        b"functionality,test_case,label_gold,target_ident\nident_pos_nh,I like moons,non-hateful,moons\nthreat_dir_h,wark moons,hateful,moons\n",
    );
    folder
}

#[test]
fn every_set_is_read_in_its_own_layout() {
    let folder = folder();
    let examples = data::load(folder.path()).unwrap();
    let of = |source| examples.iter().filter(move |e| e.source == source).collect::<Vec<_>>();
    let tweets = of(Source::Davidson);
    assert_eq!(tweets.len(), 120);
    assert_eq!(tweets[0].text, "the wark, number 0");
    assert_eq!(tweets[0].labels.get(Category::Hate), Some(1.0));
    assert_eq!(tweets[0].labels.get(Category::Profanity), None);
    assert_eq!(tweets[1].labels.get(Category::Profanity), Some(1.0));
    assert_eq!(tweets[2].labels.get(Category::Toxicity), Some(0.0));
    let comments = of(Source::RedditBias);
    assert_eq!(comments.len(), 9, "an odd label is left out");
    assert!(comments.iter().any(|example| example.text == "na\u{ef}ve grimble"));
    assert_eq!(comments[0].labels.get(Category::BiasGender), Some(1.0));
    assert_eq!(comments[0].labels.get(Category::BiasRace), Some(0.0));
    let spans: Vec<_> = of(Source::ToxicSpans).iter().map(|e| (e.part, e.text.clone())).collect();
    assert!(spans.contains(&(Part::Train, "wark it train".to_owned())));
    assert!(spans.contains(&(Part::Test, "wark it test".to_owned())));
    assert_eq!(spans.len(), 3);
    let sentences = of(Source::Wikitext);
    assert_eq!(sentences[0].text, "The moon, it is said, is round.");
    assert_eq!(sentences[0].labels.iter().count(), Category::ALL.len());
    assert_eq!(data::load_cases(folder.path()).unwrap().len(), 2);
}

#[test]
fn a_malformed_row_is_told_by_its_line_and_never_by_its_text() {
    let folder = folder();
    let path = folder.path().join("davidson/labeled_data.csv");
    fs::write(&path, "count,class,tweet\n3,0,fine\n3,secret,secret\n").unwrap();
    let error = data::load(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Line { line: 3, .. }), "{error}");
    assert!(!error.to_string().contains("secret"));
    fs::remove_file(&path).unwrap();
    let error = data::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("labeled_data.csv") && !error.contains(&*folder.path().to_string_lossy())
    );
}

/// Finds one word harmful.
struct OneWord(&'static str);

impl Judge for OneWord {
    fn name(&self) -> &str {
        self.0
    }

    fn thresholds(&self) -> Scores {
        Category::ALL.into_iter().map(|category| (category, 0.5)).collect()
    }

    fn judge(&mut self, texts: &[&str]) -> Result<Vec<Scores>, JudgeError> {
        let score = |text: &&str| if text.contains(self.0) { 0.9 } else { 0.1 };
        let scores = |text| Category::ALL.into_iter().map(|c| (c, score(text))).collect();
        Ok(texts.iter().map(scores).collect())
    }
}

fn measured(folder: &Path, word: &'static str) -> Card {
    let (examples, cases) = (data::load(folder).unwrap(), data::load_cases(folder).unwrap());
    Tests { examples: &examples, cases: &cases }.measure(&mut OneWord(word)).unwrap()
}

#[test]
fn a_card_says_what_a_scorer_finds() {
    let folder = folder();
    let (good, bad) = (measured(folder.path(), "wark"), measured(folder.path(), "moon"));
    let hate = |card: &Card| {
        let result = card.categories.iter().find(|r| r.category == "hate" && r.test == "davidson");
        result.unwrap().auc.value
    };
    assert!((hate(&good) - 1.0).abs() < 1e-9, "the word is in every hateful text and no other");
    assert!(hate(&bad) < 0.5);
    assert!((good.hatecheck.accuracy.value - 1.0).abs() < 1e-9);
    assert!((bad.hatecheck.accuracy.value - 0.5).abs() < 1e-9, "it calls both hateful");
    assert!((bad.hatecheck.groups[0].false_positive_rate.value - 1.0).abs() < 1e-9);
    assert_eq!(good.robustness[0].spelling, "as written");
    let page = Card::page(&[good.clone(), bad], 7).unwrap();
    assert!(page.contains("| all | 100.0 [34.2, 100.0] | 50.0 [9.5, 90.5] |"), "{page}");
    assert!(page.contains("7 of the cases"));
    let plot = good.reliability_plot().unwrap();
    assert!(plot.contains("hate") && plot.matches("<circle").count() >= 2);
}
