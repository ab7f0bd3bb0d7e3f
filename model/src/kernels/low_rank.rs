//! Low-rank products: what adapters add at a site, each row with its own set of them.
//!
//! Both factors are packed matrices, and the kernels of the linear layers multiply them: in 8 bits,
//! rows rounded alike, or in f32.

use std::ops::Range;
use std::sync::OnceLock;

use super::Isa;
use super::lanes::{self, Lanes};
use super::linear::{TILES, add_products, chunks, multiply};
use super::packed::{GROUP, PackedMatrix, Precision, TILE};
use super::pool::share;
use super::quantised::{Operand, PANEL, PanelGroup, round_rows};

/// The two factors of a low-rank update, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// A: (rank, inputs).
    a: PackedMatrix,
    /// B: (outputs, rank).
    b: PackedMatrix,
    /// What the product of the two is multiplied with.
    unit: f32,
}

impl Factors {
    /// Packs `a` (rank, inputs) and `b` (outputs, rank), both row-major, in [`Precision::Int8`] or
    /// [`Precision::F32`]. `None` if they are too large: their largest values' product is not finite.
    ///
    /// Each is first divided by the power of two below its largest value, for the scales of 8-bit
    /// groups are half-precision numbers, whose range is small.
    ///
    /// # Panics
    /// If they have no whole rows of that rank.
    #[must_use]
    pub fn new(precision: Precision, rank: usize, a: &[f32], b: &[f32]) -> Option<Self> {
        assert!(rank > 0 && a.len().is_multiple_of(rank) && b.len().is_multiple_of(rank));
        let (a_unit, b_unit) = (unit(a), unit(b));
        let pack = |shape, values: &[f32], unit: f32| {
            let values: Vec<f32> = values.iter().map(|value| value / unit).collect();
            PackedMatrix::from_values(precision, shape, &values)
        };
        let unit = Some(a_unit * b_unit).filter(|unit| unit.is_finite())?;
        let a = pack((rank, a.len() / rank), a, a_unit);
        let b = pack((b.len() / rank, rank), b, b_unit);
        Some(Self { a, b, unit })
    }

    /// Rows of A and columns of B.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.a.outputs()
    }

    /// Columns of A.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.a.inputs()
    }

    /// Rows of B.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.b.outputs()
    }

    /// The factors as they stand for: `a` (rank, inputs) and `b` (outputs, rank), row-major. Their
    /// product is that of these factors; how it is shared between the two is not kept.
    #[must_use]
    pub fn unpack(&self) -> (Vec<f32>, Vec<f32>) {
        let dense = |matrix: &PackedMatrix, unit: f32| {
            let mut values = vec![0.0; matrix.outputs() * matrix.inputs()];
            for (output, row) in values.chunks_exact_mut(matrix.inputs()).enumerate() {
                matrix.unpack(output, row);
                row.iter_mut().for_each(|value| *value *= unit);
            }
            values
        };
        (dense(&self.a, 1.0), dense(&self.b, self.unit))
    }

    /// Memory of both.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.a.bytes() + self.b.bytes()
    }
}

/// The largest power of two that is not above the size of any value, but a normal number.
fn unit(values: &[f32]) -> f32 {
    let largest = values.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    f32::from_bits(largest.to_bits() & f32::INFINITY.to_bits()).max(f32::MIN_POSITIVE)
}

/// A low-rank update of some rows.
#[derive(Debug, Clone)]
pub struct Update<'a> {
    /// The rows; a range may end beyond those that there are.
    pub rows: Range<usize>,
    /// The factors.
    pub factors: &'a Factors,
    /// What the product is multiplied with.
    pub scale: f32,
}

/// Every update of every row, in the two halves in which parts of the pool share them: first
/// `scale * A x`, by updates, then `y += B (scale * A x)`, by columns. A row's updates are added in
/// the order in which they stand, and a row without one is not touched.
pub(super) struct Products<'a> {
    /// By matrix, then by panel of rows.
    jobs: Vec<Job<'a>>,
    /// Where the jobs of each panel of each matrix end.
    ends: Vec<usize>,
    panels: usize,
}

/// One update of some rows of a panel.
struct Job<'a> {
    rows: Range<usize>,
    factors: &'a Factors,
    scale: f32,
    inner: OnceLock<Inner>,
}

/// `scale * A x` of a job's rows, as B takes it.
struct Inner {
    values: Vec<f32>,
    panels: Vec<PanelGroup>,
}

