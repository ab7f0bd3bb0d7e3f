//! A scorer with made-up weights, and the many ways in which its file can be wrong.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::*;
use crate::{Window, score_text};

const EMBEDDING: usize = 3;
const CHANNELS: usize = 5;

/// Numbers that look random and are the same everywhere.
fn values(count: usize, seed: f32) -> Vec<f32> {
    (0..count).map(|n| ((n as f32 + seed) * 1.618).sin()).collect()
}

fn layer(outputs: usize, inputs: usize, seed: f32) -> Layer {
    Layer { weights: values(outputs * inputs, seed), bias: values(outputs, seed + 0.5) }
}

fn model() -> FastModel {
    let vocabulary = ["[UNK]", "moon", "##s", "is", "round"].map(str::to_owned).to_vec();
    let heads = [Category::Toxicity, Category::BiasRace];
    let size = |n| std::num::NonZeroUsize::new(n).unwrap();
    FastModel {
        embedding: values(vocabulary.len() * EMBEDDING, 1.0),
        vocabulary,
        first: layer(CHANNELS, 3 * EMBEDDING, 2.0),
        second: layer(CHANNELS, 3 * CHANNELS, 3.0),
        hidden: layer(CHANNELS, 2 * CHANNELS, 4.0),
        heads: layer(heads.len(), CHANNELS, 5.0),
        categories: heads.map(|head| (head, Calibration { slope: 2.0, offset: -0.5 })).to_vec(),
        thresholds: heads.into_iter().map(|head| (head, 0.5)).collect(),
        windows: WindowShape::new(size(4), size(2)),
    }
}

fn scorer() -> FastScorer {
    FastScorer::from_bytes(&model().to_bytes().unwrap()).unwrap()
}

/// The network as its description says, one number at a time, in double precision.
fn reference(model: &FastModel, pieces: &[u32]) -> Vec<f64> {
    let affine = |layer: &Layer, x: &[f64]| -> Vec<f64> {
        let row = |(w, b): (&[f32], &f32)| {
            w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum::<f64>() + f64::from(*b)
        };
        layer.weights.chunks(x.len()).zip(&layer.bias).map(row).collect()
    };
    let relu = |x: Vec<f64>| -> Vec<f64> { x.into_iter().map(|v| v.max(0.0)).collect() };
    let around = |rows: &[Vec<f64>], at: usize| -> Vec<f64> {
        let zeros = vec![0.0; rows[0].len()];
        let row = |offset: isize| {
            at.checked_add_signed(offset).and_then(|n| rows.get(n)).unwrap_or(&zeros)
        };
        [row(-1), row(0), row(1)].into_iter().flatten().copied().collect()
    };
    let embed = |&piece: &u32| -> Vec<f64> {
        let row = &model.embedding[piece as usize * EMBEDDING..][..EMBEDDING];
        let unit = row.iter().fold(0.0_f32, |high, v| high.max(v.abs())) / 127.0;
        row.iter().map(|v| f64::from((v / unit).round() * unit)).collect()
    };
    let embedded: Vec<_> = pieces.iter().map(embed).collect();
    let low: Vec<_> =
        (0..pieces.len()).map(|n| relu(affine(&model.first, &around(&embedded, n)))).collect();
    let high: Vec<Vec<f64>> = (0..pieces.len())
        .map(|n| {
            let convolved = relu(affine(&model.second, &around(&low, n)));
            convolved.iter().zip(&low[n]).map(|(a, b)| a + b).collect()
        })
        .collect();
    let column = |c: usize| high.iter().map(move |row| row[c]);
    let highest = (0..CHANNELS).map(|c| column(c).fold(f64::NEG_INFINITY, f64::max));
    let mean = (0..CHANNELS).map(|c| column(c).sum::<f64>() / pieces.len() as f64);
    let pooled: Vec<_> = highest.chain(mean).collect();
    affine(&model.heads, &relu(affine(&model.hidden, &pooled)))
}

#[test]
fn logits_are_those_of_the_description() {
    let (model, scorer) = (model(), scorer());
    for text in ["moon", "", "Moons is round", "round round moon is is moons strange moon"] {
        let expected = reference(&model, &scorer.pieces(text));
        for ((_, logit), expected) in scorer.logits(text).into_iter().zip(expected) {
            assert!((f64::from(logit) - expected).abs() < 1e-4, "{logit} {expected}");
        }
    }
}

#[test]
fn scores_are_calibrated_logits_and_unknown_categories_are_absent() {
    let scorer = scorer();
    let scores = scorer.score(&["moons is round"]).unwrap()[0];
    let (category, logit) = scorer.logits("moons is round")[1];
    assert_eq!(category, Category::BiasRace);
    let expected = 1.0 / (1.0 + (-(2.0 * logit - 0.5)).exp());
    assert!((scores.get(category).unwrap() - expected).abs() < 1e-6);
    assert_eq!(scores.get(Category::Hate), None);
}

