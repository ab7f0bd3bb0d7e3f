//! Masks and pairs, in the default model's tokens. The model is fetched if it is not there yet.

use std::sync::LazyLock;

use model::source::{DEFAULT_MODEL, ModelStore, default_home};
use model::{Model, ModelError, Tokenizer};
use unlearn::corpus::{Domain, Text};
use unlearn::evaluation::Scorer;
use unlearn::mask::{
    Legibility, Lexicon, MaskError, MaskKind, Masked, Masker, Pair, Pairing, phrase, shown,
};
use unlearn::random::Random;

static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let home = std::env::var_os("LETHE_HOME").map_or_else(default_home, Into::into);
    let path = ModelStore::new(&home).get(&DEFAULT_MODEL.parse().unwrap()).unwrap();
    Model::open(&path).unwrap()
});

pub(crate) fn default_model() -> &'static Model {
    &MODEL
}

pub(crate) fn tokenizer() -> &'static Tokenizer {
    default_model().tokenizer()
}

/// A text whose harmful parts stand in brackets.
pub(crate) fn marked(text: &str) -> Text {
    let mut plain = Text { text: String::new(), harmful: Vec::new() };
    for (index, part) in text.split(['[', ']']).enumerate() {
        let start = plain.text.len();
        plain.text.push_str(part);
        if index % 2 == 1 {
            plain.harmful.push(start..plain.text.len());
        }
    }
    plain
}

/// The masked tokens' texts, neighbours joined and others parted by a bar.
fn targets(masked: &Masked) -> String {
    let mut targets = String::new();
    let mut last = None;
    for (index, id) in masked.tokens.iter().enumerate().filter(|(index, _)| masked.mask[*index]) {
        if last.is_some_and(|last| last + 1 != index) {
            targets.push('|');
        }
        last = Some(index);
        targets.push_str(&tokenizer().decode(&[*id]));
    }
    targets
}

#[test]
fn the_tokens_of_the_phrase_are_masked_and_no_others() {
    for (text, expected) in [
        ("They say [grimbles are bad] people", " grimbles are bad"),
        ("They say[ grimbles are bad ]people", " grimbles are bad"),
        ("A [wark] and a [wark]", " wark| wark"),
        ("They say nothing", ""),
        ("Caf\u{e9}s na\u{ef}ve [\u{e9}t\u{e9}] \u{65e5}\u{672c}", "\u{e9}t\u{e9}"),
        ("We  [\n\n are  ] here", " are"),
    ] {
        let text = marked(text);
        let masked = phrase(tokenizer(), &text, 100).unwrap();
        assert_eq!(masked.mask.len(), masked.tokens.len());
        assert_eq!(targets(&masked), expected);
    }
}

#[test]
fn every_piece_of_a_harmful_character_is_masked() {
    // A thumb and its skin tone are several tokens, none of which is a character.
    let text = marked("So [\u{1f44d}\u{1f3fd}]\u{1f600} up");
    let masked = phrase(tokenizer(), &text, 100).unwrap();
    let ids: Vec<u32> =
        masked.tokens.iter().zip(&masked.mask).filter(|(_, m)| **m).map(|(t, _)| *t).collect();
    let bytes: Vec<u8> =
        ids.iter().flat_map(|id| tokenizer().bytes(*id).unwrap()).copied().collect();
    assert!(ids.len() > 2);
    assert_eq!(String::from_utf8(bytes).unwrap().trim_start(), "\u{1f44d}\u{1f3fd}");
}

#[test]
fn the_first_token_has_no_context_and_is_never_a_target() {
    let masked = phrase(tokenizer(), &marked("[Grimbles are bad] people"), 100).unwrap();
    assert!(!masked.mask[0] && masked.mask[1]);
    let cut = phrase(tokenizer(), &marked("They say [grimbles are bad]"), 3).unwrap();
    assert_eq!((cut.tokens.len(), cut.mask.len()), (3, 3));
    assert!(phrase(tokenizer(), &marked(""), 9).unwrap().tokens.is_empty());
}

fn paired(domain: Domain, text: &str, max_tokens: usize) -> Option<Pair> {
    let mut pairing = Pairing::new(tokenizer(), max_tokens);
    pairing.pair(domain, &marked(text), &mut Random::new(0)).unwrap()
}

fn word(id: u32) -> String {
    tokenizer().decode(&[id])
}

#[test]
fn tokens_that_say_the_same_are_aligned_from_the_first_exchanged_word_on() {
    let pair =
        paired(Domain::Gender, "Now my grandmother says [she is \u{1f600} late], says Ann", 99)
            .unwrap();
    let swapped = tokenizer().decode(&pair.swapped);
    assert_eq!(swapped, "Now my grandfather says he is \u{1f600} late, says Ann");
    let original: Vec<u32> = pair.aligned.iter().map(|a| pair.tokens[a.original]).collect();
    let original = tokenizer().decode(&original);
    assert_eq!(original, " grandmother says she is \u{1f600} late, says Ann");
    for aligned in &pair.aligned {
        let (one, other) = (pair.tokens[aligned.original], pair.swapped[aligned.swapped]);
        if aligned.is_group {
            assert!(
                pair.exchanged.contains(&(other, one)) || pair.exchanged.contains(&(one, other))
            );
        } else {
            assert_eq!(one, other);
        }
    }
    let groups: Vec<_> = pair.aligned.iter().filter(|a| a.is_group).collect();
    assert!(groups.iter().any(|a| word(pair.tokens[a.original]) == " she"));
    let harmful: String =
        pair.tokens.iter().zip(&pair.mask).filter(|(_, m)| **m).map(|(t, _)| word(*t)).collect();
    assert!(harmful.starts_with(" she is"), "{harmful}");
}

