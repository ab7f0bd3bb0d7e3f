//! Sixteen f32 lanes: the unit in which every kernel computes.
//!
//! Plain arrays: the compiler turns them into vector registers where the instruction set has them.
//! The order of every sum is fixed here, whatever the instruction set. Lanes are walked by plain
//! loops: a closure given to `map` or `from_fn` can be compiled without its caller's features.

/// Number of lanes.
pub const LANES: usize = 16;

/// Sixteen values.
pub type Lanes = [f32; LANES];

/// 1.5 * 2^23: neighbouring numbers are 1 apart from here on, so that adding it to a value far below
/// rounds to the nearest integer, ties to even, and leaves that in the low bits.
pub(crate) const ROUNDING: f32 = 12_582_912.0;

/// Sixteen copies of `value`.
#[inline(always)]
#[must_use]
pub const fn splat(value: f32) -> Lanes {
    [value; LANES]
}

/// The first sixteen values of `values`.
///
/// # Panics
/// If there are fewer.
#[inline(always)]
#[must_use]
pub fn load(values: &[f32]) -> Lanes {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&values[..LANES]);
    lanes
}

/// `a * b + c` in every lane, rounded once.
#[inline(always)]
#[must_use]
pub fn fma(a: &Lanes, b: &Lanes, c: &Lanes) -> Lanes {
    let mut out = *c;
    for i in 0..LANES {
        out[i] = a[i].mul_add(b[i], c[i]);
    }
    out
}

/// The larger value in every lane; that of `a` where one is no number.
#[inline(always)]
#[must_use]
pub fn larger(a: &Lanes, b: &Lanes) -> Lanes {
    let mut out = *a;
    for i in 0..LANES {
        // Not `max`, which takes several instructions.
        out[i] = if b[i] > a[i] { b[i] } else { a[i] };
    }
    out
}

/// The largest of all lanes, if all are numbers.
#[inline(always)]
#[must_use]
pub fn largest(lanes: &Lanes) -> f32 {
    let mut x = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            x[i] = if x[i + width] > x[i] { x[i + width] } else { x[i] };
        }
        width /= 2;
    }
    x[0]
}

/// The sum of all lanes: halves are added until one is left.
#[inline(always)]
#[must_use]
pub fn sum(lanes: &Lanes) -> f32 {
    let mut x = *lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            x[i] += x[i + width];
        }
        width /= 2;
    }
    x[0]
}

/// The dot product of two slices of equal length; the tail fills lanes with zeros.
#[inline(always)]
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = splat(0.0);
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (a_tail, b_tail) = (a.remainder(), b.remainder());
    for (a, b) in a.zip(b) {
        acc = fma(&load(a), &load(b), &acc);
    }
    for (i, (a, b)) in a_tail.iter().zip(b_tail).enumerate() {
        acc[i] = a.mul_add(*b, acc[i]);
    }
    sum(&acc)
}

/// The values of sixteen IEEE half-precision numbers given by their bits. Infinities and NaN do
/// not occur in what we store; they come out as large finite numbers.
#[inline(always)]
#[must_use]
pub fn widen(half: &[u16; LANES]) -> Lanes {
    // 2^112 moves the exponent's bias from 15 to 127, and puts subnormals right as well.
    let rebias = f32::from_bits((112 + 127) << 23);
    let mut out = splat(0.0);
    for i in 0..LANES {
        let bits = u32::from(half[i]);
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * rebias;
        out[i] = f32::from_bits(magnitude.to_bits() | ((bits & 0x8000) << 16));
    }
    out
}

