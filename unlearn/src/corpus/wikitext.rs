//! Merity et al., "Pointer Sentinel Mixture Models", 2016 (<https://arxiv.org/abs/1609.07843>):
//! plain text of an encyclopaedia, as the file has it. Only the validation file is read: the test
//! file measures perplexity.

use std::path::Path;

use crate::evaluation::{DataError, read_text};

/// At least as many bytes at the file's end are never trained on.
const GUARD_BYTES: usize = 30_000;

/// Paragraphs to train on, without headings.
///
/// # Errors
/// [`DataError`] if the file is missing or is not longer than the guard's part.
pub fn wikitext(data: &Path) -> Result<Vec<String>, DataError> {
    let text = read(data)?;
    let paragraphs = text[..guard_start(&text)?].lines().map(str::trim);
    let prose = paragraphs.filter(|line| !line.is_empty() && !line.starts_with('='));
    Ok(prose.map(str::to_owned).collect())
}

/// The text that a training run's perplexity guard reads.
///
/// # Errors
/// [`DataError`] if the file is missing or is not longer than this.
pub fn wikitext_guard(data: &Path) -> Result<String, DataError> {
    let text = read(data)?;
    Ok(text[guard_start(&text)?..].to_owned())
}

fn read(data: &Path) -> Result<String, DataError> {
    read_text(&data.join("wikitext2/valid.txt"))
}

/// Where the guard's part begins: at the line that the last [`GUARD_BYTES`] begin in.
fn guard_start(text: &str) -> Result<usize, DataError> {
    let latest = text.len().checked_sub(GUARD_BYTES).ok_or(DataError::Empty)?;
    let line_end = text.as_bytes()[..latest].iter().rposition(|byte| *byte == b'\n');
    line_end.map(|line_end| line_end + 1).ok_or(DataError::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_has_whole_lines_that_nobody_trains_on() {
        let text = " = Moons = \n".to_owned() + &"The moon is round .\n".repeat(2000);
        let start = guard_start(&text).unwrap();
        assert!(text.len() - start >= GUARD_BYTES && text.len() - start < GUARD_BYTES + 20);
        assert!(text[start..].starts_with("The moon"));
        assert!(guard_start(&text[..GUARD_BYTES - 1]).is_err());
    }
}
