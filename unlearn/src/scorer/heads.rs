//! The encoder scorer's making: linear heads on a sentence encoder's vectors.
//!
//! Every training text becomes a vector, each category's head is fitted to those whose label is
//! known, and its logits are calibrated on validation texts, cut as the gateway cuts them.

mod logistic;
mod run;

use candle_core::{Device, Tensor};
use gateway_toxicity::encoder::{
    CategoryHead, Description, Encoder, EncoderError, Group, Heads, HeadsError, Layer,
};
use gateway_toxicity::{Category, Window};

use self::logistic::{Fitted, Texts};
use super::calibration::{self, Judged};
use super::data::Example;
use super::grammar::{Grammar, GrammarError};
use super::lexicon;
use crate::corpus::Part;
use crate::random::Random;

pub use run::{HeadsRun, HeadsRunError};

/// The threshold of heads that are not calibrated yet.
const THRESHOLD: f32 = 0.5;

/// Texts that are embedded between two reports.
const EMBEDDED_TEXTS: usize = 64;

/// Why training did not end well.
#[derive(Debug, thiserror::Error)]
pub enum HeadsTrainError {
    /// The run file is about another encoder.
    #[error("the run is for encoder {wanted}, not {found}")]
    OtherEncoder {
        /// Fingerprint in the run file.
        wanted: String,
        /// Fingerprint of the encoder that is there.
        found: String,
    },
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] EncoderError),
    /// The result does not pass the reader's checks.
    #[error(transparent)]
    Heads(#[from] HeadsError),
    /// The grammar is malformed.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A category has no validation texts of both kinds.
    #[error("{0} cannot be calibrated: the validation texts lack one of its labels")]
    Calibration(Category),
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Embedded {
    /// Texts that have their vectors.
    pub done: usize,
    /// Texts in all.
    pub texts: usize,
}

/// Trains heads on the training part of `examples` and of the grammar, and calibrates them on the
/// validation part. The same run, data and encoder give the same files.
///
/// # Errors
/// [`HeadsTrainError`] if run, data and encoder do not fit together.
pub fn train(
    run: &HeadsRun,
    examples: &[Example],
    encoder: &Encoder,
    progress: &mut dyn FnMut(Embedded),
) -> Result<Heads, HeadsTrainError> {
    if run.encoder != encoder.fingerprint() {
        let (wanted, found) = (run.encoder.clone(), encoder.fingerprint().to_owned());
        return Err(HeadsTrainError::OtherEncoder { wanted, found });
    }
    let slurs = lexicon::slurs(examples);
    let mut random = Random::new(run.seed);
    let mut sentences = |part, count| {
        let grammar = Grammar::ours(part, &slurs)?;
        Ok::<_, GrammarError>((0..count).map(|_| grammar.sentence(&mut random).example).collect())
    };
    let real = |part| examples.iter().filter(move |example| example.part == part).cloned();
    let mut texts: Vec<Example> = sentences(Part::Train, run.training.sentences)?;
    texts.extend(real(Part::Train));
    let vectors = embed(encoder, &texts, progress)?;
    let (mean, deviation) = moments(&vectors, encoder.width());
    let fitted = fit(run, &texts, &vectors, (&mean, &deviation))?;
    let plain = Category::ALL.map(|category| CategoryHead::new(category, THRESHOLD, 1.0, 0.0));
    let heads = build(run, plain.into(), (mean, deviation), &fitted)?;
    let sentences: Vec<Example> = sentences(Part::Valid, run.training.threshold_sentences)?;
    calibrate(&heads, encoder, &real(Part::Valid).collect::<Vec<_>>(), &sentences)
}

/// The vector of each text.
fn embed(
    encoder: &Encoder,
    texts: &[Example],
    progress: &mut dyn FnMut(Embedded),
) -> Result<Vec<Vec<f32>>, EncoderError> {
    let mut vectors = Vec::with_capacity(texts.len());
    for part in texts.chunks(EMBEDDED_TEXTS) {
        let part: Vec<&str> = part.iter().map(|example| example.text.as_str()).collect();
        vectors.extend(encoder.embed(&part)?);
        progress(Embedded { done: vectors.len(), texts: texts.len() });
    }
    Ok(vectors)
}

/// Mean and standard deviation of each number of the vectors; a constant one keeps its scale.
fn moments(vectors: &[Vec<f32>], width: usize) -> (Vec<f32>, Vec<f32>) {
    #[expect(clippy::cast_precision_loss, reason = "texts are few")]
    let count = vectors.len().max(1) as f64;
    let average = |of: &dyn Fn(f64, usize) -> f64| -> Vec<f64> {
        let sum = |i: usize| vectors.iter().map(|v| of(f64::from(v[i]), i)).sum::<f64>();
        (0..width).map(|i| sum(i) / count).collect()
    };
    let mean = average(&|x, _| x);
    let variance = average(&|x, i| (x - mean[i]).powi(2));
    let spread = |variance: &f64| if *variance > 0.0 { variance.sqrt() } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, reason = "stored in single precision")]
    let single = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect();
    let deviation = variance.iter().map(spread).collect();
    (single(mean), single(deviation))
}

