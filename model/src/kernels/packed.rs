//! Weights of a linear layer, packed once at load for the kernels.
//!
//! Outputs are grouped in *tiles* of sixteen, inputs in *groups* of 32 that share a scale. Inside
//! a (tile, group), sixteen outputs lie side by side, four inputs each, so that one 64-byte line
//! meets four activation bytes in one instruction. Integer weights are stored unsigned; a group's
//! value is `scale * (q - offset) + minimum`.

use std::ops::Range;

use half::f16;

use super::pages::{LINE, Plain, Stored};
use super::pool::share;

/// Outputs in a tile.
pub const TILE: usize = 16;
/// Inputs that share a scale.
pub const GROUP: usize = 32;
/// Inputs that lie side by side for one output.
pub(crate) const QUAD: usize = 4;

/// A cache line of packed weights: sixteen outputs times four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u8; 64]);

#[expect(unsafe_code, reason = "says what the type is")]
// SAFETY: any bytes are a line, which is aligned to its own size.
unsafe impl Plain for Line {}

/// How the weights of a matrix are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 4-bit, `scale * (q - 8)`: GGUF's Q4_0, exactly.
    Int4,
    /// 4-bit, `scale * q + minimum`: GGUF's Q4_1, exactly.
    Int4Affine,
    /// 8-bit, `scale * (q - 128)`: GGUF's Q8_0 exactly, everything else rounded to it.
    Int8,
    /// As they are.
    F32,
}

impl Precision {
    /// What is subtracted from a stored integer.
    pub(crate) const fn offset(self) -> i32 {
        match self {
            Self::Int4 => 8,
            Self::Int8 => 128,
            Self::Int4Affine | Self::F32 => 0,
        }
    }

    /// Lines per (tile, group) of integer weights. The last group of [`Self::Int8`] has only those
    /// that hold inputs.
    pub(crate) const fn lines(self) -> usize {
        match self {
            Self::Int4 | Self::Int4Affine => GROUP / QUAD / 2,
            Self::Int8 => GROUP / QUAD,
            Self::F32 => 0,
        }
    }
}

/// 32 weights of one output that share a scale: `scale * (quants - offset) + minimum`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Step between neighbouring values.
    pub scale: f16,
    /// Added to every value; only [`Precision::Int4Affine`] has it.
    pub minimum: f16,
    /// Unsigned quantised values.
    pub quants: [u8; GROUP],
}

impl Block {
    /// Rounds 32 values to 8 bits, as GGUF's Q8_0 does.
    #[must_use]
    pub fn int8(values: &[f32; GROUP]) -> Self {
        let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 255")]
        let quants = values.map(|v| ((v * inverse).round() + 128.0) as u8);
        Self { scale: f16::from_f32(scale), minimum: f16::ZERO, quants }
    }
}

/// A packed (outputs, inputs) matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedMatrix {
    pub(crate) precision: Precision,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Integer weights: (tile, group, line).
    pub(crate) lines: Stored<Line>,
    /// Bits of the scales: (tile, group, output in tile).
    pub(crate) scales: Stored<[u16; TILE]>,
    /// Bits of the minima, only for [`Precision::Int4Affine`]: as the scales.
    pub(crate) minima: Stored<[u16; TILE]>,
    /// Weights of [`Precision::F32`]: (tile, input, output in tile).
    pub(crate) values: Stored<[f32; TILE]>,
}

impl PackedMatrix {
    /// Packs integer weights. `block(output, group)` gives the weights of an output, zeros beyond
    /// the last input.
    pub fn from_blocks(
        precision: Precision,
        (outputs, inputs): (usize, usize),
        mut block: impl FnMut(usize, usize) -> Block,
    ) -> Self {
        let (tiles, groups) = (outputs.div_ceil(TILE), inputs.div_ceil(GROUP));
        let mut lines = Vec::with_capacity(tiles * groups * precision.lines());
        let mut scales = Vec::with_capacity(tiles * groups);
        let mut minima = Vec::new();
        for tile in 0..tiles {
            for group in 0..groups {
                let blocks: [Option<Block>; TILE] = std::array::from_fn(|i| {
                    let output = tile * TILE + i;
                    (output < outputs).then(|| block(output, group))
                });
                let bits =
                    |of: fn(&Block) -> f16| blocks.map(|b| b.map_or(0, |b| of(&b).to_bits()));
                scales.push(bits(|b| b.scale));
                if precision == Precision::Int4Affine {
                    minima.push(bits(|b| b.minimum));
                }
                let count = group_lines(precision, inputs, group);
                lines.extend((0..count).map(|line| pack_line(precision, line, &blocks)));
            }
        }
        Self {
            precision,
            inputs,
            outputs,
            lines: Stored::new(&lines),
            scales: Stored::new(&scales),
            minima: Stored::new(&minima),
            values: Stored::new(&[]),
        }
    }

