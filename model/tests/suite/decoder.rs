//! The decoder on the tiny fixture: both backends, both formats, and what a row may depend on.

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use model::kernels::low_rank::{Factors, Update};
use model::kernels::packed::Precision;
use model::kernels::pool::Pool;
use model::{
    DenseDecoder, KvCache, Model, ModelError, NoDelta, PackedDecoder, Projection, RowDelta, Rows,
    Segment, ServedPrecision, Site,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name)
}

fn tiny() -> Model {
    Model::open(&fixture("tiny-llama")).expect("the fixture")
}

fn packed(model: &Model, precision: ServedPrecision, threads: usize) -> PackedDecoder {
    model.packed(precision, Arc::new(Pool::new(threads))).expect("packs")
}

fn tokens(count: usize) -> Vec<u32> {
    (0..count).map(|i| 3 + u32::try_from(i * 37 % 250).expect("small")).collect()
}

/// Logits (tokens, vocabulary) in f32 by the dense decoder.
fn dense_logits(model: &DenseDecoder, tokens: &[u32]) -> Vec<Vec<f32>> {
    let input = Tensor::new(tokens, &Device::Cpu).and_then(|t| t.unsqueeze(0)).expect("tensor");
    let hidden = model.hidden(&input, &NoDelta).expect("forward");
    model.logits(&hidden.squeeze(0).expect("one")).and_then(|l| Ok(l.to_vec2()?)).expect("logits")
}

/// Hidden states of one sequence computed in the given chunks.
fn in_chunks(decoder: &PackedDecoder, tokens: &[u32], chunks: &[usize]) -> Rows {
    let mut cache = KvCache::new(decoder.config(), 8);
    let table = [5, 2, 7, 0, 1, 3, 4, 6];
    let mut out = Rows::zeros(tokens.len(), decoder.config().hidden);
    let mut start = 0;
    for &count in chunks {
        let segment = Segment { tokens: &tokens[start..start + count], start, table: &table };
        let rows = decoder.hidden(&mut cache, &[segment], &NoDelta).expect("forward");
        for row in 0..count {
            out.row_mut(start + row).copy_from_slice(rows.row(row));
        }
        start += count;
    }
    assert_eq!(start, tokens.len());
    out
}

#[test]
fn serving_and_training_paths_give_the_same_logits() {
    let model = tiny();
    let tokens = tokens(40);
    let want = dense_logits(&model.dense(DType::F32, &Device::Cpu).expect("loads"), &tokens);
    // Unrounded weights: what is left is the cache's half precision. Rounded: 8-bit noise.
    for (precision, tolerance) in [(ServedPrecision::F32, 2e-3), (ServedPrecision::Auto, 5e-2)] {
        let decoder = packed(&model, precision, 2);
        let logits = decoder.logits(&in_chunks(&decoder, &tokens, &[40]));
        let scale = want.iter().flatten().fold(0.0_f32, |m, v| m.max(v.abs()));
        for (row, want) in want.iter().enumerate() {
            for (got, want) in logits.row(row).iter().zip(want) {
                let error = (got - want).abs() / scale;
                assert!(error < tolerance, "{precision:?} row {row}: {got} {want}");
            }
        }
    }
}

#[test]
fn gguf_and_safetensors_of_one_model_are_the_same_model() {
    let (folder, file) = (tiny(), Model::open(&fixture("tiny-llama.gguf")).expect("the fixture"));
    let (a, b) = (folder.checkpoint().config(), file.checkpoint().config());
    let close = (a.norm_epsilon - b.norm_epsilon).abs() < 1e-9;
    assert!(close, "{} {}", a.norm_epsilon, b.norm_epsilon);
    assert_eq!(model::Config { norm_epsilon: b.norm_epsilon, ..a.clone() }, *b);
    let dense =
        |m: &Model| dense_logits(&m.dense(DType::F32, &Device::Cpu).expect("loads"), &tokens(20));
    assert_eq!(dense(&folder), dense(&file));
    let text = "Hello 2024, <|im_end|> là! \t\n";
    let encode = |m: &Model| m.tokenizer().encode(text, model::Control::AsText).expect("encodes");
    assert_eq!(encode(&folder), encode(&file));
}

