use half::f16;

use super::super::low_rank::Factors;
use super::super::packed::{Block, GROUP, QUAD};
use super::super::quantised::{PanelGroup, PanelRows};
use super::multiply::integer_tiles;
use super::*;

/// A small seeded generator, so that the tests need no other crate.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in [-1, 1).
    pub(crate) fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    pub(crate) fn rows(&mut self, rows: usize, width: usize) -> Rows {
        let mut x = Rows::zeros(rows, width);
        x.values_mut().iter_mut().for_each(|v| *v = self.next());
        x
    }
}

fn matrix(precision: Precision, outputs: usize, inputs: usize) -> PackedMatrix {
    let mut noise = Noise::new(7);
    if precision == Precision::F32 {
        let w: Vec<f32> = (0..outputs * inputs).map(|_| noise.next()).collect();
        return PackedMatrix::from_values(precision, (outputs, inputs), &w);
    }
    let levels = if precision == Precision::Int8 { 128.0 } else { 8.0 };
    PackedMatrix::from_blocks(precision, (outputs, inputs), |_, group| {
        let beyond = |i: usize| group * GROUP + i >= inputs;
        Block {
            scale: f16::from_f32(0.01 + noise.next().abs() / 50.0),
            minimum: f16::from_f32(if precision == Precision::Int4Affine {
                noise.next()
            } else {
                0.0
            }),
            quants: std::array::from_fn(|i| {
                let q = ((noise.next() + 1.0) * levels) as u8;
                if beyond(i) { precision.offset() as u8 } else { q }
            }),
        }
    })
}

const ALL: [Precision; 4] =
    [Precision::Int4, Precision::Int4Affine, Precision::Int8, Precision::F32];

/// Matrices of each precision of integers, with a last group that is whole and one that is not.
pub(super) fn integer_matrices() -> impl Iterator<Item = PackedMatrix> {
    ALL[..3].iter().flat_map(|precision| [72, 96].map(|inputs| matrix(*precision, 40, inputs)))
}

/// Values of all sizes, the most extreme ones among them.
pub(super) fn panel(inputs: usize) -> Vec<PanelGroup> {
    let mut noise = Noise::new(8);
    let mut panel = vec![PanelGroup::default(); inputs.div_ceil(GROUP)];
    for input in 0..inputs {
        for row in 0..PANEL {
            let value = if row == 0 { -128 } else { (noise.next() * 128.0) as i8 };
            let group = &mut panel[input / GROUP];
            group.values[input % GROUP / QUAD][row][input % QUAD] = value;
            group.sums[row] += i32::from(value);
        }
    }
    for row in 0..PANEL {
        for group in &mut panel {
            group.scales[row] = noise.next().abs();
            group.totals[row] = group.sums[row] as f32 * group.scales[row];
        }
    }
    panel
}

