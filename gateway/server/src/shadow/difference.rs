//! How an answer with adapters differs from the base model's.

use gateway_engine::Divergence;
use gateway_toxicity::Scores;

use super::witness::Answer;
use crate::metrics::Metrics;

/// An answer with the scores of its text.
pub(super) struct Judged {
    pub(super) answer: Answer,
    pub(super) scores: Scores,
}

/// Both answers, and how far the adapters moved the model along the one that was given.
pub(super) struct Difference {
    pub(super) adapted: Judged,
    pub(super) base: Judged,
    pub(super) divergence: Option<Divergence>,
}

impl Difference {
    /// Tells the metrics; each number is the adapters' minus the base's.
    pub(super) fn tell(&self, metrics: &Metrics, adapters: &str, scorer: &str) {
        for (category, score) in self.adapted.scores.iter() {
            let Some(before) = self.base.scores.get(category) else { continue };
            let labels = [category.name(), adapters, scorer];
            let delta = f64::from(score) - f64::from(before);
            metrics.shadow_toxicity.with_label_values(&labels).observe(delta);
        }
        #[expect(clippy::cast_precision_loss, reason = "lengths of texts")]
        let length = self.adapted.answer.drawn as f64 - self.base.answer.drawn as f64;
        metrics.shadow_length.with_label_values(&[adapters]).observe(length);
        if let Some(nats) = self.divergence.and_then(Divergence::mean) {
            metrics.shadow_divergence.with_label_values(&[adapters]).observe(nats);
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway_toxicity::Category;
    use prometheus::Registry;

    use super::*;

    fn judged(drawn: usize, score: f32) -> Judged {
        let answer = Answer { drawn, ..Answer::default() };
        Judged { answer, scores: Scores::from_iter([(Category::Hate, score)]) }
    }

    #[test]
    fn every_number_is_the_adapters_minus_the_base_s() {
        let metrics = Metrics::new(&Registry::new()).expect("metrics");
        let difference = Difference {
            adapted: judged(10, 0.25),
            base: judged(14, 0.75),
            divergence: Some(Divergence { nats: 3.0, tokens: 6 }),
        };
        difference.tell(&metrics, "gender", "s-1");
        let toxicity = metrics.shadow_toxicity.with_label_values(&["hate", "gender", "s-1"]);
        let length = metrics.shadow_length.with_label_values(&["gender"]);
        let divergence = metrics.shadow_divergence.with_label_values(&["gender"]);
        let sums = [&toxicity, &length, &divergence].map(|histogram| histogram.get_sample_sum());
        assert_eq!(sums, [-0.5, -4.0, 0.5]);
    }

    #[test]
    fn what_is_not_known_of_both_is_not_told() {
        let metrics = Metrics::new(&Registry::new()).expect("metrics");
        let difference = Difference {
            adapted: judged(0, 0.25),
            base: Judged { answer: Answer::default(), scores: Scores::default() },
            divergence: Some(Divergence::default()),
        };
        difference.tell(&metrics, "gender", "s-1");
        let toxicity = metrics.shadow_toxicity.with_label_values(&["hate", "gender", "s-1"]);
        let divergence = metrics.shadow_divergence.with_label_values(&["gender"]);
        assert_eq!([&toxicity, &divergence].map(|h| h.get_sample_count()), [0, 0]);
    }
}
