//! Which of two pronouns stands for one: `her` is `his` or `him`, and `his` is `her` or `hers`.

/// Words after `her` that nobody owns, so that it stands for `him`.
const NEVER_OWNED: &str = "\
    about again all alone and another any are away back because but down every everything for \
    from her here his how into its more nothing now off our out over some something than that \
    the their then there they this today tomorrow too very was were what when where which \
    while who why will with would yesterday you your";

/// Shorter words are not owned either.
const SHORTEST_OWNED: usize = 3;

/// Whether a pronoun goes with the text after it: `his` and `her` stand before what is owned, `him`
/// and `hers` do not. Any other word fits.
pub(super) fn fits(word: &str, after: &str) -> bool {
    let next = after.trim_start();
    let next_word = next.find(|c: char| !c.is_alphabetic()).map_or(next, |end| &next[..end]);
    let follows = next.len() < after.len() && !next_word.is_empty();
    match word {
        "his" => follows && can_be_owned(next_word),
        "him" => !(follows && can_be_owned(next_word)),
        "her" => follows,
        "hers" => !follows,
        _ => true,
    }
}

fn can_be_owned(word: &str) -> bool {
    let lower = word.to_lowercase();
    word.chars().count() >= SHORTEST_OWNED
        && !NEVER_OWNED.split_whitespace().any(|never| never == lower)
}
