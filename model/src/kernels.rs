//! The hot operations of serving on a CPU.
//!
//! Each operation is one piece of code over sixteen-lane arrays, compiled once for every
//! instruction set that can be chosen at run time, or has a version in vector intrinsics beside a
//! portable one. All versions do the same IEEE operations in the same order, so they agree bit
//! for bit, and none of them mixes rows: a row's result never depends on the batch around it.

pub mod attention;
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
///
/// They have no order: processors with AVX-512 often lack AVX-VNNI. See [`Isa::supported`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Whatever the target guarantees.
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// The same with AVX-VNNI, for products of integers; all else as AVX2.
    AvxVnni,
    /// AVX-512 F, BW, VL, DQ and VNNI.
    Avx512,
}

impl Isa {
    /// The better the later.
    const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::AvxVnni, Self::Avx512];

    /// The best that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        Self::Avx512.supported()
    }

    /// This set if the processor has it, or the best lesser one that it has.
    #[must_use]
    pub fn supported(self) -> Self {
        static SUPPORTED: OnceLock<[Isa; 4]> = OnceLock::new();
        SUPPORTED.get_or_init(|| Self::ALL.map(|isa| isa.best(Self::is_there)))[self as usize]
    }

    /// This set or the best lesser one that `is_there`.
    fn best(self, is_there: impl Fn(Self) -> bool) -> Self {
        let mut not_above = Self::ALL[..=self as usize].iter().rev().copied();
        not_above.find(|isa| is_there(*isa)).unwrap_or(Self::Portable)
    }

    /// Whether this processor has the set.
    #[cfg(target_arch = "x86_64")]
    fn is_there(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            Self::AvxVnni => Self::Avx2.is_there() && is_x86_feature_detected!("avxvnni"),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vnni")
            }
        }
    }

    /// Whether this processor has the set.
    #[cfg(not(target_arch = "x86_64"))]
    fn is_there(self) -> bool {
        self == Self::Portable
    }

    /// All sets that this processor has, for tests that compare them.
    #[must_use]
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.supported() == *isa).collect()
    }
}

/// Defines `fn name(isa, args)` that runs `body(args)` compiled for `isa`.
///
/// The body must be `#[inline(always)]` so that each copy is compiled with its own features.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:path) => {
        $(#[$meta])*
        #[cfg_attr(
            target_arch = "x86_64",
            expect(unsafe_code, reason = "calls the copy whose features were detected")
        )]
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
                match isa.supported() {
                    // SAFETY: the processor has what is supported.
                    $crate::kernels::Isa::Avx512 => unsafe { avx512($($arg),*) },
                    $crate::kernels::Isa::AvxVnni | $crate::kernels::Isa::Avx2 => {
                        // SAFETY: as above.
                        unsafe { avx2($($arg),*) }
                    }
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

#[cfg(test)]
mod tests {
    use super::Isa;

    #[test]
    fn no_set_is_chosen_that_the_processor_lacks() {
        let [portable, avx2, vnni, avx512] = Isa::ALL;
        for (there, want) in [
            (&[][..], [portable; 4]),
            (&[avx2][..], [portable, avx2, avx2, avx2]),
            (&[avx2, vnni][..], [portable, avx2, vnni, vnni]),
            (&[avx2, avx512][..], [portable, avx2, avx2, avx512]),
            (&[avx2, vnni, avx512][..], Isa::ALL),
        ] {
            assert_eq!(Isa::ALL.map(|isa| isa.best(|isa| there.contains(&isa))), want);
        }
        for isa in Isa::ALL {
            assert!(isa.supported().is_there(), "{isa:?}");
            assert_eq!(Isa::available().contains(&isa), isa.is_there(), "{isa:?}");
        }
    }
}
