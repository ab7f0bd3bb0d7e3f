//! The dense decoder as a judge: exact f32 weights, any adapters.

use candle_core::{Device, Tensor};
use model::{Delta, DenseDecoder, ModelError, Rows};

use super::{LOGIT_ROWS, Predictor, Scorer, log_probability, questions, share_out};

/// Scores with a [`DenseDecoder`] and a delta, both on one device.
pub struct DenseScorer<'a> {
    decoder: &'a DenseDecoder,
    delta: &'a dyn Delta<Tensor>,
}

impl<'a> DenseScorer<'a> {
    /// The model with `delta`.
    #[must_use]
    pub const fn new(decoder: &'a DenseDecoder, delta: &'a dyn Delta<Tensor>) -> Self {
        Self { decoder, delta }
    }
}

impl Scorer for DenseScorer<'_> {
    fn context_tokens(&self) -> usize {
        self.decoder.config().context_tokens
    }

    fn score(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f64>>, ModelError> {
        let device = self.decoder.device();
        let hidden = self.decoder.hidden(&pad(sequences, device)?, self.delta)?;
        let (_, length, _) = hidden.dims3()?;
        let hidden = hidden.flatten(0, 1)?;
        let mut answers = Vec::new();
        for asked in questions(sequences, |index| index * length).chunks(LOGIT_ROWS) {
            let rows: Vec<u32> = asked.iter().map(|(row, _)| *row as u32).collect();
            let rows = hidden.index_select(&Tensor::new(rows, device)?, 0)?;
            let logits = self.decoder.logits(&rows)?.to_vec2()?;
            let answer =
                |(logits, (_, token)): (&Vec<f32>, &(usize, u32))| log_probability(logits, *token);
            answers.extend(logits.iter().zip(asked).map(answer));
        }
        Ok(share_out(answers, sequences))
    }
}

impl Predictor for DenseScorer<'_> {
    fn logits(&mut self, tokens: &[u32], first: usize) -> Result<Rows, ModelError> {
        let hidden = self.decoder.hidden(&pad(&[tokens], self.decoder.device())?, self.delta)?;
        let hidden = hidden.squeeze(0)?.narrow(0, first, tokens.len() - first)?;
        let logits = self.decoder.logits(&hidden)?;
        let (rows, width) = logits.dims2()?;
        let mut copied = Rows::zeros(rows, width);
        copied.values_mut().copy_from_slice(&logits.flatten_all()?.to_vec1()?);
        Ok(copied)
    }
}

/// (B, T), filled up at the right with a token that no real one can see.
fn pad(sequences: &[&[u32]], device: &Device) -> Result<Tensor, ModelError> {
    let length = sequences.iter().map(|s| s.len()).max().unwrap_or(0);
    let padded = |tokens: &&[u32]| {
        let padding = length - tokens.len();
        tokens.iter().copied().chain(std::iter::repeat_n(0, padding)).collect::<Vec<_>>()
    };
    let values: Vec<u32> = sequences.iter().flat_map(padded).collect();
    Ok(Tensor::from_vec(values, (sequences.len(), length), device)?)
}
