//! Low-rank products: what adapters add at a site, each row with its own set of them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::ops::Range;

use half::f16;

use super::Isa;
use super::disjoint::DisjointRows;
use super::lanes::LANES;
use super::pages::Stored;
use super::pool::share;
use crate::Rows;

/// How many values of factors are asked for ahead of their use.
const AHEAD: usize = 1024;

/// The two factors of a low-rank update, in half precision, laid out as a product walks over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors {
    rank: usize,
    inputs: usize,
    outputs: usize,
    /// Bits of A: (rank, inputs).
    a: Stored<u16>,
    /// Bits of B: for each sixteen outputs (rank, 16), filled up with zeros.
    b: Stored<u16>,
}

impl Factors {
    /// Lays out `a` (rank, inputs) and `b` (outputs, rank), both row-major.
    ///
    /// # Panics
    /// If they have no whole rows of that rank.
    #[must_use]
    pub fn new(rank: usize, a: &[f16], b: &[f16]) -> Self {
        assert!(rank > 0 && a.len().is_multiple_of(rank) && b.len().is_multiple_of(rank));
        let (inputs, outputs) = (a.len() / rank, b.len() / rank);
        let mut tiled = Vec::with_capacity(outputs.next_multiple_of(LANES) * rank);
        for tile in b.chunks(LANES * rank) {
            for r in 0..rank {
                let value = |output: usize| tile.get(output * rank + r).map_or(0, |v| v.to_bits());
                tiled.extend((0..LANES).map(value));
            }
        }
        let a: Vec<u16> = a.iter().map(|value| value.to_bits()).collect();
        Self { rank, inputs, outputs, a: Stored::new(&a), b: Stored::new(&tiled) }
    }

    /// Rows of A and columns of B.
    #[must_use]
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Columns of A.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }

    /// Rows of B.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Memory of both.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.a.len() + self.b.len()) * size_of::<u16>()
    }
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
/// `scale * A x`, by ranks, then `y += B (scale * A x)`, by columns. A row's updates are added in
/// the order in which they stand, and a row without one is not touched.
///
/// Factors are read once a step and seldom fit a cache with those of others, so each half asks for
/// the next ones while it works on some.
pub(super) struct Products<'a> {
    /// Matrix by matrix.
    jobs: Vec<Job<'a>>,
    /// Where the jobs of each matrix end.
    ends: Vec<usize>,
    /// `scale * A x` of all jobs.
    inner: DisjointRows<'a>,
    ranks: usize,
}

/// One update of one row.
struct Job<'a> {
    row: usize,
    factors: &'a Factors,
    scale: f32,
    /// Where its ranks begin among all.
    first: usize,
}