/// Whether a version of integer tiles gives what the portable one gives, for any rows of a panel.
fn compare_with_portable(
    name: &str,
    version: impl Fn(&PackedMatrix, Range<usize>, (PanelRows<'_>, usize), &mut [Lanes]),
) {
    for m in integer_matrices() {
        let groups = panel(m.inputs);
        for (first, rows) in (0..PANEL).flat_map(|f| (1..=PANEL - f).map(move |rows| (f, rows))) {
            let x = PanelRows { groups: &groups, first };
            let mut want = vec![lanes::splat(0.0); 2 * rows];
            let mut got = vec![lanes::splat(f32::NAN); 2 * rows];
            portable::tiles(&m, 1..3, (x, rows), &mut want);
            version(&m, 1..3, (x, rows), &mut got);
            assert_eq!(got, want, "{name} {:?} {first} {rows}", m.precision);
        }
    }
}

#[test]
fn integer_tiles_agree_bit_for_bit_on_every_instruction_set() {
    for isa in Isa::available() {
        compare_with_portable(&format!("{isa:?}"), |m, tiles, x, out| {
            integer_tiles(isa, m, tiles, x, out);
        });
    }
}

/// The code for AVX-VNNI, in the encoding of processors that have AVX-512 instead.
#[test]
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls the copy whose features were detected")]
fn vnni_tiles_agree_bit_for_bit_in_the_other_encoding() {
    if Isa::detect() == Isa::Avx512 {
        compare_with_portable("256-bit VNNI", |m, tiles, x, out| {
            // SAFETY: AVX-512 as we take it has these features.
            unsafe { vnni::evex::tiles(m, tiles, x, out) };
        });
    }
}

#[test]
fn every_instruction_set_agrees_bit_for_bit() {
    let pool = Pool::new(1);
    for precision in ALL {
        let m = matrix(precision, 50, 96);
        for rows in 1..=PANEL + 1 {
            let x = Noise::new(3).rows(rows, 96);
            let [want] = linear(&pool, Isa::Portable, [&m], [&[]], Input::Plain(&x));
            for isa in Isa::available() {
                assert_eq!(
                    linear(&pool, isa, [&m], [&[]], Input::Plain(&x))[0],
                    want,
                    "{precision:?} {isa:?}"
                );
            }
        }
    }
}

#[test]
fn a_row_is_the_same_in_any_batch_and_thread_count() {
    for precision in ALL {
        let m = matrix(precision, 100, 64);
        let x = Noise::new(4).rows(19, 64);
        let [want] = linear(&Pool::new(1), Isa::detect(), [&m], [&[]], Input::Plain(&x));
        for parts in [2, 3] {
            assert_eq!(
                linear(&Pool::new(parts), Isa::detect(), [&m], [&[]], Input::Plain(&x))[0],
                want
            );
        }
        for row in 0..x.len() {
            let mut alone = Rows::zeros(1, 64);
            alone.row_mut(0).copy_from_slice(x.row(row));
            let [y] = linear(&Pool::new(2), Isa::detect(), [&m], [&[]], Input::Plain(&alone));
            assert_eq!(y.row(0), want.row(row), "{precision:?} row {row}");
        }
    }
}

#[test]
fn products_are_those_of_the_unpacked_matrix() {
    for (precision, tolerance) in [
        (Precision::Int4, 0.02),
        (Precision::Int4Affine, 0.02),
        (Precision::Int8, 0.02),
        (Precision::F32, 1e-6),
    ] {
        let m = matrix(precision, 33, 72);
        let x = Noise::new(5).rows(3, 72);
        let [y] = linear(&Pool::new(2), Isa::detect(), [&m], [&[]], Input::Plain(&x));
        let mut w = [0.0; 72];
        for output in 0..33 {
            m.unpack(output, &mut w);
            for row in 0..3 {
                let products = w.iter().zip(x.row(row)).map(|(w, x)| f64::from(*w) * f64::from(*x));
                let want: f64 = products.clone().sum();
                let size: f64 = products.map(|p| p * p).sum::<f64>().sqrt();
                let error = (f64::from(y.row(row)[output]) - want).abs();
                assert!(error <= tolerance * size, "{precision:?}: off by {error} of {size}");
            }
        }
    }
}

#[test]
fn matrices_that_run_together_give_what_each_gives_alone() {
    let (a, b) = (matrix(Precision::Int8, 48, 64), matrix(Precision::F32, 17, 64));
    let x = Noise::new(6).rows(4, 64);
    let pool = Pool::new(2);
    let [ya, yb] = linear(&pool, Isa::detect(), [&a, &b], [&[], &[]], Input::Plain(&x));
    assert_eq!(ya, linear(&pool, Isa::detect(), [&a], [&[]], Input::Plain(&x))[0]);
    assert_eq!(yb, linear(&pool, Isa::detect(), [&b], [&[]], Input::Plain(&x))[0]);
}

/// In every number of rows that is computed differently, and shared out or not.
const BATCHES: [(usize, usize); 4] = [(1, 1), (8, 2), (9, 1), (19, 3)];

#[test]
fn normalised_rows_and_gates_are_those_of_one_step_after_the_other() {
    let (gate, up) = (matrix(Precision::Int4Affine, 300, 64), matrix(Precision::F32, 300, 64));
    let mut noise = Noise::new(7);
    let weight: Vec<f32> = (0..64).map(|_| noise.next()).collect();
    let factors: Vec<f32> = (0..16 * 300).map(|_| noise.next()).collect();
    let factors = Factors::new(Precision::Int8, 16, &factors[..16 * 64], &factors).expect("finite");
    for (isa, (rows, parts)) in
        Isa::available().into_iter().flat_map(|isa| BATCHES.map(|batch| (isa, batch)))
    {
        let (pool, x) = (Pool::new(parts), noise.rows(rows, 64));
        let update = Update { rows: 0..rows.div_ceil(2), factors: &factors, scale: 0.5 };
        let updates: [&[_]; 2] = [&[update], &[]];
        let mut normalised = Rows::zeros(rows, 64);
        elementwise::rms_norm(isa, x.values(), &weight, 1e-5, normalised.values_mut());
        let [mut want, other] =
            linear(&pool, isa, [&gate, &up], updates, Input::Plain(&normalised));
        elementwise::gate(isa, want.values_mut(), other.values());
        let x = Input::Normalised { x: &x, weight: &weight, epsilon: 1e-5 };
        assert_eq!(gated_linear(&pool, isa, [&gate, &up], updates, x), want, "{isa:?} {rows}");
    }
}

#[test]
fn products_are_added_to_what_there_is() {
    let m = matrix(Precision::Int4, 50, 96);
    for (rows, parts) in BATCHES {
        let mut noise = Noise::new(8);
        let (pool, x, mut y) = (Pool::new(parts), noise.rows(rows, 96), noise.rows(rows, 50));
        let [mut want] = linear(&pool, Isa::detect(), [&m], [&[]], Input::Plain(&x));
        add(want.values_mut(), y.values());
        add_linear(&pool, Isa::detect(), &m, &[], Input::Plain(&x), &mut y);
        assert_eq!(y, want, "{rows} rows");
    }
}
