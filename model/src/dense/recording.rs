//! Activation checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv
//! 1604.06174): a forward pass that keeps each layer's input and nothing else, and a backward pass
//! that computes the layers again, one after the other from the last.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::pass::Pass;
use super::{DenseDecoder, decoder};
use crate::decoder::{Backend as _, Norm};
use crate::{Delta, ModelError};

/// A forward pass that can be taken back.
#[derive(Debug)]
pub struct Recording {
    batch: usize,
    length: usize,
    /// What goes into each layer, and what comes out of the last.
    inputs: Vec<Tensor>,
    hidden: Var,
}

impl DenseDecoder {
    /// As [`DenseDecoder::hidden`], keeping one activation for each layer.
    ///
    /// # Errors
    /// [`ModelError`] if a token is outside the vocabulary or candle refuses.
    pub fn record(
        &self,
        tokens: &Tensor,
        delta: &dyn Delta<Tensor>,
    ) -> Result<Recording, ModelError> {
        let (batch, length) = tokens.dims2()?;
        let mut pass = Pass::new(self, delta, batch, length)?;
        let mut x = self.embedding.index_select(&tokens.flatten_all()?, 0)?;
        let mut inputs = Vec::with_capacity(self.config.layers + 1);
        for index in 0..self.config.layers {
            inputs.push(x.clone());
            // Without its graph, a layer's activations are freed as soon as it is done.
            x = decoder::layer(&mut pass, index, x)?.detach();
        }
        let hidden = pass.norm(Norm::Final, &x)?;
        inputs.push(x);
        let hidden = Var::from_tensor(&hidden.reshape((batch, length, self.config.hidden))?)?;
        Ok(Recording { batch, length, inputs, hidden })
    }
}

impl Recording {
    /// Hidden states after the final norm, (B, T, hidden): the start of the graph of a loss.
    #[must_use]
    pub fn hidden(&self) -> &Tensor {
        &self.hidden
    }

    /// Goes on with the gradient of the hidden states that `gradients` holds, and adds those of the
    /// delta's variables.
    ///
    /// # Errors
    /// [`ModelError`] if candle refuses.
    pub fn backward(
        mut self,
        decoder: &DenseDecoder,
        delta: &dyn Delta<Tensor>,
        gradients: &mut GradStore,
    ) -> Result<(), ModelError> {
        let Some(gradient) = gradients.remove(&self.hidden) else { return Ok(()) };
        let mut pass = Pass::new(decoder, delta, self.batch, self.length)?;
        let mut gradient = gradient.flatten(0, 1)?;
        for index in (0..self.inputs.len()).rev() {
            let Some(input) = self.inputs.pop() else { break };
            let input = Var::from_tensor(&input)?;
            let x = input.as_tensor().clone();
            let y = if index == decoder.config.layers {
                pass.norm(Norm::Final, &x)?
            } else {
                decoder::layer(&mut pass, index, x)?
            };
            // The gradient of this sum is that of the layer, times what came from above.
            let mut inner = (y * gradient)?.sum_all()?.backward()?;
            gradient = inner.remove(&input).unwrap_or(input.zeros_like()?);
            gradients.extend(inner)?;
        }
        Ok(())
    }
}
