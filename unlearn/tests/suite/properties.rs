//! What holds for all inputs.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use unlearn::corpus::{Domain, Part, Text, biased, toxic_spans};
use unlearn::mask::{Pairing, phrase};
use unlearn::random::Random;
use unlearn::report::{Report, Results, TrainingRun};
use unlearn::swap::swap;

use crate::mask::tokenizer;

/// Words that name groups, words that do not, and what stands between them.
const PIECES: [&str; 32] = [
    "he",
    "She",
    "HIS",
    "her",
    "hers",
    "woman",
    "Men",
    "schoolgirls",
    "black",
    "Whites",
    "Asian",
    "South African",
    "Chinese",
    "Germany",
    "Jew",
    "jewish",
    "Muslims",
    "Islam",
    "church",
    "Sikh",
    "gay",
    "Lesbians",
    "straight",
    "a",
    "An",
    "wark",
    "na\u{ef}ve",
    "\u{1f469}\u{200d}\u{1f680}",
    "e\u{301}",
    "\u{65e5}\u{672c}",
    "12",
    "'s",
];
const GAPS: [&str; 6] = [" ", " ", " ", ", ", ".\n", "-"];

fn text() -> impl Strategy<Value = String> {
    vec((select(&PIECES[..]), select(&GAPS[..])), 0..12)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(word, gap)| [word, gap]).collect())
}

/// A text with a harmful part.
fn harmful() -> impl Strategy<Value = Text> {
    (text(), any::<[prop::sample::Index; 2]>()).prop_map(|(text, ends)| {
        let edges: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut ends = ends.map(|end| *end.get(&edges));
        ends.sort_unstable();
        let harmful = std::iter::once(ends[0]..ends[1]).filter(|range| !range.is_empty());
        Text { harmful: harmful.collect(), text }
    })
}

fn domain() -> impl Strategy<Value = Domain> {
    select(&Domain::ALL[..])
}

proptest! {
    #[test]
    fn a_swap_changes_what_its_spans_say_and_nothing_else(
        text in text(), domain in domain(), seed in any::<u64>()
    ) {
        let Some(swap) = swap(domain, &text, &mut Random::new(seed)) else { return Ok(()) };
        prop_assert!(!swap.spans.is_empty());
        let (mut at, mut other) = (0, 0);
        for (from, to) in &swap.spans {
            prop_assert_eq!(&text[at..from.start], &swap.text[other..to.start]);
            (at, other) = (from.end, to.end);
        }
        prop_assert_eq!(&text[at..], &swap.text[other..]);
    }

    #[test]
    fn aligned_tokens_say_the_same_and_rise_in_both_texts(
        text in harmful(), domain in domain(), seed in any::<u64>(), max_tokens in 1..40_usize
    ) {
        let mut pairing = Pairing::new(tokenizer(), max_tokens);
        let pair = pairing.pair(domain, &text, &mut Random::new(seed)).unwrap();
        let Some(pair) = pair else { return Ok(()) };
        prop_assert!(pair.tokens.len().max(pair.swapped.len()) <= max_tokens);
        prop_assert_eq!(pair.mask.len(), pair.tokens.len());
        let mut last = (0, 0);
        for aligned in &pair.aligned {
            let place = (aligned.original, aligned.swapped);
            prop_assert!(place.0 > last.0 && place.1 > last.1, "{:?}", pair.aligned);
            last = place;
            let (one, other) = (pair.tokens[place.0], pair.swapped[place.1]);
            let stands_for = |(a, b): &(u32, u32)| [(*a, *b), (*b, *a)].contains(&(one, other));
            let is_exchanged = pair.exchanged.iter().any(stands_for);
            let same = if aligned.is_group { is_exchanged } else { one == other };
            prop_assert!(same, "{:?}", aligned);
        }
    }

    #[test]
    fn a_mask_covers_its_part_and_touches_nothing_apart(text in harmful()) {
        let masked = phrase(tokenizer(), &text, usize::MAX).unwrap();
        prop_assert_eq!(masked.tokens.len(), masked.mask.len());
        prop_assert!(!masked.mask.first().copied().unwrap_or(false));
        let Some(part) = text.harmful.first() else {
            prop_assert_eq!(masked.targets(), 0);
            return Ok(());
        };
        let is_blank = text.text[part.clone()].trim().is_empty();
        let tokens = tokenizer().encode_with_offsets(&text.text, model::Control::AsText).unwrap();
        for ((_, bytes), is_target) in tokens.iter().zip(&masked.mask) {
            let is_apart = bytes.end <= part.start || bytes.start >= part.end;
            prop_assert!(!(*is_target && (is_apart || is_blank)));
        }
    }

    #[test]
    fn no_bytes_make_a_reader_of_data_panic(
        bytes in vec(select(&b"01,[]\"\n\r ab\xe9\xf0\x9f"[..]), 0..200), is_headed in any::<bool>()
    ) {
        let folder = tempfile::tempdir().unwrap();
        for (name, head) in [
            ("redditbias/gender.csv", "comment,phrase,bias_sent,bias_phrase\n"),
            ("redditbias/religion_jews.csv", "comment,phrase,bias_sent,bias_phrase\n"),
            ("toxic_spans/tsd_test.csv", "spans,text\n"),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let head = if is_headed { head.as_bytes() } else { b"" };
            fs::write(path, [head, &bytes].concat()).unwrap();
        }
        for domain in [Domain::Gender, Domain::ReligionJews] {
            let texts = biased(folder.path(), domain, Part::Train).into_iter().flatten();
            for text in texts {
                prop_assert!(text.harmful.iter().all(|part| text.text.get(part.clone()).is_some()));
            }
        }
        for text in toxic_spans(folder.path(), Part::Test).into_iter().flatten() {
            prop_assert!(text.harmful.iter().all(|part| text.text.get(part.clone()).is_some()));
        }
    }

    #[test]
    fn no_results_make_a_page_panic(
        text in any::<String>(), values in vec(prop::num::f64::NORMAL, 6), scale in -4.0..4.0_f64
    ) {
        let text = serde_json::to_string(&text).unwrap();
        let json = |delta: f64, width: f64| format!(
            "{{\"model\":{text},\"weights\":{text},\"precision\":{text},\"part\":\"test\",\"judges\":[{text}],\
             \"base\":[],\"sets\":[{{\"set\":{text},\"seeds\":[[{{\"name\":\"a\",\"scale\":{scale}}}]],\
             \"measurements\":[{{\"test\":\"t\",\"domain\":\"d\",\"metric\":\"m\",\"base\":{delta:e},\
             \"adapter\":{delta:e},\"delta\":{delta:e},\"interval\":[{:e},{:e}],\"items\":1}}]}}]}}",
            delta - width, delta + width
        );
        let results = values.chunks(2).filter_map(|pair| {
            Results::parse(json(pair[0], pair[1].abs()).as_bytes()).ok()
        });
        let report = Report { title: text.clone(), runs: Vec::new(), results: results.collect() };
        prop_assert!(report.page().ends_with("</html>\n"));
        prop_assert!(TrainingRun::parse(&text, &text).is_err());
    }
}
