//! From rows to attention heads and back, with the rotary embedding on the way.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use candle_nn::rotary_emb::rope_slow;

use super::cpu;
use crate::kernels::Isa;
use crate::kernels::elementwise::Rotation;

/// The places of heads in a batch, and the angles of its positions.
#[derive(Clone)]
pub(super) struct Heads {
    pub(super) batch: usize,
    pub(super) length: usize,
    pub(super) head_dim: usize,
    pub(super) rotation: Arc<Rotation>,
    /// (length, head_dim / 2) in the activations' type, where candle rotates.
    pub(super) angles: Option<(Tensor, Tensor)>,
}

/// Which way values go, and what is done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// (batch * length, heads * head_dim) to (batch, heads, length, head_dim).
    Split(Turn),
    /// The reverse.
    Merge(Turn),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    No,
    /// By the position's angles.
    Forward,
    /// Back by them: the inverse and the transpose of `Forward`.
    Backward,
}

impl Turn {
    const fn reverse(self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

impl Heads {
    /// Splits rows into heads and rotates each to its position.
    pub(super) fn rotated(&self, x: &Tensor) -> Result<Tensor> {
        match &self.angles {
            None => self.fused(x, Way::Split(Turn::Forward)),
            Some((cos, sin)) => rope_slow(&self.split(x)?, cos, sin),
        }
    }

    /// Splits rows into heads.
    pub(super) fn split(&self, x: &Tensor) -> Result<Tensor> {
        if self.angles.is_none() {
            return self.fused(x, Way::Split(Turn::No));
        }
        let heads = x.dim(1)? / self.head_dim;
        let shape = (self.batch, self.length, heads, self.head_dim);
        x.reshape(shape)?.transpose(1, 2)?.contiguous()
    }

    /// Puts heads back into rows.
    pub(super) fn merge(&self, x: &Tensor) -> Result<Tensor> {
        if self.angles.is_none() {
            return self.fused(x, Way::Merge(Turn::No));
        }
        let width = x.dim(1)? * self.head_dim;
        x.transpose(1, 2)?.reshape((self.batch * self.length, width))
    }

    fn fused(&self, x: &Tensor, way: Way) -> Result<Tensor> {
        x.contiguous()?.apply_op1(Move { heads: self.clone(), way })
    }
}

struct Move {
    heads: Heads,
    way: Way,
}

impl CustomOp1 for Move {
    fn name(&self) -> &'static str {
        "heads"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Heads { batch, length, head_dim, .. } = self.heads;
        let x = cpu::values(x, layout)?;
        let heads = x.len() / (batch * length * head_dim);
        // Where the values of a head at a position lie among rows, and among heads.
        let in_rows = |b: usize, h: usize, t: usize| ((b * length + t) * heads + h) * head_dim;
        let in_heads = |b: usize, h: usize, t: usize| ((b * heads + h) * length + t) * head_dim;
        let (count, width, shape): (_, _, Shape) = match self.way {
            Way::Split(_) => {
                (batch * heads * length, head_dim, (batch, heads, length, head_dim).into())
            }
            Way::Merge(_) => {
                let width = heads * head_dim;
                (batch * length, width, (batch * length, width).into())
            }
        };
        let make = |row: usize, out: &mut [f32]| match self.way {
            Way::Split(turn) => {
                let (t, h, b) = (row % length, row / length % heads, row / length / heads);
                out.copy_from_slice(&x[in_rows(b, h, t)..][..head_dim]);
                self.turn(turn, out, t);
            }
            Way::Merge(turn) => {
                let (t, b) = (row % length, row / length);
                for (h, out) in out.chunks_exact_mut(head_dim).enumerate() {
                    out.copy_from_slice(&x[in_heads(b, h, t)..][..head_dim]);
                }
                self.turn(turn, out, t);
            }
        };
        Ok((cpu::rows(count, width, make), shape))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let way = match self.way {
            Way::Split(turn) => Way::Merge(turn.reverse()),
            Way::Merge(turn) => Way::Split(turn.reverse()),
        };
        self.heads.fused(dy, way).map(Some)
    }
}

impl Move {
    fn turn(&self, turn: Turn, row: &mut [f32], position: usize) {
        match turn {
            Turn::No => {}
            Turn::Forward => self.heads.rotation.apply(Isa::detect(), row, position),
            Turn::Backward => self.heads.rotation.undo(Isa::detect(), row, position),
        }
    }
}
