//! What leaves, and what is said of it, however a text comes.

use std::future::poll_fn;
use std::sync::Arc;

use gateway_engine::ScoredToken;
use gateway_toxicity::scripted::{POISON, ScriptedScorer};
use gateway_toxicity::{Scorer, Scores, Window, Windows, score_text};
use gateway_wire::{FinishReason, ModerationMode, ModerationParam};
use prometheus::Registry;
use proptest::prelude::*;

use super::{Moderation, Moderator, Outcome, Plan};
use crate::generation::Piece;
use crate::metrics::Metrics;
use crate::settings::{Mode, ModerationPolicy, ModerationSettings, OnFailure};

/// The longest stop text of the answers here, and so how far text may lag behind its tokens.
const STOP_BYTES: usize = 5;

fn plan(mode: Mode, on_failure: OnFailure) -> Plan {
    let policy = ModerationPolicy { input: Mode::Off, output: mode, on_failure };
    let (encoder, thresholds) = (None, Vec::new());
    let settings = ModerationSettings { policy, encoder, thresholds, queue_jobs: 10_000 };
    let metrics = Metrics::new(&Registry::new()).expect("metrics");
    let scorer = Arc::new(ScriptedScorer::default());
    let moderation = Moderation::start(&settings, scorer, &metrics, false).expect("started");
    let score = ModerationMode::Score;
    let asked = ModerationParam { model: "scripted".to_owned(), input: score, output: score };
    let plan = Arc::new(moderation).plan(Some(&asked), &"none".into(), None);
    plan.expect("it is the scorer").expect("a plan")
}

/// What left of an answer, and what was said of it.
#[derive(Debug, PartialEq)]
struct Left {
    text: String,
    tokens: Vec<u8>,
    finish: Option<FinishReason>,
    outcome: Outcome,
}

/// How an answer comes: its pieces' ends and whether scores are waited for after each.
type Coming = Vec<(usize, bool)>;

/// An answer of one-byte tokens; the text may lag behind them as the engine's may.
fn pieces(text: &str, coming: &Coming, lag: usize) -> Vec<Piece> {
    let mut ends: Vec<usize> = coming.iter().map(|(end, _)| end % (text.len() + 1)).collect();
    ends.sort_unstable();
    let (mut told, mut drawn) = (0, 0);
    let mut pieces = Vec::new();
    for end in ends {
        let to = text.floor_char_boundary(end.saturating_sub(lag)).max(told);
        pieces.push(piece(&text[told..to], &text.as_bytes()[drawn..end]));
        (told, drawn) = (to, end);
    }
    let last = piece(&text[told..], &text.as_bytes()[drawn..]);
    pieces.push(Piece { finish: Some(FinishReason::Stop), ..last });
    pieces
}

fn piece(text: &str, bytes: &[u8]) -> Piece {
    let token = |byte: &u8| ScoredToken {
        id: u32::from(*byte),
        bytes: vec![*byte],
        logprob: None,
        top: Vec::new(),
    };
    Piece { text: text.to_owned(), tokens: bytes.iter().map(token).collect(), ..Piece::default() }
}

/// Sends an answer through a moderator.
fn pass(plan: &Plan, text: &str, coming: &Coming, lag: usize) -> Left {
    let mut moderator = plan.moderator(STOP_BYTES).expect("answers are moderated");
    let mut left = Piece::default();
    let waits = coming.iter().map(|(_, waits)| *waits).chain([true]);
    for (piece, waits) in pieces(text, coming, lag).into_iter().zip(waits) {
        left = left.and(moderator.take(piece));
        while waits && left.finish != Some(FinishReason::ContentFilter) {
            match next(&mut moderator) {
                Some(piece) => left = left.and(piece),
                None => break,
            }
        }
        if left.finish == Some(FinishReason::ContentFilter) {
            break;
        }
    }
    let tokens = left.tokens.into_iter().flat_map(|token| token.bytes).collect();
    Left { text: left.text, tokens, finish: left.finish, outcome: moderator.outcome() }
}

fn next(moderator: &mut Moderator) -> Option<Piece> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(poll_fn(|context| moderator.poll_next(context)))
}

fn windows(text: &str) -> Vec<Window> {
    let mut windows = Windows::new(ScriptedScorer::default().windows());
    let mut cut = windows.push(text);
    cut.extend(windows.finish());
    cut
}