#[test]
fn a_text_has_the_highest_score_of_its_windows() {
    let scorer = scorer();
    let text = "moon is round moons strange is moon round is";
    let cut = scorer.windows().cut(text);
    let texts: Vec<_> = cut.iter().map(Window::text).collect();
    let highest = scorer.score(&texts).unwrap().iter().fold(Scores::default(), |a, b| a.max(b));
    assert_eq!(score_text(&scorer, text).unwrap(), highest);
    assert!(texts.len() > 3);
}

#[test]
fn the_version_follows_the_files_content() {
    let mut other = model();
    other.heads.bias[0] += 1.0;
    let other = FastScorer::from_bytes(&other.to_bytes().unwrap()).unwrap();
    assert_eq!(scorer().version(), scorer().version());
    assert_ne!(scorer().version(), other.version());
    assert!(scorer().version().starts_with("lethe-toxicity-1-"));
}

#[test]
fn the_embedded_scorer_is_sound_and_knows_every_category() {
    let scorer = FastScorer::embedded().unwrap();
    let scores = score_text(&scorer, "The moon is round.").unwrap();
    assert_eq!(scores.iter().count(), Category::ALL.len());
    assert!(scores.flagged(scorer.thresholds()).next().is_none());
}

/// The file with one thing changed.
fn corrupted(
    change: impl FnOnce(&mut HashMap<String, (Dtype, Vec<usize>, Vec<u8>)>, &mut String),
) -> Result<FastScorer, FileError> {
    let bytes = model().to_bytes().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut meaning = header.metadata().as_ref().unwrap()["scorer"].clone();
    let mut tensors: HashMap<_, _> = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    change(&mut tensors, &mut meaning);
    let views = tensors.iter().map(|(name, (kind, shape, data))| {
        (name.as_str(), TensorView::new(*kind, shape.clone(), data).unwrap())
    });
    let metadata = HashMap::from([("scorer".to_owned(), meaning)]);
    FastScorer::from_bytes(&safetensors::serialize(views, Some(metadata)).unwrap())
}

#[test]
fn a_file_that_is_not_changed_is_read() {
    assert!(corrupted(|_, _| ()).is_ok());
}

#[test]
fn bytes_that_are_no_file_are_refused() {
    let bytes = model().to_bytes().unwrap();
    for length in [0, 7, 8, 200, bytes.len() - 1] {
        assert!(matches!(FastScorer::from_bytes(&bytes[..length]), Err(FileError::Safetensors(_))));
    }
}

#[test]
fn metadata_that_do_not_mean_a_scorer_are_refused() {
    let changes: [(&str, &str); 7] = [
        ("\"schema\":1", "\"schema\":2"),
        ("\"schema\":1", "\"schema\":1,\"more\":1"),
        ("bias/race", "bias/height"),
        ("bias/race", "toxicity"),
        ("\"slope\":2.0", "\"slope\":-2.0"),
        ("\"threshold\":0.5", "\"threshold\":1.5"),
        ("\"window_words\":4", "\"window_words\":0"),
    ];
    for (from, to) in changes {
        let read = corrupted(|_, meaning| {
            assert!(meaning.contains(from), "{from}");
            *meaning = meaning.replacen(from, to, 1);
        });
        assert!(matches!(read, Err(FileError::Meaning(_))), "{to}");
    }
}

#[test]
fn tensors_that_do_not_fit_each_other_are_refused() {
    for name in
        ["embedding.values", "embedding.scales", "first.weight", "second.bias", "heads.weight"]
    {
        let read = corrupted(|tensors, _| {
            let (_, shape, _) = tensors.get_mut(name).unwrap();
            shape.push(1);
        });
        assert!(matches!(read, Err(FileError::Shape(_))), "{name}");
        let read = corrupted(|tensors, _| {
            tensors.remove(name);
        });
        assert!(matches!(read, Err(FileError::Safetensors(_))), "{name}");
    }
    let one_head_less = corrupted(|_, meaning| {
        let at = meaning.find(",{\"category\":\"bias/race\"").unwrap();
        meaning.truncate(at);
        meaning.push_str("]}");
    });
    assert!(matches!(one_head_less, Err(FileError::Shape("heads.weight"))));
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let read = corrupted(|tensors, _| {
        let (_, _, data) = tensors.get_mut("hidden.bias").unwrap();
        data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    assert!(matches!(read, Err(FileError::NotFinite("hidden.bias"))));
}

#[test]
fn vocabularies_that_are_not_sound_are_refused() {
    let vocabulary = |text: &'static [u8]| {
        corrupted(move |tensors, _| {
            tensors.insert("vocabulary".to_owned(), (Dtype::U8, vec![text.len()], text.to_vec()));
        })
    };
    assert!(matches!(vocabulary(b"moon\nis"), Err(FileError::Vocabulary)));
    assert!(matches!(vocabulary(b"[UNK]\nis\nis"), Err(FileError::Vocabulary)));
    assert!(matches!(vocabulary(b"[UNK]\n\xff"), Err(FileError::Vocabulary)));
    assert!(matches!(vocabulary(b"[UNK]\nis"), Err(FileError::Shape(_))));
}
