//! Integer tiles with 256-bit VNNI: one instruction multiplies 32 weights and adds them in fours.
//!
//! It has two encodings: that of AVX-VNNI, for processors without AVX-512, and that of AVX-512 VNNI,
//! whose processors often lack the other one. All else is written once for both, and where only the
//! second runs, tests run that: there the first is compiled but was never run.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::lanes::Lanes;
use super::super::packed::{Line, PackedMatrix, Precision, QUAD};
use super::super::quantised::{PanelGroup, PanelRows};
use super::ymm::{self, QUADS, Sums};

macro_rules! encoding {
    ($(#[$meta:meta])* $name:ident, $features:literal, $multiply_add:ident) => {
        $(#[$meta])*
        pub(super) mod $name {
            use super::*;

            ymm::tiles!($features);

            /// The dot products of a group's lines and each row, from that offset times a row's sum
            /// on.
            #[target_feature(enable = $features)]
            #[inline]
            fn dots<const R: usize, const FOUR: bool>(
                lines: &[Line],
                x: &PanelGroup,
                first: usize,
                offset: i32,
            ) -> [Sums; R] {
                let mut dots = ymm::starts(x, first, offset);
                if FOUR {
                    let (early, late) = x.values.split_at(QUADS / 2);
                    for ((line, early), late) in lines.iter().zip(early).zip(late) {
                        let line = ymm::bytes(line);
                        multiply(&mut dots, ymm::low(line), ymm::of_block(early, first));
                        multiply(&mut dots, ymm::high(line), ymm::of_block(late, first));
                    }
                } else {
                    for (line, x) in lines.iter().zip(&x.values) {
                        multiply(&mut dots, ymm::bytes(line), ymm::of_block(x, first));
                    }
                }
                dots
            }

            /// Adds the products of weights with a quad of each row.
            #[target_feature(enable = $features)]
            #[inline]
            fn multiply<const R: usize>(
                dots: &mut [Sums; R],
                weights: [__m256i; 2],
                x: &[[i8; QUAD]; R],
            ) {
                for (dots, x) in dots.iter_mut().zip(x) {
                    let x = ymm::inputs(*x);
                    for half in 0..2 {
                        dots[half] = $multiply_add(dots[half], weights[half], x);
                    }
                }
            }
        }
    };
}

encoding! {
    /// As processors with AVX-VNNI take it.
    vex, "avx2,fma,f16c,avxvnni", _mm256_dpbusd_avx_epi32
}

encoding! {
    /// As processors with AVX-512 take it, for which `avx512::tiles` is faster: for tests alone.
    #[cfg(test)]
    evex, "avx2,fma,f16c,avx512vnni,avx512vl", _mm256_dpbusd_epi32
}
