//! What is measured: a scorer of ours, a word list, or somebody else's program.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use gateway_toxicity::fast::Calibration;
use gateway_toxicity::{Category, Scorer, Scores, score_text};

use crate::corpus::Part;
use crate::scorer::calibration;
use crate::scorer::data::{Example, Source};
use crate::scorer::lexicon::Lexicon;

/// A text is flagged where it is likelier than not.
const THRESHOLD: f32 = 0.5;

/// What a word list and a program without categories are taken to judge.
const GENERAL: [Category; 3] = [Category::Toxicity, Category::Hate, Category::Profanity];

/// Why a scorer could not be measured. Never quotes a text.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// One of ours failed.
    #[error(transparent)]
    Score(#[from] gateway_toxicity::ScoreError),
    /// A program could not be run, or ended early.
    #[error("the program failed: {0}")]
    Program(#[from] std::io::Error),
    /// A program answered something else than a number in [0, 1].
    #[error("the program's answer {0} is not a number from 0 to 1")]
    Answer(usize),
}

/// Something that scores texts of any length.
pub trait Judge {
    /// Its name in reports.
    fn name(&self) -> &str;
    /// From which score on a category is flagged.
    fn thresholds(&self) -> Scores;
    /// The scores of each text.
    ///
    /// # Errors
    /// [`JudgeError`] if it fails.
    fn judge(&mut self, texts: &[&str]) -> Result<Vec<Scores>, JudgeError>;
}

impl Judge for Box<dyn Scorer> {
    fn name(&self) -> &str {
        self.version()
    }

    fn thresholds(&self) -> Scores {
        *Scorer::thresholds(self.as_ref())
    }

    fn judge(&mut self, texts: &[&str]) -> Result<Vec<Scores>, JudgeError> {
        let scorer = self.as_ref();
        texts.iter().map(|text| Ok(score_text(scorer, text)?)).collect()
    }
}

/// A list of words, each with the weight that the training part gives it; a text's is the highest.
#[derive(Debug, Clone)]
pub struct WordList {
    categories: Vec<(Category, Lexicon, Calibration)>,
}

impl WordList {
    /// Weighs words on Davidson's training part and calibrates them on its validation part.
    #[must_use]
    pub fn mined(examples: &[Example]) -> Self {
        let valid =
            examples.iter().filter(|e| e.part == Part::Valid && e.source == Source::Davidson);
        let valid: Vec<_> = valid.collect();
        let fitted = |category| {
            let lexicon = Lexicon::mined(examples, Source::Davidson, category);
            let pair =
                |e: &&Example| Some((lexicon.weight(&e.text), e.labels.get(category)? >= 0.5));
            let calibration = calibration::fit(&valid.iter().filter_map(pair).collect::<Vec<_>>())?;
            Some((category, lexicon, calibration))
        };
        Self { categories: GENERAL.into_iter().filter_map(fitted).collect() }
    }
}

impl Judge for WordList {
    fn name(&self) -> &'static str {
        "word list"
    }

    fn thresholds(&self) -> Scores {
        GENERAL.into_iter().map(|category| (category, THRESHOLD)).collect()
    }

    fn judge(&mut self, texts: &[&str]) -> Result<Vec<Scores>, JudgeError> {
        #[expect(clippy::cast_possible_truncation, reason = "a weight is small")]
        let score = |text: &&str| {
            let of = |(category, lexicon, calibration): &(Category, Lexicon, Calibration)| {
                (*category, calibration.apply(lexicon.weight(text) as f32))
            };
            self.categories.iter().map(of).collect()
        };
        Ok(texts.iter().map(score).collect())
    }
}

/// A program that reads texts, a JSON string a line, and answers each with a number in [0, 1]. It
/// is taken to mean toxicity, hate and profanity alike.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts `command`, a program and its arguments separated by spaces.
    ///
    /// # Errors
    /// [`JudgeError::Program`] if it cannot be started.
    pub fn start(name: &str, command: &str) -> Result<Self, JudgeError> {
        let mut words = command.split_whitespace();
        let program = words.next().unwrap_or_default();
        let mut child = Command::new(program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| std::io::Error::other("it has no pipes"))?;
        Ok(Self { name: name.to_owned(), child, input, output: BufReader::new(output) })
    }
}

impl Judge for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn thresholds(&self) -> Scores {
        GENERAL.into_iter().map(|category| (category, THRESHOLD)).collect()
    }

    fn judge(&mut self, texts: &[&str]) -> Result<Vec<Scores>, JudgeError> {
        let mut scores = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            serde_json::to_writer(&mut self.input, text).map_err(std::io::Error::from)?;
            self.input.write_all(b"\n")?;
            self.input.flush()?;
            let mut answer = String::new();
            self.output.read_line(&mut answer)?;
            let score: Option<f32> = answer.trim().parse().ok();
            let score = score.filter(|score| (0.0..=1.0).contains(score));
            let score = score.ok_or(JudgeError::Answer(index))?;
            scores.push(GENERAL.into_iter().map(|category| (category, score)).collect());
        }
        Ok(scores)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nobody is left to hear that it had ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_answers_are_its_scores_and_anything_else_is_refused() {
        let mut half = Program::start("half", "sed -u s/.*/0.5/").unwrap();
        let scores = half.judge(&["a", "b\nc"]).unwrap();
        assert_eq!(scores[1].get(Category::Hate), Some(0.5));
        let mut echo = Program::start("echo", "cat").unwrap();
        assert!(matches!(echo.judge(&["a"]), Err(JudgeError::Answer(0))));
        let mut silent = Program::start("silent", "true").unwrap();
        assert!(silent.judge(&["a"]).is_err());
    }
}
