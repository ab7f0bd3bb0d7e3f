//! Every GGUF tensor type is read, and packed without a change where the kernels have it.

use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use model::checkpoint::{Checkpoint, GgufModel, Weight};
use model::{Projection, Site};

const WIDTH: usize = 256;

/// Weights that look like a model's: a smooth, irregular wave.
fn values(rows: usize, salt: f64) -> Tensor {
    let value = |i: usize| ((i as f64 * 0.37 + salt).sin() * (i as f64 * 0.011).cos() * 0.2) as f32;
    let values: Vec<f32> = (0..rows * WIDTH).map(value).collect();
    Tensor::from_vec(values, (rows, WIDTH), &Device::Cpu).expect("a matrix")
}

/// Writes a one-layer model whose matrices have type `dtype`; gives the gate and query matrices.
fn write(path: &Path, dtype: GgmlDType) -> (QTensor, QTensor) {
    let quantise = |rows, salt| QTensor::quantize(&values(rows, salt), dtype).expect("quantises");
    let norm = || {
        let ones = Tensor::ones(WIDTH, candle_core::DType::F32, &Device::Cpu).expect("ones");
        QTensor::quantize(&ones, GgmlDType::F32).expect("stays")
    };
    let mut tensors = vec![("token_embd.weight".to_owned(), quantise(32, 1.0))];
    let shapes = [("attn_q", 256), ("attn_k", 128), ("attn_v", 128), ("attn_output", 256)];
    let mlp = [("ffn_gate", 256), ("ffn_up", 256), ("ffn_down", 256)];
    for (salt, (name, rows)) in shapes.into_iter().chain(mlp).enumerate() {
        tensors.push((format!("blk.0.{name}.weight"), quantise(rows, salt as f64)));
    }
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"] {
        tensors.push((format!("{name}.weight"), norm()));
    }
    let sizes = [
        ("embedding_length", 256),
        ("feed_forward_length", 256),
        ("block_count", 1),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
        ("context_length", 64),
    ];
    let mut metadata = vec![
        ("general.architecture".to_owned(), Value::String("llama".into())),
        ("llama.attention.layer_norm_rms_epsilon".to_owned(), Value::F32(1e-5)),
    ];
    metadata.extend(sizes.map(|(key, size)| (format!("llama.{key}"), Value::U32(size))));
    let metadata: Vec<_> = metadata.iter().map(|(k, v)| (k.as_str(), v)).collect();
    let borrowed: Vec<_> = tensors.iter().map(|(n, t)| (n.as_str(), t)).collect();
    gguf_file::write(&mut File::create(path).expect("create"), &metadata, &borrowed)
        .expect("writes");
    let mut take = |name: &str| {
        let at = tensors.iter().position(|(n, _)| n == name).expect("written");
        tensors.swap_remove(at).1
    };
    (take("blk.0.ffn_gate.weight"), take("blk.0.attn_q.weight"))
}

fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().expect("a matrix")
}

fn weight(projection: Projection) -> Weight {
    Weight::Linear(Site::new(0, projection))
}

fn open(folder: &Path, dtype: GgmlDType) -> (GgufModel, Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let path: PathBuf = folder.join(format!("{dtype:?}.gguf"));
    let (gate, query) = write(&path, dtype);
    let dense = |t: QTensor| rows(&t.dequantize(&Device::Cpu).expect("dequantises"));
    (GgufModel::open(&path).expect("opens"), dense(gate), dense(query))
}

#[test]
fn every_tensor_type_gives_the_values_that_candle_gives() {
    let folder = tempfile::tempdir().expect("tempdir");
    for dtype in [
        GgmlDType::F32,
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ] {
        let (model, gate, query) = open(folder.path(), dtype);
        let read = |p| rows(&model.dense(weight(p)).expect("reads"));
        assert_eq!(read(Projection::Gate), gate, "{dtype:?}");
        // Queries come out of llama.cpp's interleaved order: row 1 of a head is its row 2 there.
        let got = read(Projection::Query);
        assert_eq!((&got[0], &got[1], &got[32]), (&query[0], &query[2], &query[1]), "{dtype:?}");
    }
}

#[test]
fn formats_that_the_kernels_have_are_packed_without_a_change() {
    let folder = tempfile::tempdir().expect("tempdir");
    for dtype in [GgmlDType::Q4_0, GgmlDType::Q4_1, GgmlDType::Q8_0] {
        let (model, ..) = open(folder.path(), dtype);
        for projection in [Projection::Gate, Projection::Query, Projection::Key] {
            let packed = model.packed(weight(projection)).expect("reads").expect("packs");
            let dense = rows(&model.dense(weight(projection)).expect("reads"));
            let mut row = vec![0.0; WIDTH];
            for (output, want) in dense.iter().enumerate() {
                packed.unpack(output, &mut row);
                for (got, want) in row.iter().zip(want) {
                    // One rounding apart: `scale * q + minimum` is fused here.
                    assert!(
                        (got - want).abs() <= want.abs() * 1e-6 + 1e-8,
                        "{dtype:?}: {got} {want}"
                    );
                }
            }
        }
    }
    let (model, ..) = open(folder.path(), GgmlDType::Q5_0);
    assert!(model.packed(weight(Projection::Gate)).expect("reads").is_none());
}
