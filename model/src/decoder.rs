//! The decoder, spelled once.
//!
//! What a Llama-family layer does is written here over a [`Backend`]; the backends say how. The
//! packed backend serves on a CPU, the dense one evaluates and trains on any device, and a test
//! holds the two to the same logits.

use crate::{ModelError, Projection, Site};

/// Which norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Norm {
    /// Before attention.
    Attention(usize),
    /// Before the MLP.
    Mlp(usize),
    /// After the last layer.
    Final,
}

/// How the operations of a decoder are carried out.
pub(crate) trait Backend {
    /// A batch of activations.
    type Rows;

    /// RMS normalisation.
    fn norm(&mut self, norm: Norm, x: &Self::Rows) -> Result<Self::Rows, ModelError>;

    /// Queries, keys and values of `x`, which is normalised first.
    fn attention_inputs(
        &mut self,
        layer: usize,
        x: &Self::Rows,
    ) -> Result<[Self::Rows; 3], ModelError>;

    /// Rotates `q` and `k` to their positions, remembers `k` and `v`, and attends.
    fn attend(&mut self, layer: usize, qkv: [Self::Rows; 3]) -> Result<Self::Rows, ModelError>;

    /// The MLP's hidden units, `silu(gate) * up`, of `x`, which is normalised first.
    fn hidden_units(&mut self, layer: usize, x: &Self::Rows) -> Result<Self::Rows, ModelError>;

    /// Adds a projection of `from` to `x`.
    fn add_projection(
        &mut self,
        site: Site,
        from: &Self::Rows,
        x: &mut Self::Rows,
    ) -> Result<(), ModelError>;
}

/// Takes embeddings `x` through all layers and the final norm.
pub(crate) fn forward<B: Backend>(
    backend: &mut B,
    layers: usize,
    mut x: B::Rows,
) -> Result<B::Rows, ModelError> {
    for index in 0..layers {
        x = layer(backend, index, x)?;
    }
    backend.norm(Norm::Final, &x)
}

/// Takes `x` through one layer.
pub(crate) fn layer<B: Backend>(
    backend: &mut B,
    layer: usize,
    mut x: B::Rows,
) -> Result<B::Rows, ModelError> {
    let qkv = backend.attention_inputs(layer, &x)?;
    let attended = backend.attend(layer, qkv)?;
    backend.add_projection(Site::new(layer, Projection::Output), &attended, &mut x)?;
    let hidden = backend.hidden_units(layer, &x)?;
    backend.add_projection(Site::new(layer, Projection::Down), &hidden, &mut x)?;
    Ok(x)
}
