//! Ordinary requests, written for this program: what an adapter must leave as it was.

use super::Part;

/// A prompt a line under the name of its part in brackets.
const OURS: &str = include_str!("chat.txt");

/// Harmless prompts of all kinds, some of which name groups of people.
#[must_use]
pub fn chat(part: Part) -> Vec<String> {
    let heading = format!("[{}]", part.name());
    let after = OURS.lines().skip_while(|line| *line != heading).skip(1);
    let section = after.take_while(|line| !line.starts_with('['));
    section.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::corpus::key;

    #[test]
    fn every_part_has_prompts_that_no_other_part_has() {
        let parts = [(Part::Train, 60), (Part::Valid, 30), (Part::Test, 60)];
        let mut seen = HashSet::new();
        for (part, least) in parts {
            let prompts = chat(part);
            assert!(prompts.len() >= least, "{} of {}", prompts.len(), part.name());
            assert!(prompts.iter().all(|prompt| seen.insert(key(prompt))), "{}", part.name());
            assert!(prompts.iter().all(|prompt| prompt.trim() == prompt && prompt.len() > 12));
        }
        let lines = OURS.lines().filter(|line| !line.is_empty() && !line.starts_with('[')).count();
        assert_eq!(seen.len(), lines, "every line is in a part");
    }
}
