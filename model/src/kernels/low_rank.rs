//! Low-rank products: what adapters add at a site, each row with its own set of them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::ops::Range;

use super::Isa;
use super::disjoint::DisjointRows;
use super::lanes::LANES;
use super::pool::{Pool, share};
use crate::Rows;

/// The two factors of a low-rank update, in half precision (bits).
#[derive(Debug, Clone, Copy)]
pub struct Factors<'a> {
    /// `A`: (rank, inputs).
    pub a: &'a [u16],
    /// `B` transposed: (rank, outputs), so that a rank's outputs are contiguous.
    pub b_transposed: &'a [u16],
    /// The rank.
    pub rank: usize,
}

/// A low-rank update of some rows.
#[derive(Debug, Clone)]
pub struct Update<'a> {
    /// The rows.
    pub rows: Range<usize>,
    /// The factors.
    pub factors: Factors<'a>,
    /// What the product is multiplied with.
    pub scale: f32,
}

/// Applies the updates to their rows, for each row in the order in which they stand: `x` (rows,
/// inputs), `y` (rows, outputs). Rows without an update are not touched.
///
/// # Panics
/// If an update's rows or widths do not fit `x` and `y`.
#[expect(unsafe_code, reason = "writes whole rows, each of which belongs to one part")]
pub fn add_rows(pool: &Pool, isa: Isa, updates: &[Update<'_>], x: &Rows, y: &mut Rows) {
    assert_eq!(x.len(), y.len(), "rows of input and output");
    let (rows, width) = (y.len(), y.width());
    let view = DisjointRows::new(y.values_mut(), width);
    pool.run(&|part| {
        let mut scratch = Vec::new();
        for row in share(rows, part, pool.parts()) {
            for update in updates.iter().filter(|u| u.rows.contains(&row)) {
                // SAFETY: each row is in the share of one part, and the slice ends here.
                let y = unsafe { view.columns(row, 0..width) };
                add(isa, update.factors, update.scale, x.row(row), y, &mut scratch);
            }
        }
    });
}

/// `y += scale * B A x`, rank by rank in order.
///
/// `scratch` is overwritten; it only saves an allocation.
///
/// # Panics
/// If the factors do not have `rank` rows of `x`'s and `y`'s widths.
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
pub fn add(
    isa: Isa,
    factors: Factors<'_>,
    scale: f32,
    x: &[f32],
    y: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let Factors { a, b_transposed, rank } = factors;
    assert!(a.len() == rank * x.len() && b_transposed.len() == rank * y.len(), "factors of a site");
    let a = a.chunks_exact(x.len().max(1));
    scratch.clear();
    match isa.min(Isa::detect()) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: never above what `detect` found.
        Isa::Avx512 => unsafe {
            scratch.extend(a.map(|a| scale * avx512::dot(a, x)));
            avx512::add_scaled(scratch, b_transposed, y);
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Isa::Avx2 => unsafe {
            scratch.extend(a.map(|a| scale * avx2::dot(a, x)));
            avx2::add_scaled(scratch, b_transposed, y);
        },
        #[cfg(not(target_arch = "x86_64"))]
        Isa::Avx512 | Isa::Avx2 => unreachable!("no other target detects them"),
        Isa::Portable => {
            scratch.extend(a.map(|a| scale * portable::dot(a, x)));
            portable::add_scaled(scratch, b_transposed, y);
        }
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
    use half::f16;

    use super::super::linear::tests::Noise;
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_product() {
        let mut noise = Noise::new(9);
        let mut half = |n: usize| -> Vec<u16> {
            (0..n).map(|_| f16::from_f32(noise.next()).to_bits()).collect()
        };
        let (a, b) = (half(3 * 40), half(3 * 21));
        let x: Vec<f32> = Noise::new(10).rows(1, 40).values().to_vec();
        let value = |bits: u16| f64::from(f16::from_bits(bits).to_f32());
        let factors = Factors { a: &a, b_transposed: &b, rank: 3 };
        let mut portable = vec![1.0; 21];
        add(Isa::Portable, factors, -0.5, &x, &mut portable, &mut Vec::new());
        for (output, got) in portable.iter().enumerate() {
            let want: f64 = (0..3)
                .map(|j| {
                    let t: f64 = (0..40).map(|i| value(a[j * 40 + i]) * f64::from(x[i])).sum();
                    -0.5 * t * value(b[j * 21 + output])
                })
                .sum::<f64>()
                + 1.0;
            assert!((f64::from(*got) - want).abs() < 1e-5, "{got} {want}");
        }
        for isa in Isa::available() {
            let mut y = vec![1.0; 21];
            add(isa, factors, -0.5, &x, &mut y, &mut Vec::new());
            assert_eq!(y, portable, "{isa:?}");
        }
    }
}