    /// Packs f32 weights (outputs, inputs), row-major, rounding them to `precision`, which is
    /// [`Precision::F32`] or [`Precision::Int8`].
    #[must_use]
    pub fn from_values(precision: Precision, (outputs, inputs): (usize, usize), w: &[f32]) -> Self {
        if precision != Precision::F32 {
            return Self::from_blocks(Precision::Int8, (outputs, inputs), |output, group| {
                let row = &w[output * inputs..][..inputs];
                let mut values = [0.0; GROUP];
                let part = &row[group * GROUP..inputs.min((group + 1) * GROUP)];
                values[..part.len()].copy_from_slice(part);
                Block::int8(&values)
            });
        }
        let mut values = Vec::with_capacity(outputs.div_ceil(TILE) * inputs);
        for tile in 0..outputs.div_ceil(TILE) {
            values.extend((0..inputs).map(|input| {
                std::array::from_fn(|i| {
                    let output = tile * TILE + i;
                    if output < outputs { w[output * inputs + input] } else { 0.0 }
                })
            }));
        }
        Self {
            precision,
            inputs,
            outputs,
            lines: Stored::new(&[]),
            scales: Stored::new(&[]),
            minima: Stored::new(&[]),
            values: Stored::new(&values),
        }
    }

    /// Number of inputs.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// How the weights are held.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        self.precision
    }

    pub(crate) const fn groups(&self) -> usize {
        self.inputs.div_ceil(GROUP)
    }

    /// The lines of a (tile, group).
    pub(crate) fn group(&self, tile: usize, group: usize) -> &[Line] {
        let first = group * self.precision.lines();
        &self.tile(tile)[first..first + group_lines(self.precision, self.inputs, group)]
    }

    /// The lines of a tile, group after group.
    pub(crate) fn tile(&self, tile: usize) -> &[Line] {
        let last = self.groups().saturating_sub(1);
        let count = last * self.precision.lines() + group_lines(self.precision, self.inputs, last);
        &self.lines[tile * count..][..count]
    }

    /// Asks for share number `step` of `steps` of some tiles' weights to be brought near.
    pub(crate) fn fetch(&self, tiles: Range<usize>, (step, steps): (usize, usize)) {
        fetch(self.of_tiles(&self.lines, &tiles, (step, steps)));
        fetch(self.of_tiles(&self.scales, &tiles, (step, steps)));
        fetch(self.of_tiles(&self.values, &tiles, (step, steps)));
    }

    /// A share of what some tiles have of an array with as much for each tile.
    fn of_tiles<'a, T>(
        &self,
        array: &'a [T],
        tiles: &Range<usize>,
        (step, steps): (usize, usize),
    ) -> &'a [T] {
        let each = array.len() / self.tiles().max(1);
        let array = &array[tiles.start * each..tiles.end.min(self.tiles()) * each];
        &array[share(array.len(), step, steps)]
    }

    pub(crate) const fn tiles(&self) -> usize {
        self.outputs.div_ceil(TILE)
    }

    /// Memory of the weights.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.len() * 64
            + (self.scales.len() + self.minima.len()) * TILE * 2
            + self.values.len() * TILE * 4
    }

    /// Writes the weights of one output, as they stand for, to `row` (inputs).
    ///
    /// # Panics
    /// If there is no such output or `row` is shorter than the inputs.
    pub fn unpack(&self, output: usize, row: &mut [f32]) {
        assert!(output < self.outputs, "output {output} of {}", self.outputs);
        let (tile, lane) = (output / TILE, output % TILE);
        for (input, value) in row[..self.inputs].iter_mut().enumerate() {
            *value = match self.precision {
                Precision::F32 => self.values[tile * self.inputs + input][lane],
                Precision::Int4 | Precision::Int4Affine | Precision::Int8 => {
                    self.integer(tile, lane, input)
                }
            };
        }
    }

    fn integer(&self, tile: usize, lane: usize, input: usize) -> f32 {
        let at = tile * self.groups() + input / GROUP;
        let quant = self.quant((tile, input / GROUP), lane, input % GROUP);
        let minimum = self.minima.get(at).map_or(0.0, |m| f16::from_bits(m[lane]).to_f32());
        let scale = f16::from_bits(self.scales[at][lane]).to_f32();
        #[expect(clippy::cast_precision_loss, reason = "at most 255")]
        let centred = (i32::from(quant) - self.precision.offset()) as f32;
        scale.mul_add(centred, minimum)
    }

    /// The stored integer at ((tile, group), output in tile, input in group).
    pub(crate) fn quant(&self, (tile, group): (usize, usize), lane: usize, input: usize) -> u8 {
        let lines = self.group(tile, group);
        let (quad, byte) = (input / QUAD, lane * QUAD + input % QUAD);
        match self.precision {
            Precision::Int8 | Precision::F32 => lines[quad].0[byte],
            Precision::Int4 | Precision::Int4Affine if quad < lines.len() => {
                lines[quad].0[byte] & 0x0f
            }
            Precision::Int4 | Precision::Int4Affine => lines[quad - lines.len()].0[byte] >> 4,
        }
    }
}