impl<'a> Products<'a> {
    /// The updates of some matrices, which are applied to `x` (rows, inputs) alike. `inner` is
    /// overwritten; it only keeps the memory.
    ///
    /// # Panics
    /// If an update's inputs do not fit `x`.
    pub(super) fn new(updates: &[&[Update<'a>]], x: &Rows, inner: &'a mut Vec<f32>) -> Self {
        let (mut jobs, mut ends, mut first) = (Vec::new(), Vec::new(), 0);
        for updates in updates {
            for Update { rows, factors, scale } in *updates {
                assert!(factors.inputs == x.width(), "inputs of an update");
                for row in rows.start..rows.end.min(x.len()) {
                    jobs.push(Job { row, factors, scale: *scale, first });
                    first += factors.rank;
                }
            }
            ends.push(jobs.len());
        }
        inner.clear();
        inner.resize(first, 0.0);
        Self { jobs, ends, inner: DisjointRows::new(inner, first), ranks: first }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ranks == 0
    }

    /// The first half, of this part's share of the ranks.
    #[expect(unsafe_code, reason = "writes this part's share, which no other part has")]
    pub(super) fn shrink(&self, isa: Isa, (part, parts): (usize, usize), x: &Rows) {
        let own = share(self.ranks, part, parts);
        let begin = self.jobs.partition_point(|job| job.first + job.factors.rank <= own.start);
        for (job, next) in neighbours(&self.jobs[begin..]) {
            let ranks = own.start.max(job.first)..own.end.min(job.first + job.factors.rank);
            if ranks.is_empty() {
                return;
            }
            next.into_iter()
                .for_each(|next| fetch(&next.factors.a[..AHEAD.min(next.factors.a.len())]));
            let row = x.row(job.row);
            let a = &job.factors.a[(ranks.start - job.first) * row.len()..];
            // SAFETY: shares do not overlap, and the slice ends here.
            let inner = unsafe { self.inner.columns(0, ranks) };
            dots(isa, a, row, inner);
            inner.iter_mut().for_each(|inner| *inner *= job.scale);
        }
    }

    /// Asks for what the second half needs of one tile of sixteen columns of matrix number `matrix`.
    pub(super) fn fetch_tile(&self, matrix: usize, tile: usize) {
        let mut before: Option<&Factors> = None;
        for job in self.of(matrix) {
            let Factors { rank, ref b, .. } = *job.factors;
            if before.is_none_or(|before| !std::ptr::eq(before, job.factors)) {
                fetch(b.get(tile * LANES * rank..(tile + 1) * LANES * rank).unwrap_or_default());
            }
            before = Some(job.factors);
        }
    }

    /// The second half, of one tile of sixteen columns, fewer if it is the last, of the output `y` of
    /// matrix number `matrix`.
    ///
    /// # Safety
    /// Every part has done its first half, and no other part has this tile.
    ///
    /// # Panics
    /// If an update's outputs do not fit `y`.
    #[expect(unsafe_code, reason = "reads what other parts wrote, and writes this part's columns")]
    pub(super) unsafe fn expand(&self, isa: Isa, matrix: usize, tile: usize, y: &DisjointRows<'_>) {
        for job in self.of(matrix) {
            let Factors { rank, outputs, ref b, .. } = *job.factors;
            let columns = tile * LANES..outputs.min((tile + 1) * LANES);
            // SAFETY: the caller's promises; both slices end here.
            let (inner, y) = unsafe {
                let inner = self.inner.read(0, job.first..job.first + rank);
                (inner, y.columns(job.row, columns))
            };
            add_scaled(isa, inner, &b[tile * LANES * rank..][..LANES * rank], y);
        }
    }

    /// The jobs of one matrix.
    fn of(&self, matrix: usize) -> &[Job<'a>] {
        let begin = matrix.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.jobs[begin..self.ends[matrix]]
    }
}

/// Each item, and the one after it.
fn neighbours<T>(items: &[T]) -> impl Iterator<Item = (&T, Option<&T>)> {
    items.iter().zip(items.iter().skip(1).map(Some).chain([None]))
}

/// Asks for `values` to be brought into the cache.
#[inline]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "a hint; it reads nothing"))]
fn fetch(values: &[u16]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(64 / size_of::<u16>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, and an address inside the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

/// The dot products of rows of half-precision `a` and `x`.
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn dots(isa: Isa, a: &[u16], x: &[f32], out: &mut [f32]) {
    match isa.min(Isa::detect()) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: never above what `detect` found.
        Isa::Avx512 => unsafe { avx512::dots(a, x, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::dots(a, x, out) },
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::Avx2 => unreachable!("no other target detects them"),
        Isa::Portable => portable::dots(a, x, out),
    }
}

/// `y += sum over ranks of t * b`, rank by rank in order: `b` is laid out as in [`Factors`].
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn add_scaled(isa: Isa, t: &[f32], b: &[u16], y: &mut [f32]) {
    match isa.min(Isa::detect()) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: never above what `detect` found.
        Isa::Avx512 => unsafe { avx512::add_scaled(t, b, y) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe { avx2::add_scaled(t, b, y) },
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::Avx2 => unreachable!("no other target detects them"),
        Isa::Portable => portable::add_scaled(t, b, y),
    }
}

/// Sixteen values from `at` on, zeros beyond the end.
#[inline]
fn padded<T: Copy + Default>(values: &[T], at: usize) -> [T; LANES] {
    let mut lanes = [T::default(); LANES];
    let rest = &values[at..values.len().min(at + LANES)];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}

#[cfg(test)]
mod tests {
    use super::super::linear::tests::Noise;
    use super::super::pool::{Gate, Pool};
    use super::*;

    fn half(noise: &mut Noise, count: usize) -> Vec<f16> {
        (0..count).map(|_| f16::from_f32(noise.next())).collect()
    }

    /// `y` with the updates, by that many parts.
    fn updated(isa: Isa, parts: usize, updates: &[Update<'_>], x: &Rows, y: &Rows) -> Rows {
        let (pool, mut y, mut inner) = (Pool::new(parts), y.clone(), Vec::new());
        let (products, gate) = (Products::new(&[updates], x, &mut inner), Gate::new(&pool));
        let width = y.width();
        let view = DisjointRows::new(y.values_mut(), width);
        pool.run(&|part| {
            products.shrink(isa, (part, parts), x);
            gate.pass();
            for tile in share(width.div_ceil(LANES), part, parts) {
                products.fetch_tile(0, tile + 1);
                #[expect(unsafe_code, reason = "as the linear layer does")]
                // SAFETY: all parts have come to the gate, and shares do not overlap.
                unsafe {
                    products.expand(isa, 0, tile, &view);
                }
            }
        });
        y
    }

    #[test]
    fn every_instruction_set_and_number_of_parts_gives_the_product() {
        let mut noise = Noise::new(9);
        let (x, y) = (noise.rows(3, 40), noise.rows(3, 53));
        let ranks = [3, 5];
        let plain = ranks.map(|rank| (half(&mut noise, rank * 40), half(&mut noise, rank * 53)));
        let factors = [0, 1].map(|i| Factors::new(ranks[i], &plain[i].0, &plain[i].1));
        let update = |index: usize, rows, scale| Update { rows, factors: &factors[index], scale };
        let updates = [update(0, 0..2, -0.5), update(1, 1..2, 2.0), update(1, 3..usize::MAX, 1.0)];
        let want = updated(Isa::Portable, 1, &updates, &x, &y);
        let value = |half: &f16| f64::from(half.to_f32());
        for (row, output) in (0..3).flat_map(|row| (0..53).map(move |output| (row, output))) {
            let mut sum = f64::from(y.row(row)[output]);
            for (index, update) in updates[..2].iter().enumerate() {
                let (a, b) = &plain[index];
                for rank in (0..ranks[index]).filter(|_| update.rows.contains(&row)) {
                    let a = a[rank * 40..][..40].iter().zip(x.row(row));
                    let inner: f64 = a.map(|(a, x)| value(a) * f64::from(*x)).sum();
                    sum +=
                        f64::from(update.scale) * inner * value(&b[output * ranks[index] + rank]);
                }
            }
            assert!((f64::from(want.row(row)[output]) - sum).abs() < 1e-5, "{row} {output}");
        }
        assert_eq!(want.row(2), y.row(2), "a row without an update keeps its bits");
        for (isa, parts) in
            Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 2), (isa, 4)])
        {
            assert_eq!(updated(isa, parts, &updates, &x, &y), want, "{isa:?}, {parts} parts");
        }
    }
}
