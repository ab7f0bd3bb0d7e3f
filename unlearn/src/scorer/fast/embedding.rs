//! Embeddings to begin with: a BERT encoder's, reduced to their principal components, so that words
//! that no training text has still lie beside those that are like them.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::random::Random;

/// Rounds of orthogonal iteration; the subspace is as good as still after a few dozen.
const ROUNDS: usize = 60;
/// Spread of the values that training begins with.
const SPREAD: f64 = 0.3;

/// The tensors of an encoder's weights, by name.
pub type Encoder = HashMap<String, Tensor>;

/// Reads an encoder's weights.
///
/// # Errors
/// If the file is not a sound safetensors file.
pub fn open_encoder(path: &Path) -> Result<Encoder> {
    candle_core::safetensors::load(path, &Device::Cpu)
}

/// A vocabulary and a row for each of its pieces.
pub(super) struct Pretrained {
    pub(super) vocabulary: Vec<String>,
    /// (pieces, width).
    pub(super) rows: Tensor,
}

/// Takes the pieces that plain text can have, and their word embeddings.
pub(super) fn pretrained(encoder: &Encoder, vocabulary: &str, width: usize) -> Result<Pretrained> {
    let (ids, vocabulary): (Vec<u32>, Vec<String>) = (0..)
        .zip(vocabulary.lines())
        .filter(|(_, piece)| is_usable(piece))
        .map(|(id, piece)| (id, piece.to_owned()))
        .unzip();
    let Some((_, all)) =
        encoder.iter().find(|(name, _)| name.ends_with("embeddings.word_embeddings.weight"))
    else {
        bail!("there are no word embeddings in the weights");
    };
    let full = all.to_dtype(DType::F32)?.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
    Ok(Pretrained { vocabulary, rows: principal(&full, width)? })
}

/// ASCII, and none of the marks of the encoder's own.
fn is_usable(piece: &str) -> bool {
    let marked = piece.len() > 2 && piece.starts_with('[') && piece.ends_with(']');
    piece == "[UNK]" || piece.is_ascii() && !piece.is_empty() && !marked
}

/// The rows' coordinates along the `width` directions in which they vary most, scaled to
/// [`SPREAD`].
fn principal(rows: &Tensor, width: usize) -> Result<Tensor> {
    let (count, full) = rows.dims2()?;
    if width > full {
        bail!("{width} components are more than the {full} that there are");
    }
    let centred = rows.broadcast_sub(&rows.mean_keepdim(0)?)?;
    #[expect(clippy::cast_precision_loss, reason = "vocabularies are small")]
    let covariance = (centred.t()?.matmul(&centred)? / count as f64)?;
    let mut random = Random::new(0);
    let start: Vec<f32> = (0..full * width).map(|_| random.unit() - 0.5).collect();
    let mut basis = Tensor::from_vec(start, (full, width), &Device::Cpu)?;
    for _ in 0..ROUNDS {
        basis = orthonormal(&covariance.matmul(&basis)?)?;
    }
    let reduced = centred.matmul(&basis)?;
    let spread = f64::from(reduced.sqr()?.mean_all()?.to_scalar::<f32>()?).sqrt();
    reduced * (SPREAD / spread)
}

/// The columns made orthogonal and of length 1, one after the other (Gram and Schmidt, twice for
/// accuracy).
fn orthonormal(matrix: &Tensor) -> Result<Tensor> {
    let mut columns: Vec<Vec<f64>> = matrix.t()?.to_dtype(DType::F64)?.to_vec2()?;
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for index in 0..columns.len() {
        let (done, rest) = columns.split_at_mut(index);
        let column = &mut rest[0];
        for _ in 0..2 {
            for other in done.iter() {
                let along = dot(column, other);
                column.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let length = dot(column, column).sqrt();
        if length == 0.0 {
            bail!("the embeddings vary in {index} directions only");
        }
        column.iter_mut().for_each(|value| *value /= length);
    }
    Tensor::new(columns, &Device::Cpu)?.t()?.to_dtype(DType::F32)?.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directions_of_most_variation_are_kept() -> Result<()> {
        // Four points in the plane x = 3y of three dimensions, far apart along it, and a little
        // noise across: the first component holds their order.
        let rows = Tensor::new(
            &[[3.0_f32, 1.0, 0.1], [6.0, 2.0, -0.1], [9.0, 3.0, 0.1], [12.0, 4.0, -0.1]],
            &Device::Cpu,
        )?;
        let reduced: Vec<f32> = principal(&rows, 1)?.flatten_all()?.to_vec1()?;
        let rising = reduced.windows(2).all(|pair| pair[0] < pair[1]);
        let falling = reduced.windows(2).all(|pair| pair[0] > pair[1]);
        assert!(rising || falling, "{reduced:?}");
        // Evenly spaced: (-1.5, -0.5, 0.5, 1.5) scaled to a spread of 0.3, that is by 0.3 / sqrt(1.25).
        assert!((reduced[0].abs() - 1.5 * 0.268_33).abs() < 1e-3, "{reduced:?}");
        Ok(())
    }

    #[test]
    fn pieces_that_plain_text_cannot_have_are_left_out() {
        assert!(is_usable("moon") && is_usable("##s") && is_usable("[UNK]") && is_usable("["));
        assert!(
            !is_usable("[CLS]") && !is_usable("[unused7]") && !is_usable("é") && !is_usable("")
        );
    }
}