/// What may leave of a text: up to where the first flagged window may begin.
fn allowed(text: &str) -> (&str, Option<Window>) {
    let scorer = ScriptedScorer::default();
    let flagged = |window: &Window| {
        let scores = scorer.score(&[window.text()]).expect("scored");
        scores[0].flagged(scorer.thresholds()).next().is_some()
    };
    let mut settled = 0;
    for window in windows(text) {
        if flagged(&window) {
            return (&text[..settled], Some(window));
        }
        settled = window.settles();
    }
    (text, None)
}

const WORDS: &[&str] =
    &["a", "héé", "grimble", "wark", "zorp", "mumb", "\u{3000}", "c", "d", "e", "f", "florb"];
const GAPS: &[&str] = &[" ", "  ", "\n", " \t"];
const CLEAN: &[&str] = &["a ", "b  ", "c\n", "d ", "héé ", "grimble "];

fn texts() -> impl Strategy<Value = String> {
    let word = (prop::sample::select(WORDS), prop::sample::select(GAPS));
    let word = word.prop_map(|(word, gap)| format!("{word}{gap}"));
    // Most texts have few marks, so that some pass and some are blocked late.
    let clean = prop::sample::select(CLEAN);
    let clean = clean.prop_map(str::to_owned);
    prop::collection::vec(prop_oneof![8 => clean, 1 => word], 0..24)
        .prop_map(|words| words.concat())
}

fn comings() -> impl Strategy<Value = Coming> {
    prop::collection::vec((any::<usize>(), any::<bool>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_part_of_a_flagged_window_leaves_however_the_text_comes(
        text in texts(),
        coming in comings(),
        lag in 0..STOP_BYTES,
    ) {
        let left = pass(&plan(Mode::Block, OnFailure::Closed), &text, &coming, lag);
        let (released, flagged) = allowed(&text);
        prop_assert_eq!(&left.text, released);
        if let Some(window) = flagged {
            prop_assert_eq!(left.finish, Some(FinishReason::ContentFilter));
            prop_assert!(left.text.len() <= window.bytes().start);
            prop_assert!(left.text.as_bytes().starts_with(&left.tokens));
        } else {
            prop_assert_eq!(left.finish, Some(FinishReason::Stop));
            prop_assert_eq!(left.tokens, text.as_bytes());
        }
    }

    #[test]
    fn the_verdict_does_not_depend_on_how_the_text_comes(
        text in texts(),
        coming in comings(),
        lag in 0..STOP_BYTES,
    ) {
        for mode in [Mode::Score, Mode::Block] {
            let plan = plan(mode, OnFailure::Closed);
            let whole = pass(&plan, &text, &Vec::new(), 0);
            let parts = pass(&plan, &text, &coming, lag);
            prop_assert_eq!(&whole.text, &parts.text);
            prop_assert_eq!(whole.finish, parts.finish);
            prop_assert_eq!(whole.outcome, parts.outcome);
        }
    }

    #[test]
    fn a_text_that_is_only_scored_leaves_at_once_and_has_its_own_score(
        text in texts(),
        coming in comings(),
    ) {
        let plan = plan(Mode::Score, OnFailure::Closed);
        let mut moderator = plan.moderator(STOP_BYTES).expect("answers are moderated");
        for (given, expected) in pieces(&text, &coming, 0).into_iter().zip(pieces(&text, &coming, 0)) {
            prop_assert_eq!(moderator.take(given), expected);
        }
        prop_assert_eq!(next(&mut moderator), None);
        let score = score_text(&ScriptedScorer::default(), &text).expect("scored");
        prop_assert_eq!(moderator.outcome(), Ok(score));
    }
}

#[test]
fn what_cannot_be_scored_passes_or_does_not_as_the_operator_says() {
    let text = format!("a b c d e f {POISON} g h");
    for (on_failure, released, finish) in [
        (OnFailure::Open, text.as_str(), FinishReason::Stop),
        (OnFailure::Closed, "a b c d ", FinishReason::ContentFilter),
    ] {
        let left = pass(&plan(Mode::Block, on_failure), &text, &vec![(5, true), (9, false)], 0);
        assert_eq!((left.text.as_str(), left.finish), (released, Some(finish)));
        assert!(left.outcome.is_err(), "no score is made up");
    }
}

#[test]
fn a_text_without_words_is_scored_as_an_empty_one() {
    for text in ["", " \n"] {
        let left = pass(&plan(Mode::Block, OnFailure::Closed), text, &Vec::new(), 0);
        assert_eq!((left.text.as_str(), left.finish), (text, Some(FinishReason::Stop)));
        let scores: Scores = left.outcome.expect("scored");
        assert!(scores.iter().count() > 0);
    }
}
