//! The product in AVX-512, of f32 or of its brain floats.
#![expect(unsafe_code, reason = "vector instructions; lengths are asserted")]

use std::arch::asm;
use std::arch::x86_64::{__m256bh, _mm512_cvtneps_pbh, _mm512_loadu_ps};
use std::mem::transmute;

use half::bf16;

use super::{PANEL, TILE};

/// Lines of assembly for each of a tile's rows: `line!(low, high, row, out)` with the numbers of
/// the two registers that hold its sums, where its next pair lies, and its offset in the result.
///
/// Every third row has a pointer; the two after it lie one and two strides on.
macro_rules! each_row {
    ($line:ident) => {
        concat!(
            $line!(0, 1, "{row0}", 0),
            $line!(2, 3, "{row0} + {stride}", 128),
            $line!(4, 5, "{row0} + 2 * {stride}", 256),
            $line!(6, 7, "{row3}", 384),
            $line!(8, 9, "{row3} + {stride}", 512),
            $line!(10, 11, "{row3} + 2 * {stride}", 640),
            $line!(12, 13, "{row6}", 768),
            $line!(14, 15, "{row6} + {stride}", 896),
            $line!(16, 17, "{row6} + 2 * {stride}", 1024),
            $line!(18, 19, "{row9}", 1152),
            $line!(20, 21, "{row9} + {stride}", 1280),
            $line!(22, 23, "{row9} + 2 * {stride}", 1408),
        )
    };
}

macro_rules! clear {
    ($low:literal, $high:literal, $row:literal, $out:literal) => {
        concat!(
            concat!("vpxord zmm", $low, ", zmm", $low, ", zmm", $low, "\n"),
            concat!("vpxord zmm", $high, ", zmm", $high, ", zmm", $high, "\n"),
        )
    };
}

macro_rules! multiply_add {
    ($low:literal, $high:literal, $row:literal, $out:literal) => {
        both!("vfmadd231ps", $low, $high, $row)
    };
}

macro_rules! multiply_add_brain_floats {
    ($low:literal, $high:literal, $row:literal, $out:literal) => {
        both!("vdpbf16ps", $low, $high, $row)
    };
}

macro_rules! both {
    ($instruction:literal, $low:literal, $high:literal, $row:literal) => {
        concat!(
            concat!($instruction, " zmm", $low, ", zmm24, dword ptr [", $row, "]{{1to16}}\n"),
            concat!($instruction, " zmm", $high, ", zmm25, dword ptr [", $row, "]{{1to16}}\n"),
        )
    };
}

macro_rules! store {
    ($low:literal, $high:literal, $row:literal, $out:literal) => {
        concat!(
            concat!("vmovups [{out} + ", $out, "], zmm", $low, "\n"),
            concat!("vmovups [{out} + ", $out, " + 64], zmm", $high, "\n"),
        )
    };
}

/// A function that multiplies a tile of rows (TILE, words) by a panel (words, PANEL), where a word
/// is one f32 or two brain floats, with the instruction of `$line`: `out` is (TILE, PANEL).
///
/// In assembly: 24 sums, two registers of weights, and each row's word straight from memory fill
/// the register file as they should, where the compiler kept half of the sums in memory, at half
/// the speed.
macro_rules! product {
    ($(#[$meta:meta])* $name:ident = $line:ident) => {
        $(#[$meta])*
        pub(super) fn $name(rows: &[u32], panel: &[u32], out: &mut [f32]) {
            const { assert!(TILE == 12 && PANEL == 32, "what the registers are laid out for") };
            let words = rows.len() / TILE;
            assert!(words > 0 && rows.len() == TILE * words && panel.len() == words * PANEL);
            assert!(out.len() == TILE * PANEL);
            let row = |number: usize| rows[number * words..].as_ptr();
            // SAFETY: each pass reads a word of each row and of each output, `words` times in all;
            // the lengths above were asserted. All registers that are written are named.
            unsafe {
                asm!(
                    each_row!(clear),
                    "2:",
                    "vmovups zmm24, [{panel}]",
                    "vmovups zmm25, [{panel} + 64]",
                    each_row!($line),
                    "add {panel}, 128",
                    "add {row0}, 4",
                    "add {row3}, 4",
                    "add {row6}, 4",
                    "add {row9}, 4",
                    "dec {words}",
                    "jnz 2b",
                    each_row!(store),
                    panel = inout(reg) panel.as_ptr() => _,
                    row0 = inout(reg) row(0) => _,
                    row3 = inout(reg) row(3) => _,
                    row6 = inout(reg) row(6) => _,
                    row9 = inout(reg) row(9) => _,
                    stride = in(reg) words * size_of::<u32>(),
                    words = inout(reg) words => _,
                    out = in(reg) out.as_mut_ptr(),
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _,
                    out("zmm5") _, out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _,
                    out("zmm10") _, out("zmm11") _, out("zmm12") _, out("zmm13") _,
                    out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                    out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _,
                    out("zmm22") _, out("zmm23") _, out("zmm24") _, out("zmm25") _,
                    options(nostack),
                );
            }
        }
    };
}

product! {
    /// # Safety
    /// The processor must have `avx512f`.
    #[target_feature(enable = "avx512f")]
    product = multiply_add
}

product! {
    /// # Safety
    /// The processor must have `avx512f` and `avx512bf16`.
    #[target_feature(enable = "avx512f,avx512bf16")]
    product_of_brain_floats = multiply_add_brain_floats
}

/// Rounds values to the nearest brain floats, two in a word, the first in its low half; subnormal
/// ones become 0, and so is what an odd number of values lacks.
///
/// # Safety
/// The processor must have `avx512f` and `avx512bf16`.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn round(values: &[f32], words: &mut [u32]) {
    let (values, values_tail) = values.as_chunks::<16>();
    let (words, words_tail) = words.split_at_mut(values.len() * 8);
    let (words, _) = words.as_chunks_mut::<8>();
    for (values, words) in values.iter().zip(words) {
        // SAFETY: sixteen values are read and as many written; the types are plain bytes.
        unsafe {
            let rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()));
            *words = transmute::<__m256bh, [u32; 8]>(rounded);
        }
    }
    let bits = |value: f32| u32::from(bf16::from_f32(value).to_bits());
    for (values, word) in values_tail.chunks(2).zip(words_tail) {
        *word = bits(values[0]) | values.get(1).map_or(0, |value| bits(*value)) << 16;
    }
}