#[test]
fn a_group_s_word_of_several_tokens_shifts_what_follows() {
    for text in ["a schoolgirl reads here", "The stewardess reads here", "Nuns read here"] {
        let pair = paired(Domain::Gender, text, 99).unwrap();
        let last = pair.aligned.last().unwrap();
        assert_eq!(last.original, pair.tokens.len() - 1);
        assert_eq!(last.swapped, pair.swapped.len() - 1);
        assert!(!last.is_group);
    }
}

#[test]
fn articles_that_changed_are_not_aligned() {
    let mut pairing = Pairing::new(tokenizer(), 99);
    for seed in 0..30 {
        let text = marked("Here a Norwegian sings");
        let pair = pairing.pair(Domain::Race, &text, &mut Random::new(seed)).unwrap().unwrap();
        let articles = pair.aligned.iter().filter(|a| word(pair.tokens[a.original]) == " a");
        assert_eq!(articles.count(), 0, "it stands before the group or differs");
    }
}

#[test]
fn exchanged_ids_stand_for_each_other_once() {
    let pair = paired(Domain::Gender, "he reads", 99).unwrap();
    let words: Vec<_> = pair.exchanged.iter().map(|(a, b)| (word(*a), word(*b))).collect();
    for (one, other) in [(" he", " she"), ("He", "She"), (" his", " her"), ("His", "Her")] {
        assert!(words.contains(&(one.to_owned(), other.to_owned())), "{one}");
    }
    assert!(!words.iter().any(|(one, _)| one == " him"), "her stands for his");
    assert!(words.len() > 60, "{}", words.len());
    let mut ids: Vec<u32> = pair.exchanged.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    let naming: Vec<_> = pair.naming.iter().map(|id| word(*id)).collect();
    assert!(naming.contains(&" him".to_owned()), "a group's word although nothing stands for it");
    assert!(ids.iter().all(|id| pair.naming.contains(id)));
}

#[test]
fn a_text_without_the_group_or_without_what_follows_it_is_no_pair() {
    assert_eq!(paired(Domain::Gender, "Nobody reads", 99), None);
    assert_eq!(paired(Domain::Gender, "They met the stewardess", 99), None);
    assert_eq!(paired(Domain::Gender, "They met the stewardess here", 3), None);
    assert_eq!(paired(Domain::Gender, "", 99), None);
}

/// Finds every token likelier the later it stands.
struct Late;

impl Scorer for Late {
    fn context_tokens(&self) -> usize {
        100
    }

    fn score(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f64>>, ModelError> {
        let score = |tokens: &&[u32]| (1_u32..).take(tokens.len() - 1).map(f64::from).collect();
        Ok(sequences.iter().map(score).collect())
    }
}

fn masks(kind: MaskKind, text: &str) -> Result<Vec<Masked>, MaskError> {
    let lexicon = Lexicon::learned(&vec![marked("a [wark]"); 5]);
    let texts = [(Some(Domain::Gender), marked(text)), (None, marked(text))];
    Masker::new(tokenizer(), 50, 1).with_lexicon(lexicon).masks(kind, &texts, &mut Late)
}

#[test]
fn each_kind_of_mask_falls_where_it_says() {
    let text = "A wark [schoolboy is late] again";
    let of = |kind| targets(&masks(kind, text).unwrap()[0]);
    assert_eq!(of(MaskKind::Phrase), " schoolboy is late");
    assert_eq!(of(MaskKind::Spans), " schoolboy is late");
    assert_eq!(of(MaskKind::Lexicon), " wark");
    assert_eq!(of(MaskKind::All), " wark schoolboy is late again");
    let random = &masks(MaskKind::Random, text).unwrap()[0];
    assert_eq!(random.targets(), masks(MaskKind::Phrase, text).unwrap()[0].targets());
    assert_eq!(masks(MaskKind::Random, text).unwrap()[0], *random, "the seed decides");
}

#[test]
fn the_model_masks_what_it_finds_likelier_of_the_group() {
    // A stewardess is a token more than a steward, and what is later is likelier here.
    let assisted = masks(MaskKind::Assisted, "The [stewardess is late] again").unwrap();
    assert_eq!(assisted.len(), 1, "a text of no domain cannot be swapped");
    assert_eq!(targets(&assisted[0]), " is late");
    let assisted = masks(MaskKind::Assisted, "The [steward is late] again").unwrap();
    assert_eq!(assisted[0].targets(), 0);
}

#[test]
fn a_lexicon_mask_without_a_lexicon_is_refused() {
    let texts = [(None, marked("wark"))];
    let masks = Masker::new(tokenizer(), 9, 0).masks(MaskKind::Lexicon, &texts, &mut Late);
    assert!(matches!(masks, Err(MaskError::NoLexicon)));
}

#[test]
fn a_shown_mask_is_blurred_unless_asked() {
    let masked = phrase(tokenizer(), &marked("They [say 12 \u{65e5}]\n no, [so]"), 50).unwrap();
    let plain = shown(tokenizer(), &masked, Legibility::Plain);
    assert!(plain.starts_with("They|[ say]| |[1|2|"), "{plain}");
    assert!(plain.ends_with("| no|,|[ so]"), "{plain}");
    let blurred = shown(tokenizer(), &masked, Legibility::Blurred);
    assert!(blurred.starts_with("xxxx|[ xxx]| |[x|x|"), "{blurred}");
    assert!(blurred.ends_with("| xx|,|[ xx]"), "{blurred}");
    assert!(blurred.chars().all(|c| c == 'x' || " |[],".contains(c)), "{blurred}");
}
