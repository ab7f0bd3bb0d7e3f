//! Sixteen f32 lanes: the unit in which every kernel computes.
//!
//! Plain arrays: the compiler turns them into vector registers where the instruction set has them.
//! The order of every sum is fixed here, whatever the instruction set. Lanes are walked by plain
//! loops: a closure given to `map` or `from_fn` can be compiled without its caller's features.

/// Number of lanes.
pub const LANES: usize = 16;

/// Sixteen values.
pub type Lanes = [f32; LANES];

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
        let clamped = x[i].clamp(-87.0, 88.0);
        let n = (clamped * std::f32::consts::LOG2_E).round_ties_even();
        let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
        let mut p = 1.987_569_1e-4_f32;
        p = p.mul_add(r, 1.398_199_9e-3);
        p = p.mul_add(r, 8.333_452e-3);
        p = p.mul_add(r, 4.166_579_6e-2);
        p = p.mul_add(r, 1.666_666_5e-1);
        p = p.mul_add(r, 0.5);
        p = p.mul_add(r * r, r) + 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "n is in -126..=127, so nothing wraps; a check would stop vectorisation"
        )]
        let scale = f32::from_bits(((n as i32).wrapping_add(127) as u32) << 23);
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
    fn sums_are_of_all_lanes_and_tails() {
        let a: Vec<f32> = (0..37).map(|i| i as f32).collect();
        let want: f32 = a.iter().map(|x| x * x).sum();
        assert_eq!(dot(&a, &a), want);
    }
}
