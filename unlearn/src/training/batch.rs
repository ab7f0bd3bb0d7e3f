//! Sequences side by side, and the positions that a loss asks about.

use std::cell::RefCell;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor};
use model::{Delta, DenseDecoder, ModelError, Recording};

/// Token sequences, padded at the right to one length.
pub(super) struct Batch {
    /// (B, T) u32.
    tokens: Tensor,
    length: usize,
}

impl Batch {
    pub(super) fn new(sequences: &[&[u32]], device: &Device) -> Result<Self> {
        let length = sequences.iter().map(|tokens| tokens.len()).max().unwrap_or(0);
        let padded = |tokens: &&[u32]| {
            let padding = std::iter::repeat_n(0, length - tokens.len());
            tokens.iter().copied().chain(padding).collect::<Vec<_>>()
        };
        let values: Vec<u32> = sequences.iter().flat_map(padded).collect();
        let tokens = Tensor::from_vec(values, (sequences.len(), length), device)?;
        Ok(Self { tokens, length })
    }

    /// The row of hidden states that predicts token `at` (from 1) of sequence `index`.
    #[expect(clippy::cast_possible_truncation, reason = "a batch's positions")]
    pub(super) const fn row(&self, index: usize, at: usize) -> u32 {
        (index * self.length + at - 1) as u32
    }

    /// Hidden states of all positions: (B * T, hidden).
    pub(super) fn hidden(
        &self,
        decoder: &DenseDecoder,
        delta: &dyn Delta<Tensor>,
    ) -> std::result::Result<Tensor, ModelError> {
        Ok(decoder.hidden(&self.tokens, delta)?.flatten(0, 1)?)
    }

    /// The same, keeping little of it until the backward pass.
    pub(super) fn recorded(
        &self,
        decoder: &DenseDecoder,
        delta: &dyn Delta<Tensor>,
        tape: &Tape,
    ) -> std::result::Result<Tensor, ModelError> {
        let recording = decoder.record(&self.tokens, delta)?;
        let hidden = recording.hidden().flatten(0, 1)?;
        tape.0.borrow_mut().push(recording);
        Ok(hidden)
    }
}

/// Forward passes whose layers are computed again in the backward pass.
#[derive(Debug, Default)]
pub(super) struct Tape(RefCell<Vec<Recording>>);

impl Tape {
    /// Adds the gradients of the delta's variables.
    pub(super) fn backward(
        self,
        decoder: &DenseDecoder,
        delta: &dyn Delta<Tensor>,
        gradients: &mut GradStore,
    ) -> std::result::Result<(), ModelError> {
        for recording in self.0.into_inner() {
            recording.backward(decoder, delta, gradients)?;
        }
        Ok(())
    }
}

/// What the hidden states of some rows say, in f32: (rows, vocabulary).
pub(super) fn logits(
    decoder: &DenseDecoder,
    hidden: &Tensor,
    rows: &[u32],
) -> std::result::Result<Tensor, ModelError> {
    let rows = Tensor::new(rows, hidden.device())?;
    Ok(decoder.logits(&hidden.index_select(&rows, 0)?)?.to_dtype(DType::F32)?)
}
