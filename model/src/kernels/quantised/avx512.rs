//! Rounding with AVX-512 VNNI: the rows of a panel side by side, one in each lane.

#![expect(unsafe_code, reason = "vector loads and stores through pointers into checked slices")]

use std::arch::x86_64::*;

use super::super::lanes::{LANES, ROUNDING};
use super::super::packed::GROUP;
use super::{PANEL, PanelGroup};

const _: () = assert!(GROUP == 2 * LANES && PANEL == 8, "a lane for each row");

/// As `round_body`, bit for bit, but that rows which are missing in a panel are 0.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn round_rows(x: &[f32], width: usize, panels: &mut [PanelGroup]) {
    let groups = width.div_ceil(GROUP);
    for (x, panel) in x.chunks(PANEL * width).zip(panels.chunks_exact_mut(groups)) {
        for (index, group) in panel.iter_mut().enumerate() {
            let first = index * GROUP;
            round_group(x, width, (first, GROUP.min(width - first)), group);
        }
    }
}

/// Rounds `len` columns from `first` on of the rows `x`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
#[inline]
fn round_group(x: &[f32], width: usize, (first, len): (usize, usize), to: &mut PanelGroup) {
    let low = __mmask16::MAX >> LANES.saturating_sub(len);
    let high = (1_u32 << len.saturating_sub(LANES)).wrapping_sub(1) as __mmask16;
    let mut values = [[_mm512_setzero_ps(); 2]; PANEL];
    for (values, x) in values.iter_mut().zip(x.chunks_exact(width)) {
        let x = x[first..first + len].as_ptr();
        // SAFETY: the masks leave out what lies beyond the `len` values.
        *values = unsafe {
            [_mm512_maskz_loadu_ps(low, x), _mm512_maskz_loadu_ps(high, x.wrapping_add(LANES))]
        };
    }
    let largest = largest_of_each(&values);
    let zero = _mm256_cmp_ps_mask::<_CMP_EQ_OQ>(largest, _mm256_setzero_ps());
    let inverse = _mm256_maskz_div_ps(!zero, _mm256_set1_ps(127.0), largest);
    let scales = _mm256_div_ps(largest, _mm256_set1_ps(127.0));
    let inverse = _mm512_castps256_ps512(inverse);
    let mut rows = [_mm256_setzero_si256(); PANEL];
    for (row, (quants, values)) in rows.iter_mut().zip(&values).enumerate() {
        let lane = _mm512_set1_epi32(row as i32);
        let inverse = _mm512_permutexvar_ps(lane, inverse);
        let [low, high] = values.map(|values| {
            let rounded = _mm512_add_ps(_mm512_mul_ps(values, inverse), _mm512_set1_ps(ROUNDING));
            _mm512_cvtepi32_epi8(_mm512_castps_si512(rounded))
        });
        *quants = _mm256_set_m128i(high, low);
    }
    let quads = transposed(rows);
    let ones = _mm256_set1_epi8(1);
    let mut sums = _mm256_setzero_si256();
    for (quads, to) in quads.into_iter().zip(&mut to.values) {
        sums = _mm256_dpbusd_epi32(sums, ones, quads);
        // SAFETY: eight rows of four bytes.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), quads) };
    }
    // SAFETY: eight values each.
    unsafe {
        _mm256_storeu_ps(to.scales.as_mut_ptr(), scales);
        _mm256_storeu_si256(to.sums.as_mut_ptr().cast(), sums);
        let totals = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), scales);
        _mm256_storeu_ps(to.totals.as_mut_ptr(), totals);
    }
}

/// The largest size of each row's values; what is no number counts for nothing.
#[target_feature(enable = "avx512f,avx512vl,avx512dq")]
#[inline]
fn largest_of_each(values: &[[__m512; 2]; PANEL]) -> __m256 {
    let mut largest = [_mm256_setzero_si256(); PANEL];
    for (largest, values) in largest.iter_mut().zip(values) {
        // The second operand is taken where the first is no number.
        let [low, high] = values.map(|values| _mm512_abs_ps(values));
        let most = _mm512_max_ps(high, _mm512_max_ps(low, _mm512_setzero_ps()));
        let (low, high) = (_mm512_castps512_ps256(most), _mm512_extractf32x8_ps::<1>(most));
        *largest = _mm256_castps_si256(_mm256_max_ps(low, high));
    }
    let lanes = transposed(largest).map(|lanes| _mm256_castsi256_ps(lanes));
    let [a, b, c, d, e, f, g, h] = lanes;
    let [a, b] = [(a, b), (c, d)].map(|(a, b)| _mm256_max_ps(a, b));
    let [c, d] = [(e, f), (g, h)].map(|(a, b)| _mm256_max_ps(a, b));
    _mm256_max_ps(_mm256_max_ps(a, b), _mm256_max_ps(c, d))
}

/// Eight rows of eight words as eight columns.
#[target_feature(enable = "avx2")]
#[inline]
fn transposed(rows: [__m256i; 8]) -> [__m256i; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    // Words of two rows side by side, then pairs of two pairs of rows, then halves.
    let pairs = |a, b| [_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)];
    let fours = |[a, b]: [__m256i; 2], [c, d]: [__m256i; 2]| {
        [
            _mm256_unpacklo_epi64(a, c),
            _mm256_unpackhi_epi64(a, c),
            _mm256_unpacklo_epi64(b, d),
            _mm256_unpackhi_epi64(b, d),
        ]
    };
    let upper = fours(pairs(a, b), pairs(c, d));
    let lower = fours(pairs(e, f), pairs(g, h));
    let mut columns = [_mm256_setzero_si256(); 8];
    for (i, (upper, lower)) in upper.into_iter().zip(lower).enumerate() {
        columns[i] = _mm256_permute2x128_si256::<0x20>(upper, lower);
        columns[i + 4] = _mm256_permute2x128_si256::<0x31>(upper, lower);
    }
    columns
}
