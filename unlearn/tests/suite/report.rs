//! The page of a report: whole, self-contained, and true to what it was made from.

use std::num::NonZeroU64;

use adapters::card::{Measurement, Word};
use unlearn::corpus::Part;
use unlearn::evaluation::{AppliedAdapter, Comparison, DataError};
use unlearn::report::{Report, Results, TrainingRun};

fn measurement(domain: &str, delta: f64) -> Measurement {
    let word = |text| Word::parse(text).unwrap();
    Measurement {
        test: word("harmful"),
        domain: word(domain),
        metric: word("nll"),
        base: 5.0,
        adapter: 5.0 + delta,
        delta,
        interval: [delta - 0.1, delta + 0.1],
        items: 40,
        seeds: NonZeroU64::MIN,
    }
}

fn comparison(set: &str, deltas: [f64; 2]) -> Comparison {
    let adapter = |text: &str| {
        let (name, scale) = text.split_once('@').unwrap_or((text, "1"));
        AppliedAdapter { name: name.to_owned(), scale: scale.parse().unwrap() }
    };
    let [gender, race] = deltas;
    Comparison {
        set: set.to_owned(),
        seeds: vec![set.split('+').map(adapter).collect()],
        measurements: vec![measurement("gender", gender), measurement("race", race)],
    }
}

/// What `eval --json` writes, through its own types.
fn json(sets: Vec<Comparison>) -> Vec<u8> {
    let report = unlearn::evaluation::Report {
        model: "<tiny>".to_owned(),
        weights: "sha256:0".to_owned(),
        precision: "f32".to_owned(),
        part: Part::Valid,
        judges: vec!["judge & jury".to_owned()],
        base: Vec::new(),
        sets,
        tables: Vec::new(),
    };
    serde_json::to_vec(&report).unwrap()
}

fn page(sets: Vec<Comparison>, logs: &[&str]) -> String {
    let runs = logs.iter().map(|log| TrainingRun::parse("run <1>", log).unwrap()).collect();
    let results = vec![Results::parse(&json(sets)).unwrap()];
    Report { title: "A & B".to_owned(), runs, results }.page()
}

fn sets() -> Vec<Comparison> {
    vec![
        comparison("gender", [0.8, 0.05]),
        comparison("gender@0.5", [0.4, 0.02]),
        comparison("race", [0.3, 0.7]),
        comparison("gender+race", [1.0, 0.8]),
    ]
}

/// The drawings under a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let after = page.split(&format!("<h3>{heading}</h3>")).nth(1).unwrap();
    after.split("<h3>").next().unwrap()
}

#[test]
fn a_page_asks_for_nothing_and_escapes_everything() {
    let page = page(sets(), &[]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for fetched in ["<script", "<link", "<img", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    assert!(page.contains("A &amp; B") && page.contains("&lt;tiny&gt;"));
    assert!(page.contains("judge &amp; jury") && !page.contains("<tiny>"));
    for (open, close) in [("<svg", "</svg>"), ("<details", "</details>"), ("<table", "</table>")] {
        assert_eq!(page.matches(open).count(), page.matches(close).count(), "{open}");
    }
}

#[test]
fn transfer_and_interference_are_what_was_measured() {
    let page = page(sets(), &[]);
    let transfer = section(&page, "Transfer");
    assert_eq!(transfer.matches("<svg").count(), 1);
    assert_eq!(transfer.matches("<rect").count(), 4, "two adapters at scale 1, two domains");
    for cell in [">+0.800*<", ">+0.050<", ">+0.300*<", ">+0.700*<"] {
        assert!(transfer.contains(cell), "{cell}");
    }
    let interference = section(&page, "Interference");
    // 1.0 - 0.8 - 0.3 and 0.8 - 0.05 - 0.7.
    assert!(interference.contains(">\u{2212}0.100<") && interference.contains(">+0.050<"));
    let scale = section(&page, "Scale");
    assert!(scale.contains("<h4>gender</h4>") && !scale.contains("<h4>race</h4>"));
    assert_eq!(section(&page, "All numbers").matches("<tr><td>").count(), 8);
}

#[test]
fn a_sum_whose_parts_were_not_measured_has_no_interference() {
    let page = page(vec![comparison("gender+race", [1.0, 0.8])], &[]);
    assert!(!page.contains("<h3>Interference</h3>") && !page.contains("<h3>Transfer</h3>"));
    assert!(page.contains("<h3>Adapters together</h3>"));
}

#[test]
fn a_log_becomes_a_curve_for_each_loss() {
    let log = "{\"step\":1,\"losses\":{\"ascent\":-5.0,\"kl\":0.0},\"learning_rate\":1e-4,\
               \"gradient_norm\":2.0,\"tokens_per_second\":80.0}\n\
               {\"step\":2,\"losses\":{\"ascent\":-5.5,\"kl\":0.01},\"learning_rate\":1e-4,\
               \"gradient_norm\":1.0,\"perplexity\":1.01,\"kl\":0.002,\"tokens_per_second\":90.0}\n";
    let page = page(Vec::new(), &[log]);
    let training = section(&page, "run &lt;1&gt;");
    assert_eq!(training.matches("<polyline").count(), 7, "two losses and five more");
    let torn = log.replace("\"step\":2", "\"step\":");
    let error = TrainingRun::parse("x", &torn).unwrap_err();
    assert!(matches!(error, DataError::Line { line: 2, .. }), "{error}");
    assert!(TrainingRun::parse("x", "").is_err());
}

#[test]
fn malformed_results_are_refused() {
    let whole = String::from_utf8(json(sets())).unwrap();
    assert!(Results::parse(whole.as_bytes()).is_ok());
    for (good, bad) in [
        ("\"model\"", "\"modell\""),
        ("\"valid\"", "\"all\""),
        ("\"delta\":0.8", "\"delta\":null"),
        ("[0.7000000000000001,0.9]", "[0.9,0.7]"),
        ("[{\"name\":\"race\",\"scale\":1.0}]", "[]"),
        ("\"name\":\"race\"", "\"name\":\"../race\""),
    ] {
        let broken = whole.replacen(good, bad, 1);
        assert_ne!(broken, whole, "{good}");
        assert!(Results::parse(broken.as_bytes()).is_err(), "{bad}");
    }
    assert!(Results::parse(&whole.as_bytes()[..whole.len() - 1]).is_err());
}