impl<'a> Products<'a> {
    /// The updates of some matrices, which are applied to the same `rows` rows.
    pub(super) fn new(updates: &[&[Update<'a>]], rows: usize) -> Self {
        let panels = rows.div_ceil(PANEL);
        let (mut jobs, mut ends) = (Vec::new(), Vec::with_capacity(updates.len() * panels));
        for updates in updates {
            for panel in chunks(0..rows, PANEL) {
                for Update { rows, factors, scale } in *updates {
                    let rows = rows.start.max(panel.start)..rows.end.min(panel.end);
                    if !rows.is_empty() {
                        let scale = scale * factors.unit;
                        jobs.push(Job { rows, factors, scale, inner: OnceLock::new() });
                    }
                }
                ends.push(jobs.len());
            }
        }
        Self { jobs, ends, panels }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether the first half takes rounded rows.
    pub(super) fn rounds(&self) -> bool {
        self.jobs.iter().any(|job| job.factors.a.precision != Precision::F32)
    }

    /// Asks for share number `step` of `steps` of what this part's first half reads.
    pub(super) fn fetch_a(&self, (part, parts): (usize, usize), steps: (usize, usize)) {
        for job in &self.jobs[share(self.jobs.len(), part, parts)] {
            let a = &job.factors.a;
            a.fetch(0..a.tiles(), steps);
        }
    }

    /// Asks for share number `step` of `steps` of what the second half reads for some tiles of each
    /// matrix and the rows of the first panel.
    pub(super) fn fetch_b(&self, tiles: &[Range<usize>], steps: (usize, usize)) {
        for (matrix, tiles) in tiles.iter().enumerate() {
            self.of(matrix, 0).iter().for_each(|job| job.factors.b.fetch(tiles.clone(), steps));
        }
    }

    /// The jobs of a matrix and a panel.
    fn of(&self, matrix: usize, panel: usize) -> &[Job<'a>] {
        let number = matrix * self.panels + panel;
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.jobs[begin..self.ends[number]]
    }

    /// The first half, of this part's share of the jobs.
    pub(super) fn shrink(&self, isa: Isa, (part, parts): (usize, usize), x: Operand<'_>) {
        if self.is_empty() {
            return;
        }
        let mut out = [lanes::splat(0.0); TILES * PANEL];
        for job in &self.jobs[share(self.jobs.len(), part, parts)] {
            // Nobody else has this job.
            let _ = job.inner.set(job.shrink(isa, x, &mut out));
        }
    }

    /// The second half, of some tiles of matrix number `matrix`, at most [`TILES`], and the rows of a
    /// panel: it is added to `out` (tile, row).
    ///
    /// # Panics
    /// If a part has not done its first half.
    pub(super) fn expand(
        &self,
        isa: Isa,
        matrix: usize,
        tiles: &Range<usize>,
        rows: &Range<usize>,
        out: &mut [Lanes],
    ) {
        for job in self.of(matrix, rows.start / PANEL) {
            job.expand(isa, tiles, rows, out);
        }
    }
}

impl Job<'_> {
    fn shrink(&self, isa: Isa, x: Operand<'_>, out: &mut [Lanes; TILES * PANEL]) -> Inner {
        let Factors { a, b, .. } = self.factors;
        let rank = a.outputs();
        let mut values = vec![0.0; self.rows.len() * rank];
        for tiles in chunks(0..a.tiles(), TILES) {
            let out = multiply(isa, a, tiles.clone(), (x, self.rows.clone()), out);
            for (i, lanes) in out.iter().enumerate() {
                let (tile, row) = (tiles.start + i / self.rows.len(), i % self.rows.len());
                let inner = values[row * rank..][..rank][tile * TILE..].iter_mut();
                inner.zip(lanes).for_each(|(inner, lane)| *inner = *lane * self.scale);
            }
        }
        let mut panels = Vec::new();
        if b.precision != Precision::F32 {
            panels.resize(rank.div_ceil(GROUP), PanelGroup::default());
            round_rows(isa, &values, rank, &mut panels);
        }
        Inner { values, panels }
    }

    fn expand(&self, isa: Isa, tiles: &Range<usize>, rows: &Range<usize>, out: &mut [Lanes]) {
        let Some(inner) = self.inner.get() else { unreachable!("all parts have come to the gate") };
        let x = Operand::new(self.factors.rank(), &inner.values, &inner.panels);
        let own = self.rows.start - rows.start..self.rows.end - rows.start;
        add_products(isa, &self.factors.b, tiles.clone(), x, (own, rows.len()), out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::Input;
    use super::super::linear::linear;
    use super::super::linear::tests::Noise;
    use super::super::pool::Pool;
    use super::*;
    use crate::Rows;

    const INPUTS: usize = 40;
    const OUTPUTS: usize = 53;
    const ROWS: usize = 11;

    fn values(noise: &mut Noise, count: usize) -> Vec<f32> {
        (0..count).map(|_| noise.next()).collect()
    }

    /// What the updates add to rows `x`.
    fn updated(isa: Isa, parts: usize, updates: &[Update<'_>], x: &Rows) -> Rows {
        let zero =
            PackedMatrix::from_values(Precision::F32, (OUTPUTS, INPUTS), &[0.0; OUTPUTS * INPUTS]);
        let [y] = linear(&Pool::new(parts), isa, [&zero], [updates], Input::Plain(x));
        y
    }

    #[test]
    fn every_instruction_set_and_number_of_parts_gives_the_product() {
        let precisions = [(Precision::F32, 1e-6), (Precision::Int8, 0.02)];
        for ((precision, tolerance), rows) in
            precisions.into_iter().flat_map(|precision| [6, ROWS].map(|rows| (precision, rows)))
        {
            let mut noise = Noise::new(9);
            let x = noise.rows(rows, INPUTS);
            let ranks = [3, 37];
            let plain =
                ranks.map(|r| (values(&mut noise, r * INPUTS), values(&mut noise, r * OUTPUTS)));
            let factors = [0, 1].map(|i| {
                let (a, b) = &plain[i];
                Factors::new(precision, ranks[i], a, b).expect("finite")
            });
            let update =
                |index: usize, rows, scale| Update { rows, factors: &factors[index], scale };
            let updates = [
                update(0, 0..2, -0.5),
                update(1, 1..rows - 1, 2.0),
                update(1, rows..usize::MAX, 1.0),
            ];
            let want = updated(Isa::Portable, 1, &updates, &x);
            for row in 0..rows {
                let (sums, size) = expected(&plain, &ranks, &updates[..2], x.row(row), row);
                for (got, sum) in want.row(row).iter().zip(sums) {
                    let error = (f64::from(*got) - sum).abs();
                    assert!(error <= tolerance * size, "{precision:?} {row}: {error} of {size}");
                }
            }
            assert_eq!(want.row(rows - 1), [0.0; OUTPUTS], "a row without an update");
            for (isa, parts) in
                Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 2), (isa, 4)])
            {
                assert_eq!(updated(isa, parts, &updates, &x), want, "{isa:?}, {parts} parts");
            }
        }
    }

    /// What the updates add to a row, and the largest of it.
    fn expected(
        plain: &[(Vec<f32>, Vec<f32>); 2],
        ranks: &[usize; 2],
        updates: &[Update<'_>],
        x: &[f32],
        row: usize,
    ) -> (Vec<f64>, f64) {
        let dot = |a: &[f32], b: &mut dyn Iterator<Item = f64>| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * b).sum()
        };
        let mut sums = vec![0.0; OUTPUTS];
        for (((a, b), rank), update) in plain.iter().zip(ranks).zip(updates) {
            if !update.rows.contains(&row) {
                continue;
            }
            let inner: Vec<f64> = a
                .chunks_exact(INPUTS)
                .map(|a| dot(a, &mut x.iter().copied().map(f64::from)))
                .collect();
            for (sum, b) in sums.iter_mut().zip(b.chunks_exact(*rank)) {
                *sum += f64::from(update.scale) * dot(b, &mut inner.iter().copied());
            }
        }
        let size = sums.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        (sums, size)
    }

    #[test]
    fn a_row_is_the_same_alone_and_among_others() {
        let mut noise = Noise::new(4);
        let x = noise.rows(ROWS, INPUTS);
        let (a, b) = (values(&mut noise, 16 * INPUTS), values(&mut noise, 16 * OUTPUTS));
        let factors = Factors::new(Precision::Int8, 16, &a, &b).expect("finite");
        let update = |rows| Update { rows, factors: &factors, scale: 0.7 };
        let together = updated(Isa::detect(), 2, &[update(0..ROWS)], &x);
        let apart: Vec<_> = (0..ROWS).map(|row| update(row..row + 1)).collect();
        assert_eq!(updated(Isa::detect(), 2, &apart, &x), together);
        for row in 0..ROWS {
            let mut alone = Rows::zeros(1, INPUTS);
            alone.row_mut(0).copy_from_slice(x.row(row));
            let y = updated(Isa::detect(), 2, &[update(0..1)], &alone);
            assert_eq!(y.row(0), together.row(row));
        }
    }

    #[test]
    fn factors_of_any_size_keep_their_precision() {
        let mut noise = Noise::new(5);
        let x = noise.rows(ROWS, INPUTS);
        let (a, b) = (values(&mut noise, 4 * INPUTS), values(&mut noise, 4 * OUTPUTS));
        let product = |a_size: f32, b_size: f32| {
            let sized = |values: &[f32], size| -> Vec<f32> {
                values.iter().map(|value| value * size).collect()
            };
            let factors = Factors::new(Precision::Int8, 4, &sized(&a, a_size), &sized(&b, b_size));
            let scale = 1.0 / a_size / b_size;
            updated(
                Isa::detect(),
                1,
                &[Update { rows: 0..ROWS, factors: &factors.expect("finite"), scale }],
                &x,
            )
        };
        let want = product(1.0, 1.0);
        for exponent in [-60, -20, 16, 60] {
            let size = 2.0_f32.powi(exponent);
            assert_eq!(product(size, 1.0), want, "2^{exponent}");
            assert_eq!(product(1.0, size), want, "2^{exponent}");
        }
        assert!(Factors::new(Precision::Int8, 1, &[1e30], &[1e30]).is_none());
        let nothing = Factors::new(Precision::Int8, 1, &[0.0; INPUTS], &[0.0; OUTPUTS]);
        let update = Update { rows: 0..ROWS, factors: &nothing.expect("finite"), scale: 1.0 };
        assert_eq!(updated(Isa::detect(), 1, &[update], &x), Rows::zeros(ROWS, OUTPUTS));
    }
}
