//! Watches an answer that is to be compared.

use std::sync::Arc;
use std::time::Instant;

use gateway_engine::Chunk;
use gateway_wire::FinishReason;

use super::{Original, Shadow};
use crate::clock;

/// Sees the chunks of a request's first answer, which becomes a case when it has come to its end.
/// One that moderation cut short does not: it would be compared or not as the scorer is slow or
/// fast.
pub(crate) struct Witness {
    shadow: Arc<Shadow>,
    case: Option<Case>,
}

/// An answer, and what it is an answer to.
pub(super) struct Case {
    pub(super) original: Original,
    /// The label of the adapter set.
    pub(super) adapters: Arc<str>,
    pub(super) answer: Answer,
    /// When the answer had ended.
    pub(super) entered: Instant,
}

/// What the engine said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) tokens: Vec<u32>,
    /// Tokens drawn, one that ended the text included.
    pub(super) drawn: usize,
}

impl Witness {
    pub(super) fn new(shadow: Arc<Shadow>, original: Original, adapters: Arc<str>) -> Self {
        let answer = Answer::default();
        let case = Some(Case { original, adapters, answer, entered: clock::now() });
        Self { shadow, case }
    }

    /// Takes a chunk of answer `index`; only the first is compared.
    pub(crate) fn note(&mut self, index: usize, chunk: &Chunk) {
        if let Some(case) = self.case.as_mut().filter(|_| index == 0) {
            case.answer.add(chunk);
        }
    }

    /// Answer `index` has come to its end.
    pub(crate) fn end(&mut self, index: usize, finish: FinishReason) {
        let Some(case) = self.case.take_if(|_| index == 0) else { return };
        if finish != FinishReason::ContentFilter {
            self.shadow.enter(Case { entered: clock::now(), ..case });
        }
    }
}

impl Answer {
    pub(super) fn add(&mut self, chunk: &Chunk) {
        self.text.push_str(&chunk.text);
        self.tokens.extend(chunk.tokens.iter().map(|token| token.id));
        if let Some(finish) = chunk.finish {
            self.drawn = finish.completion_tokens;
        }
    }
}

#[cfg(test)]
mod tests {
    use adapters::AdapterVector;
    use gateway_engine::{
        Admission, Finish, FinishReason as EngineFinish, Grammar, Job, Limits, Logprobs, Priority,
        Sampling, ScoredToken,
    };
    use prometheus::Registry;
    use tokio::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::metrics::Metrics;

    /// Shadow runs that nobody makes, and where they wait: one has room.
    fn shadow() -> (Arc<Shadow>, Receiver<Case>) {
        let (queue, cases) = channel(1);
        let metrics = Metrics::new(&Registry::new()).expect("metrics");
        (Arc::new(Shadow { rate: 1.0, queue, metrics }), cases)
    }

    fn job() -> Job {
        Job {
            prompt: vec![1, 2],
            adapters: AdapterVector::default(),
            sampling: Sampling::default(),
            limits: Limits {
                max_tokens: 9,
                min_tokens: 0,
                ignore_eos: false,
                stop: Vec::new(),
                stop_tokens: Vec::new(),
            },
            grammar: Grammar::Free,
            logprobs: Logprobs::default(),
            companions: Vec::new(),
            comparison: None,
            priority: Priority::Foreground,
            trace: None,
            deadline: clock::now(),
            permit: Arc::new(Admission::new(1).admit().expect("free")),
        }
    }

    fn chunk(id: u32, text: &str, completion_tokens: usize) -> Chunk {
        let token = ScoredToken { id, bytes: Vec::new(), logprob: None, top: Vec::new() };
        let (reason, prompt_tokens, cached_tokens) = (EngineFinish::Stop, 2, 0);
        let finish = Finish { reason, prompt_tokens, cached_tokens, completion_tokens };
        let finish = Some(finish).filter(|_| completion_tokens > 0);
        Chunk { text: text.to_owned(), tokens: vec![token], finish, ..Chunk::default() }
    }

    /// Two answers of which the first ends so.
    fn watch(shadow: &Arc<Shadow>, finish: FinishReason) {
        let original = Original::of(&job());
        let mut witness = Witness::new(Arc::clone(shadow), original, "gender".into());
        for (index, chunk) in [(0, chunk(7, "a", 0)), (1, chunk(8, "b", 0)), (0, chunk(9, "c", 3))]
        {
            witness.note(index, &chunk);
        }
        witness.end(1, FinishReason::Stop);
        witness.end(0, finish);
    }

    #[test]
    fn the_first_answer_becomes_a_case_when_it_ends() {
        let (shadow, mut cases) = shadow();
        watch(&shadow, FinishReason::Stop);
        let case = cases.try_recv().expect("a case");
        let expected = Answer { text: "ac".to_owned(), tokens: vec![7, 9], drawn: 3 };
        assert_eq!(case.answer, expected);
        assert_eq!(&*case.adapters, "gender");
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_case() {
        let (shadow, mut cases) = shadow();
        watch(&shadow, FinishReason::ContentFilter);
        assert!(cases.try_recv().is_err());
    }

    #[test]
    fn cases_beyond_the_queue_are_dropped_and_counted() {
        let (shadow, mut cases) = shadow();
        (0..3).for_each(|_| watch(&shadow, FinishReason::Length));
        assert!(cases.try_recv().is_ok());
        assert!(cases.try_recv().is_err());
        assert_eq!(shadow.metrics.shadow_runs.with_label_values(&["dropped"]).get(), 2);
    }
}