fn fit(
    run: &HeadsRun,
    texts: &[Example],
    vectors: &[Vec<f32>],
    (mean, deviation): (&[f32], &[f32]),
) -> candle_core::Result<Fitted> {
    let shape = (texts.len(), Category::ALL.len());
    let labels = || texts.iter().flat_map(|e| Category::ALL.map(|category| e.labels.get(category)));
    let targets: Vec<f32> = labels().map(|label| label.unwrap_or(0.0)).collect();
    let known: Vec<f32> = labels().map(|label| f32::from(u8::from(label.is_some()))).collect();
    let scaled = vectors.iter().flat_map(|vector| {
        vector.iter().zip(mean).zip(deviation).map(|((x, mean), deviation)| (x - mean) / deviation)
    });
    let inputs = Tensor::from_vec(scaled.collect(), (texts.len(), mean.len()), &Device::Cpu)?;
    let texts = Texts {
        inputs,
        targets: Tensor::from_vec(targets, shape, &Device::Cpu)?,
        known: Tensor::from_vec(known, shape, &Device::Cpu)?,
    };
    logistic::fit(&texts, run.training.l2, run.training.rounds)
}

fn build(
    run: &HeadsRun,
    categories: Vec<CategoryHead>,
    (mean, deviation): (Vec<f32>, Vec<f32>),
    fitted: &Fitted,
) -> Result<Heads, HeadsTrainError> {
    let description = Description {
        schema: 1,
        name: run.name.clone(),
        encoder: run.encoder.clone(),
        width: mean.len(),
        windows: run.windows,
        groups: vec![Group { name: "all".into(), hidden: None, categories }],
    };
    let output = Layer {
        weight: fitted.weight.flatten_all()?.to_vec1()?,
        bias: fitted.bias.flatten_all()?.to_vec1()?,
    };
    Ok(Heads::new(description, mean, deviation, vec![(None, output)])?)
}

/// The same heads, each calibrated on real texts, with its threshold chosen on those and the
/// grammar's sentences.
fn calibrate(
    heads: &Heads,
    encoder: &Encoder,
    texts: &[Example],
    sentences: &[Example],
) -> Result<Heads, HeadsTrainError> {
    let all = |examples: &[Example]| -> Result<Vec<Judged>, EncoderError> {
        examples.iter().map(|example| judged(encoder, heads, example)).collect()
    };
    let (real, sentences) = (all(texts)?, all(sentences)?);
    let calibrated = Category::ALL.into_iter().map(|category| {
        let fitted = calibration::of_category(&real, &sentences, category);
        let (fitted, threshold) = fitted.ok_or(HeadsTrainError::Calibration(category))?;
        Ok(CategoryHead::new(category, threshold, fitted.slope, fitted.offset))
    });
    let calibrated = calibrated.collect::<Result<_, HeadsTrainError>>()?;
    Ok(heads.clone().calibrated(calibrated)?)
}

