//! Texts made of templates and words.
//!
//! A file has headings in brackets, and below each blocks with an empty line between them. A block
//! has rows of words, each after a bar, and templates. `{2}` in a template is the second word of a
//! row, and a template becomes a text for each row of its block.

/// Templates and what fills them.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) templates: Vec<&'static str>,
    pub(super) rows: Vec<Vec<&'static str>>,
}

impl Block {
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for template in &self.templates {
            // A block of plain texts has no rows.
            let rows = if self.rows.is_empty() { &[Vec::new()] } else { self.rows.as_slice() };
            texts.extend(rows.iter().map(|row| filled(template, row)));
        }
        texts
    }
}

/// The blocks under a heading.
pub(super) fn blocks(file: &'static str, heading: &str) -> Vec<Block> {
    let heading = format!("[{heading}]");
    let lines = file.lines().skip_while(|line| *line != heading).skip(1);
    let mut blocks = vec![Block::default()];
    for line in lines.take_while(|line| !line.starts_with('[')) {
        match (line.strip_prefix('|'), blocks.last_mut()) {
            (Some(row), Some(block)) => block.rows.push(row.split('|').map(str::trim).collect()),
            (None, Some(block)) if !line.is_empty() => block.templates.push(line),
            (Some(_) | None, _) => blocks.push(Block::default()),
        }
    }
    blocks
}

fn filled(template: &str, row: &[&str]) -> String {
    let numbered = row.iter().enumerate();
    numbered.fold(template.to_owned(), |text, (index, word)| {
        text.replace(&format!("{{{}}}", index + 1), word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_from_its_rows() {
        let file = "[a]\n| king | he\n| queen | she\nThe {1} says {2}.\n\nPlain\n[b]\nNo\n";
        let texts: Vec<_> = blocks(file, "a").iter().flat_map(Block::texts).collect();
        assert_eq!(texts, ["The king says he.", "The queen says she.", "Plain"]);
    }
}
