//! The decoder, spelled once.
//!
//! What a Llama-family layer does is written here over a [`Backend`]; the backends say how. The
//! packed backend serves on a CPU, the dense one evaluates and trains on any device, and a test
//! holds the two to the same logits.

use crate::{ModelError, Projection};

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

    /// Some of a layer's projections, base weights and delta, applied to the same input.
    fn project<const N: usize>(
        &mut self,
        layer: usize,
        projections: [Projection; N],
        x: &Self::Rows,
    ) -> Result<[Self::Rows; N], ModelError>;

    /// Rotates `q` and `k` to their positions, remembers `k` and `v`, and attends.
    fn attend(
        &mut self,
        layer: usize,
        q: Self::Rows,
        k: Self::Rows,
        v: Self::Rows,
    ) -> Result<Self::Rows, ModelError>;

    /// `silu(gate) * up`.
    fn gate(&mut self, gate: Self::Rows, up: Self::Rows) -> Result<Self::Rows, ModelError>;

    /// `x += y`.
    fn add(&mut self, x: &mut Self::Rows, y: Self::Rows) -> Result<(), ModelError>;
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
    let h = backend.norm(Norm::Attention(layer), &x)?;
    let qkv = [Projection::Query, Projection::Key, Projection::Value];
    let [q, k, v] = backend.project(layer, qkv, &h)?;
    let attended = backend.attend(layer, q, k, v)?;
    let [y] = backend.project(layer, [Projection::Output], &attended)?;
    backend.add(&mut x, y)?;

    let h = backend.norm(Norm::Mlp(layer), &x)?;
    let [gate, up] = backend.project(layer, [Projection::Gate, Projection::Up], &h)?;
    let hidden = backend.gate(gate, up)?;
    let [y] = backend.project(layer, [Projection::Down], &hidden)?;
    backend.add(&mut x, y)?;
    Ok(x)
}
