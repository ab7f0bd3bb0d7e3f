//! Linear layers: activation rows times a packed matrix.
//!
//! Activations are rounded to 8 bits in groups of 32 with a scale each; the products of a group
//! are summed exactly in integers, and the groups in f32, in order. So the only rounding besides
//! the weights' own is that of the activations. [`Precision::F32`] rounds neither.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod multiply;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;
#[cfg(target_arch = "x86_64")]
mod ymm;

use super::Isa;
use super::disjoint::DisjointRows;
use super::elementwise;
use super::input::Input;
use super::lanes::{self, Lanes};
use super::low_rank::{Products, Update};
use super::packed::{PackedMatrix, Precision, TILE};
use super::pool::{Gate, Pool, share};
use super::quantised::{Operand, PANEL};
use crate::Rows;

pub(super) use multiply::{add_products, multiply};

/// Tiles that are computed in one go.
pub(super) const TILES: usize = 8;

/// Tiles that are computed in one go for many rows: their weights stay in the first cache.
const TOGETHER: usize = 4;

/// `y = x W^T` for each matrix, and its updates of some rows: `x` (rows, inputs) gives (rows,
/// outputs) a matrix.
///
/// The matrices share the rounding of `x`, and they and their updates one turn of the pool.
///
/// # Panics
/// If a matrix or an update has other inputs than `x` has columns, or an update other outputs than
/// its matrix.
#[must_use]
pub fn linear<const N: usize>(
    pool: &Pool,
    isa: Isa,
    matrices: [&PackedMatrix; N],
    updates: [&[Update<'_>]; N],
    x: Input<'_>,
) -> [Rows; N] {
    let mut outputs = matrices.map(|m| Rows::unset(x.rows().len(), m.outputs));
    run(pool, isa, (matrices, updates), x, outputs.each_mut(), Purpose::Set);
    outputs
}

/// `y += x W^T`, and its updates of some rows.
///
/// # Panics
/// As [`linear`], and if `y` is not (rows, outputs).
pub fn add_linear(
    pool: &Pool,
    isa: Isa,
    matrix: &PackedMatrix,
    updates: &[Update<'_>],
    x: Input<'_>,
    y: &mut Rows,
) {
    run(pool, isa, ([matrix], [updates]), x, [y], Purpose::Add);
}

/// `silu(x G^T) * x U^T` with the updates of both of the matrices G and U.
///
/// # Panics
/// As [`linear`], and if the matrices have not as many outputs.
#[must_use]
pub fn gated_linear(
    pool: &Pool,
    isa: Isa,
    matrices: [&PackedMatrix; 2],
    updates: [&[Update<'_>]; 2],
    x: Input<'_>,
) -> Rows {
    assert_eq!(matrices[0].outputs, matrices[1].outputs, "outputs of a gate and what it gates");
    let [mut gate, mut up] = matrices.map(|m| Rows::unset(x.rows().len(), m.outputs));
    run(pool, isa, (matrices, updates), x, [&mut gate, &mut up], Purpose::Gate);
    gate
}

/// What is done with products.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// They are the outputs.
    Set,
    /// They are added to the outputs.
    Add,
    /// They are the outputs, then the first becomes what it gates of the second.
    Gate,
}

fn run<const N: usize>(
    pool: &Pool,
    isa: Isa,
    (matrices, updates): ([&PackedMatrix; N], [&[Update<'_>]; N]),
    x: Input<'_>,
    outputs: [&mut Rows; N],
    purpose: Purpose,
) {
    let (rows, inputs) = (x.rows().len(), x.rows().width());
    for ((matrix, updates), y) in matrices.iter().zip(updates).zip(&outputs) {
        assert_eq!(matrix.inputs, inputs, "inputs of a matrix and columns of the rows");
        assert_eq!((y.len(), y.width()), (rows, matrix.outputs), "outputs of a matrix");
        for Update { factors, .. } in updates {
            let shape = (factors.inputs(), factors.outputs());
            assert_eq!(shape, (matrix.inputs, matrix.outputs), "an update of its matrix");
        }
    }
    let products = Products::new(&updates, rows);
    let rounds = matrices.iter().any(|m| m.precision != Precision::F32) || products.rounds();
    let views = outputs.map(|y| {
        let width = y.width();
        DisjointRows::new(y.values_mut(), width)
    });
    let (parts, gate) = (pool.parts(), Gate::new(pool));
    let layer = Layer { isa, parts, matrices, products, gate, rows, views, purpose };
    if rows <= PANEL {
        // Each part makes the rows ready for itself: that takes less than waiting for another.
        pool.run(&|part| layer.few_rows(part, x.ready(isa, rounds).operand()));
    } else {
        let x = x.ready_by(pool, isa, rounds);
        pool.run(&|part| layer.many_rows(part, x.operand()));
    }
}

/// What the parts of the pool share.
struct Layer<'a, const N: usize> {
    isa: Isa,
    parts: usize,
    matrices: [&'a PackedMatrix; N],
    products: Products<'a>,
    gate: Gate<'a>,
    rows: usize,
    views: [DisjointRows<'a>; N],
    purpose: Purpose,
}

impl<const N: usize> Layer<'_, N> {
    /// One panel of rows: time goes into reading weights, and what updates read is asked for while
    /// the matrices' own is read and multiplied.
    fn few_rows(&self, part: usize, x: Operand<'_>) {
        let Self { products, gate, .. } = self;
        let own = self.own_tiles(part);
        let pieces: Vec<_> = pieces(&own, TILES).collect();
        let (before, after) = pieces.split_at(pieces.len() / 2);
        let mut out = [lanes::splat(0.0); TILES * PANEL];
        for (i, (m, tiles)) in before.iter().enumerate() {
            products.fetch_a((part, self.parts), (i, before.len()));
            self.compute(*m, tiles, x, &mut out, false);
        }
        products.shrink(self.isa, (part, self.parts), x);
        gate.arrive();
        for (i, (m, tiles)) in after.iter().enumerate() {
            products.fetch_b(&own, (i, after.len()));
            self.compute(*m, tiles, x, &mut out, false);
        }
        if !products.is_empty() {
            gate.wait();
            own.iter().enumerate().for_each(|(m, tiles)| self.update(m, tiles, &mut out));
        }
        self.finish(&own);
    }

    /// Many rows: a tile's weights and its outputs stay near while all panels of rows meet them.
    fn many_rows(&self, part: usize, x: Operand<'_>) {
        let mut out = [lanes::splat(0.0); TILES * PANEL];
        if !self.products.is_empty() {
            self.products.shrink(self.isa, (part, self.parts), x);
            self.gate.arrive();
            self.gate.wait();
        }
        for own in self.blocks(self.own_tiles(part)) {
            for (m, tiles) in pieces(&own, TOGETHER) {
                self.compute(m, &tiles, x, &mut out, true);
            }
            self.finish(&own);
        }
    }

    /// Some tiles' outputs, at most [`TILES`], for every row, with updates if they are `ready`. The
    /// tiles are the part's own.
    #[expect(unsafe_code, reason = "reads and writes the columns of these tiles")]
    fn compute(
        &self,
        m: usize,
        tiles: &Range<usize>,
        x: Operand<'_>,
        out: &mut [Lanes; TILES * PANEL],
        ready: bool,
    ) {
        let y = &self.views[m];
        for rows in chunks(0..self.rows, PANEL) {
            let x = (x, rows.clone());
            let out = multiply(self.isa, self.matrices[m], tiles.clone(), x, out);
            if self.purpose == Purpose::Add {
                // SAFETY: `own_tiles` shares tiles out to parts once each.
                unsafe { each_row(tiles, rows.clone(), out, y, |y, out| add(out, y)) };
            }
            if ready {
                self.products.expand(self.isa, m, tiles, &rows, out);
            }
            // SAFETY: as above.
            unsafe { each_row(tiles, rows, out, y, |y, out| y.copy_from_slice(out)) };
        }
    }

    /// Adds the updates to some tiles' outputs of few rows. The tiles are the part's own.
    #[expect(unsafe_code, reason = "reads and writes the columns of these tiles")]
    fn update(&self, m: usize, tiles: &Range<usize>, out: &mut [Lanes; TILES * PANEL]) {
        let (y, rows) = (&self.views[m], 0..self.rows);
        for tiles in chunks(tiles.clone(), TILES) {
            let out = &mut out[..tiles.len() * self.rows];
            // SAFETY: `own_tiles` shares tiles out to parts once each.
            unsafe { each_row(&tiles, rows.clone(), out, y, |y, out| out.copy_from_slice(y)) };
            self.products.expand(self.isa, m, &tiles, &rows, out);
            // SAFETY: as above.
            unsafe { each_row(&tiles, rows.clone(), out, y, |y, out| y.copy_from_slice(out)) };
        }
    }

    /// Gates the outputs of some tiles if that is the purpose. The tiles are the part's own.
    #[expect(unsafe_code, reason = "writes the columns of these tiles")]
    fn finish(&self, own: &[Range<usize>; N]) {
        let (Purpose::Gate, [gate, up, ..]) = (self.purpose, self.views.as_slice()) else { return };
        let columns = own[0].start * TILE..gate.width().min(own[0].end * TILE);
        for row in 0..self.rows {
            // SAFETY: `own_tiles` shares tiles out to parts once each, of both alike.
            let (gate, up) =
                unsafe { (gate.columns(row, columns.clone()), up.columns(row, columns.clone())) };
            elementwise::gate(self.isa, gate, up);
        }
    }

    /// Tiles of all matrices that are computed and finished before the next.
    fn blocks(&self, own: [Range<usize>; N]) -> Vec<[Range<usize>; N]> {
        match self.purpose {
            Purpose::Set | Purpose::Add => vec![own],
            Purpose::Gate => chunks(own[0].clone(), TILES)
                .map(|tiles| std::array::from_fn(|_| tiles.clone()))
                .collect(),
        }
    }

    /// A part's share of all matrices' tiles: of each matrix a range, which may be empty.
    fn own_tiles(&self, part: usize) -> [Range<usize>; N] {
        if self.purpose == Purpose::Gate {
            let own = share(self.matrices[0].tiles(), part, self.parts);
            return self.matrices.map(|_| own.clone());
        }
        let own = share(self.matrices.iter().map(|m| m.tiles()).sum(), part, self.parts);
        let mut first = 0;
        self.matrices.map(|matrix| {
            let last = first + matrix.tiles();
            let (start, end) = (own.start.clamp(first, last), own.end.clamp(first, last));
            let tiles = start - first..end - first;
            first = last;
            tiles
        })
    }
}

/// `y += x`.
#[inline(always)]
fn add(y: &mut [f32], x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
}

/// Matrices' tiles, some of one matrix at a time.
fn pieces(tiles: &[Range<usize>], together: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let of = move |(m, tiles): (usize, &Range<usize>)| {
        chunks(tiles.clone(), together).map(move |tiles| (m, tiles))
    };
    tiles.iter().enumerate().flat_map(of)
}

/// Pieces of a range, of that length but the last.
pub(super) fn chunks(range: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    let Range { start, end } = range;
    (start..end).step_by(length).map(move |first| first..end.min(first + length))
}

/// Gives `work` the columns of each tile and row of `y`, and what of `out` (tile, row) is meant for
/// them.
///
/// # Safety
/// No other part has these tiles.
#[expect(unsafe_code, reason = "writes the columns of these tiles")]
unsafe fn each_row(
    tiles: &Range<usize>,
    rows: Range<usize>,
    out: &mut [Lanes],
    y: &DisjointRows<'_>,
    work: impl Fn(&mut [f32], &mut [f32]),
) {
    for (i, row) in rows.clone().enumerate() {
        // SAFETY: the caller's promise, tiles do not share columns, and the slice ends here.
        let y = unsafe { y.columns(row, tiles.start * TILE..y.width().min(tiles.end * TILE)) };
        let mut lanes = out.iter_mut().skip(i).step_by(rows.len());
        let (whole, rest) = y.as_chunks_mut::<TILE>();
        for (y, lanes) in whole.iter_mut().zip(&mut lanes) {
            work(y, lanes);
        }
        if let Some(lanes) = lanes.next().filter(|_| !rest.is_empty()) {
            work(rest, &mut lanes[..rest.len()]);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
