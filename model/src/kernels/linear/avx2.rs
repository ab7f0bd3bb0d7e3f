//! Integer tiles with AVX2.
//!
//! The byte product adds two neighbours and saturates at 16 bits, so that weights meet rows as halves
//! of bytes: a group's products of those fit.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::lanes::Lanes;
use super::super::packed::{Line, PackedMatrix, Precision, QUAD};
use super::super::quantised::{PanelGroup, PanelRows};
use super::ymm::{self, QUADS, Sums};

ymm::tiles!("avx2,fma,f16c");

/// The dot products of a group's lines and each row, from that offset times a row's sum on.
#[target_feature(enable = "avx2")]
#[inline]
fn dots<const R: usize, const FOUR: bool>(
    lines: &[Line],
    x: &PanelGroup,
    first: usize,
    offset: i32,
) -> [Sums; R] {
    let mut dots = ymm::starts(x, first, offset);
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    if FOUR {
        let (early, late) = x.values.split_at(QUADS / 2);
        for ((line, early), late) in lines.iter().zip(early).zip(late) {
            let line = ymm::bytes(line);
            multiply(&mut sums, ymm::low(line), ymm::of_block(early, first));
            multiply(&mut sums, ymm::high(line), ymm::of_block(late, first));
        }
        add(&mut dots, &sums, 1);
    } else {
        for (line, x) in lines.iter().zip(&x.values) {
            multiply(&mut sums, ymm::low(ymm::bytes(line)), ymm::of_block(x, first));
        }
        add(&mut dots, &sums, 1);
        sums = [[_mm256_setzero_si256(); 2]; R];
        for (line, x) in lines.iter().zip(&x.values) {
            multiply(&mut sums, ymm::high(ymm::bytes(line)), ymm::of_block(x, first));
        }
        add(&mut dots, &sums, 16);
    }
    dots
}

/// Adds the products of half bytes with a quad of each row, in 16 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn multiply<const R: usize>(sums: &mut [Sums; R], weights: [__m256i; 2], x: &[[i8; QUAD]; R]) {
    for (sums, x) in sums.iter_mut().zip(x) {
        let x = ymm::inputs(*x);
        for half in 0..2 {
            let products = _mm256_maddubs_epi16(weights[half], x);
            sums[half] = _mm256_add_epi16(sums[half], products);
        }
    }
}

/// Adds what 16-bit sums are in units of `unit`.
#[target_feature(enable = "avx2")]
#[inline]
fn add<const R: usize>(dots: &mut [Sums; R], sums: &[Sums; R], unit: i16) {
    let unit = _mm256_set1_epi16(unit);
    for (dots, sums) in dots.iter_mut().zip(sums) {
        for half in 0..2 {
            let sums = _mm256_madd_epi16(sums[half], unit);
            dots[half] = _mm256_add_epi32(dots[half], sums);
        }
    }
}