/// Asks for values to be brought into the second cache.
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a hint; it reads nothing"))]
fn fetch<T>(values: &[T]) {
    for value in values.iter().step_by(LINE.div_ceil(size_of::<T>())) {
        let value: *const T = value;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, and an address inside the slice.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(value.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = value;
    }
}

/// How many lines a group has.
fn group_lines(precision: Precision, inputs: usize, group: usize) -> usize {
    match precision {
        Precision::Int8 => (inputs - group * GROUP).min(GROUP).div_ceil(QUAD),
        Precision::Int4 | Precision::Int4Affine | Precision::F32 => precision.lines(),
    }
}

/// Line `line` of a (tile, group). A 4-bit line holds quad `line` in its low halves and the quad
/// half a group later in its high ones.
fn pack_line(precision: Precision, line: usize, blocks: &[Option<Block>; TILE]) -> Line {
    let quant = |byte: usize, quad: usize| {
        blocks[byte / QUAD].map_or(0, |b| b.quants[quad * QUAD + byte % QUAD])
    };
    Line(std::array::from_fn(|byte| match precision {
        Precision::Int8 | Precision::F32 => quant(byte, line),
        Precision::Int4 | Precision::Int4Affine => {
            quant(byte, line) | quant(byte, line + precision.lines()) << 4
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quants(output: usize, group: usize, levels: usize) -> [u8; GROUP] {
        std::array::from_fn(|i| {
            u8::try_from((output * 31 + group * 7 + i * 3) % levels).expect("small")
        })
    }

    #[test]
    fn integer_blocks_come_back_exactly() {
        for (precision, levels) in
            [(Precision::Int4, 16), (Precision::Int4Affine, 16), (Precision::Int8, 256)]
        {
            let minimum = if precision == Precision::Int4Affine { -0.75 } else { 0.0 };
            let matrix = PackedMatrix::from_blocks(precision, (21, 64), |o, g| Block {
                scale: f16::from_f32(0.5),
                minimum: f16::from_f32(minimum),
                quants: quants(o, g, levels),
            });
            let mut row = [0.0; 64];
            for output in 0..21 {
                matrix.unpack(output, &mut row);
                for (i, value) in row.iter().enumerate() {
                    let q = i32::from(quants(output, i / 32, levels)[i % 32]);
                    let want = 0.5 * (q - precision.offset()) as f32 + minimum;
                    assert_eq!(*value, want, "{precision:?} {output} {i}");
                }
            }
        }
    }

    #[test]
    fn widths_that_fill_no_group_or_tile_are_padded() {
        let weights: Vec<f32> = (0..5 * 40).map(|i| i as f32 / 100.0 - 1.0).collect();
        for (precision, tolerance) in [(Precision::F32, 0.0), (Precision::Int8, 0.005)] {
            let matrix = PackedMatrix::from_values(precision, (5, 40), &weights);
            let mut row = [0.0; 40];
            for output in 0..5 {
                matrix.unpack(output, &mut row);
                for (got, want) in row.iter().zip(&weights[output * 40..]) {
                    assert!((got - want).abs() <= tolerance, "{precision:?}: {got} {want}");
                }
            }
        }
    }
}
