//! A model elsewhere as a reader: an endpoint with OpenAI's completions API that echoes prompts
//! with log-probabilities.
//!
//! The endpoint's tokens are counted. Whether it puts a token in front of a text is its own affair:
//! then the first token of the text has something before it, and counts.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ReadError, Reader, Reading, places};
use crate::evaluation::{Passage, Question};

/// Texts in one request.
const TEXTS: usize = 8;
/// The longest answer, in bytes.
const MOST_BYTES: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_mins(10);

/// Why an endpoint cannot read. Never quotes a text, nor what the endpoint says.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// There is no answer.
    #[error("the endpoint does not answer: {0}")]
    Request(#[from] Box<ureq::Error>),
    /// The request is refused.
    #[error("the endpoint answers with status {0}")]
    Status(u16),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    Write(#[source] serde_json::Error),
    /// The answer is not that of the completions API.
    #[error("the endpoint's answer is malformed at line {line}, column {column}")]
    Format {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The answer's tokens do not make up the text, or lack log-probabilities.
    #[error("the endpoint does not echo text {0} with log-probabilities")]
    Echo(usize),
    /// Tokens of another tokenizer mean nothing to it.
    #[error("an endpoint reads texts, not tokens")]
    Tokens,
}

/// A model behind an endpoint.
#[derive(Debug)]
pub struct Endpoint {
    agent: ureq::Agent,
    url: String,
    model: String,
    key: Option<String>,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    prompt: &'a [&'a str],
    /// Not 0, which some servers refuse; what is generated is not read.
    max_tokens: u32,
    temperature: f32,
    echo: bool,
    logprobs: u32,
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    index: usize,
    logprobs: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Logprobs {
    token_logprobs: Vec<Option<f64>>,
    /// In characters.
    text_offset: Vec<usize>,
}

impl Endpoint {
    /// The model called `model` of the API at `url`, such as `http://127.0.0.1:8080/v1`. `key` is
    /// sent as a bearer token.
    #[must_use]
    pub fn new(url: &str, model: &str, key: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0);
        Self {
            agent: config.build().into(),
            url: format!("{}/completions", url.trim_end_matches('/')),
            model: model.to_owned(),
            key: key.map(str::to_owned),
        }
    }

    /// The log-probabilities and places of the tokens of each text; the first is number `first`.
    fn ask(&self, texts: &[&str], first: usize) -> Result<Vec<Logprobs>, EndpointError> {
        let request = Request {
            model: &self.model,
            prompt: texts,
            max_tokens: 1,
            temperature: 0.0,
            echo: true,
            logprobs: 1,
        };
        let body = serde_json::to_vec(&request).map_err(EndpointError::Write)?;
        let mut call = self.agent.post(&self.url).header("Content-Type", "application/json");
        if let Some(key) = &self.key {
            call = call.header("Authorization", format!("Bearer {key}"));
        }
        let mut reply = call.send(&body).map_err(Box::new)?;
        if !reply.status().is_success() {
            return Err(EndpointError::Status(reply.status().as_u16()));
        }
        let bytes =
            reply.body_mut().with_config().limit(MOST_BYTES).read_to_vec().map_err(Box::new)?;
        // The parser's own message may quote the answer.
        let malformed =
            |e: serde_json::Error| EndpointError::Format { line: e.line(), column: e.column() };
        let answer: Answer = serde_json::from_slice(&bytes).map_err(malformed)?;
        let mut found: Vec<Option<Logprobs>> = texts.iter().map(|_| None).collect();
        for choice in answer.choices {
            if let Some(place) = found.get_mut(choice.index) {
                *place = choice.logprobs;
            }
        }
        let whole = |(index, found): (usize, Option<Logprobs>)| {
            found.ok_or(EndpointError::Echo(first + index))
        };
        found.into_iter().enumerate().map(whole).collect()
    }
}

impl Reader for Endpoint {
    fn read(
        &mut self,
        questions: &[&Question],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Reading>>, ReadError> {
        let mut all = Vec::with_capacity(questions.len());
        for questions in questions.chunks(TEXTS) {
            let text = |question: &&'_ Question| match &question.passage {
                Passage::Text(text) => Ok(text.clone()),
                Passage::Tokens(_) => Err(EndpointError::Tokens),
            };
            let texts = questions.iter().map(text).collect::<Result<Vec<String>, _>>()?;
            let answers =
                self.ask(&texts.iter().map(String::as_str).collect::<Vec<_>>(), all.len())?;
            for ((question, text), answer) in questions.iter().zip(&texts).zip(answers) {
                let read = answer.readings(question, text).ok_or(EndpointError::Echo(all.len()))?;
                all.push(read);
            }
            progress(questions.len());
        }
        Ok(all)
    }
}

impl Logprobs {
    /// What a question asks; `None` if the tokens do not make up its text.
    fn readings(&self, question: &Question, text: &str) -> Option<Vec<Reading>> {
        let bytes = self.bytes(text)?;
        let reading = |counted| -> Option<Reading> {
            let places = places(counted, text, &bytes, question.limit);
            let scores = places.into_iter().map(|place| self.token_logprobs[place]);
            let scores = scores.collect::<Option<Vec<f64>>>()?;
            scores.iter().all(|score| score.is_finite()).then(|| scores.into_iter().collect())
        };
        question.counted.iter().map(reading).collect()
    }

    /// The bytes of each token of the text; those of tokens that were generated are left out.
    fn bytes(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).collect();
        let own = self.text_offset.iter().take_while(|offset| **offset < starts.len());
        let mut begins: Vec<usize> = own.map(|offset| starts[*offset]).collect();
        let sound = self.text_offset.len() == self.token_logprobs.len()
            && begins.first() == Some(&0)
            && begins.is_sorted();
        begins.push(text.len());
        sound.then(|| begins.windows(2).map(|pair| pair[0]..pair[1]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::Counted;

    fn logprobs(text_offset: &[usize]) -> Logprobs {
        let token_logprobs =
            text_offset.iter().enumerate().map(|(i, _)| (i > 0).then(|| -(i as f64))).collect();
        Logprobs { token_logprobs, text_offset: text_offset.to_vec() }
    }

    #[test]
    fn offsets_are_characters_and_what_was_generated_does_not_count() {
        // "é" is two bytes; the fourth token begins where the text ends.
        let text = "caf\u{e9} au lait";
        let bytes = logprobs(&[0, 4, 7, 12]).bytes(text).unwrap();
        assert_eq!(bytes, [0..5, 5..8, 8..13]);
        let question =
            Question { counted: vec![Counted::All, Counted::part(9..13)], ..Question::whole(text) };
        let read = logprobs(&[0, 4, 7, 12]).readings(&question, text).unwrap();
        assert_eq!(read[0], Reading { sum: -3.0, tokens: 2 });
        assert_eq!(read[1], Reading { sum: -2.0, tokens: 1 });
    }

    #[test]
    fn tokens_that_are_not_the_text_are_refused() {
        let question = Question::whole("au lait");
        for offsets in [&[1, 2][..], &[0, 3, 2], &[]] {
            assert!(logprobs(offsets).readings(&question, "au lait").is_none(), "{offsets:?}");
        }
        let short = Logprobs { token_logprobs: vec![None], ..logprobs(&[0, 2]) };
        assert!(short.readings(&question, "au lait").is_none());
        let missing = Logprobs { token_logprobs: vec![None, None], ..logprobs(&[0, 2]) };
        assert!(missing.readings(&question, "au lait").is_none());
    }
}
