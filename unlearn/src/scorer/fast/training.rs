//! The training loop.

use gateway_toxicity::fast::{Calibration, FastModel, FileError, Layer};
use gateway_toxicity::{Category, FastScorer, Scorer as _, Scores, WindowShape};

use super::corpus::Corpus;
use super::embedding::{self, Encoder, Pretrained};
use super::network::{Dropout, Network, loss};
use super::run::FastRun;
use crate::corpus::Part;
use crate::optimiser::{AdamW, AdamWSettings};
use crate::random::Random;
use crate::scorer::calibration::{self, Judged};
use crate::scorer::data::Example;
use crate::scorer::grammar::{Grammar, GrammarError};
use crate::scorer::lexicon;

/// A category is flagged from this probability on until validation says better.
const THRESHOLD: f32 = 0.5;

/// Why training did not end well.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The tensor library failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The grammar is malformed.
    #[error(transparent)]
    Grammar(#[from] GrammarError),
    /// The result does not pass the reader's checks.
    #[error(transparent)]
    File(#[from] FileError),
    /// The loss is not a number any more.
    #[error("the loss is not finite at step {0}")]
    NotFinite(usize),
    /// A category has no validation texts of both kinds.
    #[error("{0} cannot be calibrated: the validation texts lack one of its labels")]
    Calibration(Category),
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done, of all passes.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The last step's loss.
    pub loss: f32,
}

/// Trains a scorer on the training part of `examples` and of the grammar, and calibrates it on the
/// validation part. The same run and data give the same file.
///
/// # Errors
/// [`TrainError`] if the data or the encoder do not fit, or the loss diverges.
pub fn train(
    run: &FastRun,
    examples: &[Example],
    encoder: &Encoder,
    vocabulary: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<FastModel, TrainError> {
    let slurs = lexicon::slurs(examples);
    let grammar = Grammar::ours(Part::Train, &slurs)?;
    let start = embedding::pretrained(encoder, vocabulary, run.embedding.width)?;
    let mut random = Random::new(run.seed);
    let heads = Category::ALL.len();
    let network = Network::new(&start.rows, run.network.channels, heads, &mut random)?;
    let cutter = FastScorer::from_bytes(&model(run, &start, &network)?.to_bytes()?)?;
    let unknown = cutter.pieces("").first().copied().unwrap_or_default();
    let corpus = Corpus { examples, grammar: &grammar, cutter: &cutter, unknown };
    fit(run, &network, &corpus, &mut random, progress)?;
    let mut trained = model(run, &start, &network)?;
    calibrate(run, &mut trained, examples, &Grammar::ours(Part::Valid, &slurs)?, &mut random)?;
    Ok(trained)
}

/// Calibrates on the validation part of `examples`, and sets thresholds on those and the grammar's
/// sentences together: real texts say how likely harm is, the grammar what it looks like.
fn calibrate(
    run: &FastRun,
    trained: &mut FastModel,
    examples: &[Example],
    grammar: &Grammar,
    random: &mut Random,
) -> Result<(), TrainError> {
    let scorer = FastScorer::from_bytes(&trained.to_bytes()?)?;
    let sentences = (0..run.training.threshold_sentences).map(|_| grammar.sentence(random).example);
    let sentences: Vec<Example> = sentences.collect();
    let judged = |example: &Example| {
        let windows = scorer.windows().cut(&example.text);
        let logits = windows.iter().map(|window| scorer.logits(window.text()));
        Judged { labels: example.labels, logits: calibration::highest(logits) }
    };
    let valid = examples.iter().filter(|example| example.part == Part::Valid);
    let real: Vec<_> = valid.map(judged).collect();
    let sentences: Vec<_> = sentences.iter().map(judged).collect();
    for (category, calibration) in &mut trained.categories {
        let fitted = calibration::of_category(&real, &sentences, *category);
        let (fitted, threshold) = fitted.ok_or(TrainError::Calibration(*category))?;
        *calibration = fitted;
        trained.thresholds.set(*category, threshold);
    }
    Ok(())
}

fn fit(
    run: &FastRun,
    network: &Network,
    corpus: &Corpus<'_>,
    random: &mut Random,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), TrainError> {
    let settings = AdamWSettings {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: run.training.weight_decay,
        clip: run.training.clip,
    };
    let mut optimiser = AdamW::new(network.variables(), settings)?;
    let mut step = 0;
    for _ in 0..run.training.epochs {
        let pass = corpus.pass(run, random)?;
        let steps = pass.len() * run.training.epochs;
        for texts in pass {
            let mut dropout = Dropout { share: run.network.dropout, random };
            let logits = network.forward(&texts.batch, &mut dropout)?;
            let loss = loss(&logits, &texts.labels, &texts.known)?;
            optimiser.step(&loss.backward()?, learning_rate(run, step, steps))?;
            step += 1;
            let loss = loss.to_scalar::<f32>()?;
            if !loss.is_finite() {
                return Err(TrainError::NotFinite(step));
            }
            progress(Progress { step, steps, loss });
        }
    }
    Ok(())
}

/// Rises in a line during the warm-up, and falls in a line to the end.
#[expect(clippy::cast_precision_loss, reason = "steps are few")]
fn learning_rate(run: &FastRun, step: usize, steps: usize) -> f64 {
    let warm = (step as f64 + 1.0) / run.training.warmup.max(1) as f64;
    run.training.learning_rate * warm.min(1.0) * (1.0 - step as f64 / steps as f64)
}

/// The network as it is now, not calibrated.
fn model(run: &FastRun, start: &Pretrained, network: &Network) -> candle_core::Result<FastModel> {
    let plain = Calibration { slope: 1.0, offset: 0.0 };
    let layer = |layer: &super::network::Affine| -> candle_core::Result<Layer> { layer.layer() };
    Ok(FastModel {
        vocabulary: start.vocabulary.clone(),
        embedding: network.embedding.flatten_all()?.to_vec1()?,
        first: layer(&network.first)?,
        second: layer(&network.second)?,
        hidden: layer(&network.hidden)?,
        heads: layer(&network.heads)?,
        categories: Category::ALL.into_iter().map(|category| (category, plain)).collect(),
        thresholds: Category::ALL.into_iter().map(|c| (c, THRESHOLD)).collect::<Scores>(),
        windows: WindowShape::new(run.windows.words, run.windows.stride),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;
    use crate::scorer::data::Source;
    use crate::scorer::fast::network::Batch;

    const RUN: &str = r#"
        seed = 1
        embedding = { weights = "w", vocabulary = "v", width = 4 }
        network = { channels = 16, dropout = 0.1, piece_dropout = 0.0 }
        windows = { words = 8, stride = 4 }
        [training]
        epochs = 20
        batch = 16
        learning_rate = 0.02
        warmup = 5
        weight_decay = 0.0
        clip = 1.0
        sentences = 40
        threshold_sentences = 0
        perturbed = 0.0
    "#;

    const WORDS: [&str; 8] = ["[UNK]", "moon", "sun", "grimble", "wark", "the", "is", "near"];

    /// An encoder of invented words, and texts that are toxic where both odd words meet.
    fn trained(seed: u64) -> FastModel {
        let rows: Vec<f32> = (0..WORDS.len() * 6).map(|n| (n as f32 * 1.7).sin()).collect();
        let rows = Tensor::from_vec(rows, (WORDS.len(), 6), &Device::Cpu).unwrap();
        let encoder = Encoder::from([("embeddings.word_embeddings.weight".to_owned(), rows)]);
        let run = FastRun { seed, ..FastRun::parse(RUN).unwrap() };
        let mut random = Random::new(9);
        let texts = (0..400).map(|n| {
            let words: Vec<_> = (0..5).map(|_| *random.pick(&WORDS[1..])).collect();
            let toxic = words.windows(2).any(|pair| pair == ["grimble", "wark"]);
            let labels = Category::ALL.map(|category| (category, f32::from(u8::from(toxic))));
            let part = if n % 4 == 0 { Part::Valid } else { Part::Train };
            let labels = Scores::from_iter(labels);
            Example { source: Source::Davidson, part, text: words.join(" "), labels }
        });
        let mut texts: Vec<_> = texts.collect();
        // Words that are toxic in the mined sense, so that the grammar has some.
        for n in 0..20 {
            let labels = Scores::from_iter([(Category::Hate, f32::from(u8::from(n % 2 == 0)))]);
            let text = if n % 2 == 0 { "grimblewark it" } else { "it" }.to_owned();
            texts.push(Example { source: Source::Davidson, part: Part::Train, text, labels });
        }
        train(&run, &texts, &encoder, &WORDS.join("\n"), &mut |_| ()).unwrap()
    }

    #[test]
    fn words_that_are_harmful_only_together_are_learned() {
        let scorer = FastScorer::from_bytes(&trained(1).to_bytes().unwrap()).unwrap();
        let score =
            |text| gateway_toxicity::score_text(&scorer, text).unwrap().get(Category::Toxicity);
        assert!(score("the moon grimble wark is").unwrap() > 0.5);
        assert!(score("wark the moon is grimble").unwrap() < 0.5);
    }

    #[test]
    fn the_same_seed_makes_the_same_file() {
        let bytes = |seed| trained(seed).to_bytes().unwrap();
        assert_eq!(bytes(2), bytes(2));
        assert_ne!(bytes(2), bytes(3));
    }

    #[test]
    fn the_gateway_computes_what_was_trained() {
        let rows: Vec<f32> = (0..WORDS.len() * 4).map(|n| (n as f32 * 0.9).cos()).collect();
        let rows = Tensor::from_vec(rows, (WORDS.len(), 4), &Device::Cpu).unwrap();
        let network = Network::new(&rows, 16, Category::ALL.len(), &mut Random::new(4)).unwrap();
        let vocabulary = WORDS.map(str::to_owned).to_vec();
        let start = Pretrained { vocabulary, rows };
        let model = model(&FastRun::parse(RUN).unwrap(), &start, &network).unwrap();
        let scorer = FastScorer::from_bytes(&model.to_bytes().unwrap()).unwrap();
        let pieces = scorer.pieces("the moon is near the sun");
        let count = pieces.len();
        // In a batch with a longer text, so that the filling is seen not to matter.
        let padded: Vec<u32> = pieces.iter().copied().chain([0, 0]).chain([1; 8]).collect();
        let mask: Vec<f32> = (0..16).map(|n| f32::from(u8::from(n < count || n >= 8))).collect();
        let batch = Batch {
            pieces: Tensor::from_vec(padded, (2, 8), &Device::Cpu).unwrap(),
            mask: Tensor::from_vec(mask, (2, 8, 1), &Device::Cpu).unwrap(),
        };
        let mut none = Dropout { share: 0.0, random: &mut Random::new(0) };
        let expected: Vec<Vec<f32>> =
            network.forward(&batch, &mut none).unwrap().to_vec2().unwrap();
        for ((_, logit), expected) in
            scorer.logits("the moon is near the sun").iter().zip(&expected[0])
        {
            // Embeddings are rounded to eight bits.
            assert!((logit - expected).abs() < 0.03, "{logit} {expected}");
        }
    }
}
