//! The hot operations of serving on a CPU.
//!
//! Each operation is one piece of code over sixteen-lane arrays, compiled once for every
//! instruction set that can be chosen at run time, or has a version in vector intrinsics beside a
//! portable one. All versions do the same IEEE operations in the same order, so they agree bit
//! for bit, and none of them mixes rows: a row's result never depends on the batch around it.

pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod elementwise;
pub mod input;
pub mod lanes;
pub mod linear;
pub mod low_rank;
pub mod packed;
pub(crate) mod pages;
pub mod panels;
pub mod pool;
mod quantised;
pub(crate) mod scratch;

pub(crate) mod disjoint;

use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Whatever the target guarantees.
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, VL, DQ and VNNI.
    Avx512,
}

impl Isa {
    /// The best that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(Self::probe)
    }

    #[cfg(target_arch = "x86_64")]
    fn probe() -> Self {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni")
        {
            Self::Avx512
        } else if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn probe() -> Self {
        Self::Portable
    }

    /// All sets that this processor has, for tests that compare them.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [Self::Portable, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(|&isa| isa <= Self::detect())
            .collect()
    }
}

/// Defines `fn name(isa, args)` that runs `body(args)` compiled for `isa`.
///
/// The body must be `#[inline(always)]` so that each copy is compiled with its own features.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path) => {
        $(#[$meta])*
        #[expect(unsafe_code, reason = "calls the copy whose features were detected")]
        $vis fn $name(isa: $crate::kernels::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,fma,f16c")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    $body($($arg),*)
                }
                match isa.min($crate::kernels::Isa::detect()) {
                    // SAFETY: never above what `detect` found.
                    $crate::kernels::Isa::Avx512 => unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::Isa::Avx2 => unsafe { avx2($($arg),*) },
                    $crate::kernels::Isa::Portable => $body($($arg),*),
                }
            }
            #[cfg(not(target_arch = "x86_64"))]
            {
                let _ = isa;
                $body($($arg),*)
            }
        }
    };
}
pub(crate) use per_isa;