/// The nearest half-precision numbers, as bits, ties to even. What is too large becomes the largest
/// and never infinity, what is no number becomes 0: nothing stored can put NaN into sums of others.
#[inline(always)]
#[must_use]
pub fn narrow(x: &Lanes) -> [u16; LANES] {
    const LARGEST: f32 = 65_504.0;
    const SMALLEST_NORMAL: f32 = 1.0 / 16_384.0;
    let mut out = [0; LANES];
    for i in 0..LANES {
        let sign = x[i].to_bits() >> 16 & 0x8000;
        let size = x[i].abs();
        let size = if size > LARGEST { LARGEST } else { size };
        let bits = size.to_bits();
        // Half of what falls off, a little less if the rest is even; then the exponent's new bias.
        let rounded = bits.wrapping_add(0x0fff + (bits >> 13 & 1));
        let normal = rounded.wrapping_sub(112 << 23) >> 13;
        // Neighbours of 0.5 are as far apart as subnormal halves: the addition rounds.
        let subnormal = (size + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
        let number = if size < SMALLEST_NORMAL { subnormal } else { normal };
        #[expect(clippy::cast_possible_truncation, reason = "sixteen bits by construction")]
        let half = (number | sign) as u16;
        out[i] = if x[i].is_nan() { 0 } else { half };
    }
    out
}

/// `a * b` in every lane.
#[inline(always)]
#[must_use]
pub fn scale(a: &Lanes, b: f32) -> Lanes {
    let mut out = *a;
    for x in &mut out {
        *x *= b;
    }
    out
}

/// `e^x` in every lane, for `x` at most 0 or moderately above; below -87 the result is 0.
///
/// Range reduction by ln 2 in two parts and a polynomial of degree six (Cephes' coefficients);
/// relative error under 2e-7.
#[inline(always)]
#[must_use]
pub fn exp(x: &Lanes) -> Lanes {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let mut out = splat(0.0);
    for i in 0..LANES {
        let high = if x[i] > 88.0 { 88.0 } else { x[i] };
        let clamped = if high < -87.0 { -87.0 } else { high };
        let shifted = clamped * std::f32::consts::LOG2_E + ROUNDING;
        let n = shifted - ROUNDING;
        let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
        let mut p = 1.987_569_1e-4_f32;
        p = p.mul_add(r, 1.398_199_9e-3);
        p = p.mul_add(r, 8.333_452e-3);
        p = p.mul_add(r, 4.166_579_6e-2);
        p = p.mul_add(r, 1.666_666_5e-1);
        p = p.mul_add(r, 0.5);
        p = p.mul_add(r * r, r) + 1.0;
        // 2^n: n is in -126..=127, and its bits become the exponent's.
        let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
        out[i] = if x[i] < -87.0 { 0.0 } else { p * scale };
    }
    out
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    #[test]
    fn exp_is_within_two_ulps_of_the_library() {
        for step in -870..880 {
            let x = step as f32 / 10.0;
            let (got, want) = (exp(&splat(x))[3], x.exp());
            assert!((got - want).abs() <= want * 2.5e-7, "{x}: {got} {want}");
        }
        assert_eq!(exp(&splat(-100.0))[0], 0.0);
        assert_eq!(exp(&splat(f32::NEG_INFINITY))[0], 0.0);
        assert_eq!(exp(&splat(0.0))[0], 1.0);
    }

    #[test]
    fn widen_is_exact_for_every_finite_half() {
        for bits in 0..=u16::MAX {
            let want = f16::from_bits(bits);
            if want.is_finite() {
                let got = widen(&[bits; LANES])[7];
                assert_eq!(got.to_bits(), want.to_f32().to_bits(), "{bits:#06x}");
            }
        }
    }

    #[test]
    fn narrow_rounds_to_the_nearest_half_and_saturates() {
        for bits in 0..0x7bff_u16 {
            let (low, high) = (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1).to_f32());
            let middle = f32::midpoint(low, high);
            for value in [low, low.next_up(), middle.next_down(), middle, middle.next_up()] {
                for value in [value, -value] {
                    let got = narrow(&splat(value))[5];
                    assert_eq!(got, f16::from_f32(value).to_bits(), "{value:e}");
                }
            }
        }
        let largest = f16::MAX.to_bits();
        for (value, want) in [(65_504.0, largest), (65_520.0, largest), (f32::INFINITY, largest)] {
            assert_eq!(narrow(&splat(value))[0], want);
            assert_eq!(narrow(&splat(-value))[0], want | 0x8000);
        }
        assert_eq!(narrow(&splat(f32::NAN))[0], 0);
    }

    #[test]
    fn sums_are_of_all_lanes_and_tails() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        let want: f32 = a.iter().map(|x| x * x).sum();
        assert_eq!(dot(&a, &a), want);
    }
}