fn judged(encoder: &Encoder, heads: &Heads, example: &Example) -> Result<Judged, EncoderError> {
    let cut = heads.windows().cut(&example.text);
    let texts: Vec<&str> = cut.iter().map(Window::text).collect();
    let vectors = encoder.embed(if texts.is_empty() { &[""] } else { &texts })?;
    let logits = vectors.iter().map(|vector| heads.logits(vector));
    Ok(Judged { labels: example.labels, logits: calibration::highest(logits) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_toxicity::encoder::SentenceScorer;
    use gateway_toxicity::{Scorer as _, Scores};

    use super::*;
    use crate::scorer::data::Source;

    const WORDS: [&str; 6] = ["the", "cat", "sat", "mat", "and", "on"];

    fn encoder() -> Encoder {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/encoders");
        Encoder::open(&Path::new(fixtures).join("sentence")).unwrap()
    }

    fn run(encoder: &str) -> HeadsRun {
        let text = format!(
            "name = \"h-1\"\nencoder = \"{encoder}\"\nseed = 0\nwindows = {{ words = 8, stride = 4 }}\n\
             [training]\nl2 = 0.001\nrounds = 300\nsentences = 0\nthreshold_sentences = 0\n"
        );
        HeadsRun::parse(&text).unwrap()
    }

    /// Texts that are toxic where there is a dog. Other categories are the same, and those of half
    /// the texts are not known.
    fn examples() -> Vec<Example> {
        let mut random = Random::new(5);
        let texts = (0..600).map(|n| {
            let mut words: Vec<_> = (0..3).map(|_| *random.pick(&WORDS)).collect();
            let toxic = n % 2 == 0;
            if toxic {
                words[1] = "dog";
            }
            let known = Category::ALL.into_iter().filter(|c| *c == Category::Toxicity || n % 4 < 2);
            let labels = known.map(|category| (category, f32::from(u8::from(toxic))));
            let part = if n % 5 == 0 { Part::Valid } else { Part::Train };
            let labels = Scores::from_iter(labels);
            Example { source: Source::Davidson, part, text: words.join(" "), labels }
        });
        let mut texts: Vec<_> = texts.collect();
        // Words that are hateful in the mined sense, so that the grammar has some.
        for n in 0..20 {
            let labels = Scores::from_iter([(Category::Hate, f32::from(u8::from(n % 2 == 0)))]);
            let text = if n % 2 == 0 { "grimblewark it" } else { "it" }.to_owned();
            texts.push(Example { source: Source::Davidson, part: Part::Train, text, labels });
        }
        texts
    }

    fn trained() -> Heads {
        let encoder = encoder();
        train(&run(encoder.fingerprint()), &examples(), &encoder, &mut |_| ()).unwrap()
    }

    #[test]
    fn heads_tell_apart_what_the_vectors_tell_apart() {
        let scorer = SentenceScorer::new(encoder(), trained()).unwrap();
        let examples: Vec<_> = examples().into_iter().filter(|e| e.part == Part::Valid).collect();
        let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
        let scores = scorer.score(&texts).unwrap();
        let threshold = scorer.thresholds().get(Category::Toxicity).unwrap();
        let right = examples.iter().zip(&scores).filter(|(example, scores)| {
            let toxic = |scores: &Scores| scores.get(Category::Toxicity).unwrap();
            (toxic(scores) >= threshold) == (toxic(&example.labels) >= 0.5)
        });
        // The encoder is noise of eight numbers: it holds most of the answer, not all.
        let (right, all) = (right.count(), texts.len());
        assert!(right * 10 > all * 8, "{right} of {all}");
        assert_eq!(scores[0].iter().count(), Category::ALL.len());
    }

    #[test]
    fn the_same_run_makes_the_same_files() {
        assert_eq!(trained(), trained());
    }

    #[test]
    fn another_encoder_than_the_runs_is_refused() {
        let error = train(&run("sha256:00"), &[], &encoder(), &mut |_| ()).unwrap_err();
        assert!(matches!(error, HeadsTrainError::OtherEncoder { .. }));
    }
}
