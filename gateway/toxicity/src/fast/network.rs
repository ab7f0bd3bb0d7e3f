//! The fast scorer's network: embeddings, two convolutions over neighbouring pieces, pooling over
//! the text, one hidden layer, a logit per category.
//!
//! With `E` the embedding's width and `W` the convolutions', a text of `n` pieces goes
//! (n, E) -> (n, W) -> (n, W), the second with a residual; the highest and the mean value of each
//! channel make (2W), the hidden layer (W), the heads (categories). Kim, "Convolutional Neural
//! Networks for Sentence Classification", 2014.

use super::linear::{Linear, relu};

/// Pieces that a convolution sees at once.
pub(super) const WIDTH: usize = 3;

/// The weights.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) embedding: Embedding,
    /// (W, 3E): the piece before, the piece, the piece after.
    pub(super) first: Linear,
    /// (W, 3W).
    pub(super) second: Linear,
    /// (W, 2W): the highest values, then the means.
    pub(super) hidden: Linear,
    /// (categories, W).
    pub(super) heads: Linear,
}

/// A row of eight-bit numbers for each piece, and their unit.
#[derive(Debug)]
pub(super) struct Embedding {
    pub(super) values: Vec<i8>,
    pub(super) scales: Vec<f32>,
    pub(super) width: usize,
}

impl Embedding {
    /// Appends the row of `piece`, which is inside the vocabulary.
    fn extend(&self, rows: &mut Vec<f32>, piece: u32) {
        let piece = piece as usize;
        let row = &self.values[piece * self.width..(piece + 1) * self.width];
        rows.extend(row.iter().map(|&value| f32::from(value) * self.scales[piece]));
    }
}

impl Network {
    /// A logit per head for a text of at least one piece.
    pub(super) fn logits(&self, pieces: &[u32]) -> Vec<f32> {
        let count = pieces.len();
        let mut embedded = Vec::with_capacity(count * self.embedding.width);
        pieces.iter().for_each(|&piece| self.embedding.extend(&mut embedded, piece));
        let mut low = self.first.apply(&neighbours(&embedded, self.embedding.width));
        relu(&mut low);
        let width = self.first.outputs();
        let mut high = self.second.apply(&neighbours(&low, width));
        relu(&mut high);
        high.iter_mut().zip(&low).for_each(|(high, low)| *high += low);
        let mut hidden = self.hidden.apply(&pooled(&high, width));
        relu(&mut hidden);
        self.heads.apply(&hidden)
    }
}

/// Each row (`width`) between its neighbours: (n, 3 x width); beyond the ends there are zeros.
fn neighbours(rows: &[f32], width: usize) -> Vec<f32> {
    let mut wide = vec![0.0; rows.len() * WIDTH];
    for (index, target) in wide.chunks_exact_mut(WIDTH * width).enumerate() {
        let start = index.saturating_sub(1);
        let end = (index + 2).min(rows.len() / width);
        let skipped = (start + 1 - index) * width;
        let source = &rows[start * width..end * width];
        target[skipped..skipped + source.len()].copy_from_slice(source);
    }
    wide
}

/// The highest value of each column, then the mean of each: (2 x width).
fn pooled(rows: &[f32], width: usize) -> Vec<f32> {
    let mut pooled = vec![0.0; 2 * width];
    let (highest, mean) = pooled.split_at_mut(width);
    highest.fill(f32::NEG_INFINITY);
    for row in rows.chunks_exact(width) {
        for ((highest, mean), value) in highest.iter_mut().zip(mean.iter_mut()).zip(row) {
            *highest = highest.max(*value);
            *mean += value;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "texts are short")]
    let count = (rows.len() / width) as f32;
    mean.iter_mut().for_each(|sum| *sum /= count);
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stand_around_each_row_and_zeros_beyond_the_ends() {
        let rows = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(
            neighbours(&rows, 2),
            [0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0]
        );
        assert_eq!(neighbours(&[5.0], 1), [0.0, 5.0, 0.0]);
    }

    #[test]
    fn pooling_takes_the_highest_and_the_mean_of_each_column() {
        assert_eq!(pooled(&[1.0, -2.0, 3.0, -4.0], 2), [3.0, -2.0, 2.0, -3.0]);
    }
}