#[test]
fn chunking_and_threads_never_change_a_bit() {
    let model = tiny();
    let tokens = tokens(53);
    for precision in [ServedPrecision::F32, ServedPrecision::Auto] {
        let want = in_chunks(&packed(&model, precision, 1), &tokens, &[53]);
        for threads in [1, 2, 3] {
            let decoder = packed(&model, precision, threads);
            assert_eq!(in_chunks(&decoder, &tokens, &[1; 53]), want);
            assert_eq!(in_chunks(&decoder, &tokens, &[16, 1, 20, 15, 1]), want);
            assert_eq!(decoder.logits(&want).values().len(), 53 * 259);
        }
    }
}

#[test]
fn company_in_the_batch_never_changes_a_bit() {
    let model = tiny();
    let decoder = packed(&model, ServedPrecision::Auto, 2);
    let (a, b, c) = (tokens(30), tokens(47), tokens(9));
    let alone = in_chunks(&decoder, &a, &[30]);
    let mut cache = KvCache::new(decoder.config(), 8);
    let segments = [
        Segment { tokens: &c, start: 0, table: &[7] },
        Segment { tokens: &a, start: 0, table: &[1, 0] },
        Segment { tokens: &b, start: 0, table: &[4, 2, 3] },
    ];
    let together = decoder.hidden(&mut cache, &segments, &NoDelta).expect("forward");
    for row in 0..30 {
        assert_eq!(together.row(9 + row), alone.row(row), "row {row}");
    }
}

#[test]
fn a_copied_block_continues_like_its_original() {
    let model = tiny();
    let decoder = packed(&model, ServedPrecision::Auto, 2);
    let tokens = tokens(25);
    let want = in_chunks(&decoder, &tokens, &[25]);
    let mut cache = KvCache::new(decoder.config(), 4);
    let beginning = Segment { tokens: &tokens[..20], start: 0, table: &[3, 1] };
    decoder.hidden(&mut cache, &[beginning], &NoDelta).expect("forward");
    cache.copy_block(1, 0);
    let rest = |block: &'static [u32]| Segment { tokens: &tokens[20..], start: 20, table: block };
    // The copy first: what it writes must not reach the original.
    for table in [&[3, 0], &[3, 1]] {
        let rows = decoder.hidden(&mut cache, &[rest(table)], &NoDelta).expect("forward");
        for row in 0..5 {
            assert_eq!(rows.row(row), want.row(20 + row));
        }
    }
}

#[test]
fn a_token_outside_the_vocabulary_is_an_error() {
    let decoder = packed(&tiny(), ServedPrecision::Auto, 1);
    let mut cache = KvCache::new(decoder.config(), 1);
    let segment = Segment { tokens: &[259], start: 0, table: &[0] };
    let error = decoder.hidden(&mut cache, &[segment], &NoDelta).expect_err("too large");
    assert_eq!(error.to_string(), "token id 259 is outside the vocabulary");
}

/// One update of all rows, at the first queries.
struct AtQueries(Factors);

impl RowDelta for AtQueries {
    fn updates(&self, site: Site) -> Vec<Update<'_>> {
        let here = site == Site::new(0, Projection::Query);
        here.then_some(Update { rows: 0..1, factors: &self.0, scale: 1.0 }).into_iter().collect()
    }
}

#[test]
fn an_update_that_does_not_fit_its_site_is_an_error() {
    let decoder = packed(&tiny(), ServedPrecision::Auto, 2);
    let (inputs, outputs) = decoder.config().shape(Projection::Query);
    let mut cache = KvCache::new(decoder.config(), 1);
    let mut run = |inputs: usize, outputs: usize| {
        let (a, b) = (vec![1.0; inputs], vec![1.0; outputs]);
        let delta = AtQueries(Factors::new(Precision::Int8, 1, &a, &b).expect("finite"));
        let segment = Segment { tokens: &[3], start: 0, table: &[0] };
        decoder.hidden(&mut cache, &[segment], &delta)
    };
    assert!(run(inputs, outputs).is_ok());
    for (inputs, outputs) in [(inputs + 1, outputs), (inputs, outputs - 1)] {
        assert!(matches!(run(inputs, outputs), Err(ModelError::Shape { .. })));
    }
}
