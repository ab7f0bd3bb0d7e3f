//! Memory of activations, which a step leaves to the next.
//!
//! Activations of many tokens are megabytes that live for a moment. Taken from the system and given
//! back each time, their pages were a fifth of the linear layers' time. So each thread keeps what it
//! drops, up to a bound, and takes from that first.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

/// Bytes of a type that a thread keeps at most.
const KEPT_BYTES: usize = 32 << 20;

/// Vectors of a type that a thread keeps at most.
const KEPT: usize = 16;

/// Plain values that are kept by the vector.
pub(crate) trait Kept: Copy + Default + 'static {
    fn kept() -> &'static LocalKey<RefCell<Vec<Vec<Self>>>>;
}

/// Keeps vectors of a type.
macro_rules! keep {
    ($type:ty) => {
        impl $crate::kernels::scratch::Kept for $type {
            fn kept() -> &'static std::thread::LocalKey<std::cell::RefCell<Vec<Vec<Self>>>> {
                thread_local! {
                    static KEPT: std::cell::RefCell<Vec<Vec<$type>>> = const {
                        std::cell::RefCell::new(Vec::new())
                    };
                }
                &KEPT
            }
        }
    };
}
pub(crate) use keep;

keep!(f32);
keep!(u16);

/// A vector whose memory is kept when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Scratch<T: Kept> {
    /// All that were ever written, which may be more.
    values: Vec<T>,
    len: usize,
}

impl<T: Kept> Scratch<T> {
    /// `len` values, of any kind: for what is written before it is read.
    pub(crate) fn any(len: usize) -> Self {
        let mut values = take(len);
        if values.len() < len {
            values.resize(len, T::default());
        }
        Self { values, len }
    }

    /// `len` times the default.
    pub(crate) fn zeroed(len: usize) -> Self {
        let mut values = Self::any(len);
        values.fill(T::default());
        values
    }
}

/// The smallest kept vector that is large enough, or else the largest, to grow: so there are never
/// more than were used at a time.
fn take<T: Kept>(len: usize) -> Vec<T> {
    let kept = T::kept().try_with(|kept| {
        let mut kept = kept.borrow_mut();
        let capacity = |&(_, values): &(usize, &Vec<T>)| values.capacity();
        let fits = kept.iter().enumerate().filter(|values| capacity(values) >= len);
        let best = fits.min_by_key(capacity).or(kept.iter().enumerate().max_by_key(capacity));
        best.map(|(index, _)| index).map(|index| kept.swap_remove(index))
    });
    let mut values = kept.ok().flatten().unwrap_or_default();
    if values.capacity() < len {
        values.clear();
    }
    values
}

impl<T: Kept> Drop for Scratch<T> {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // A thread that ends keeps nothing.
        let _ = T::kept().try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let bytes = |values: &Vec<T>| values.capacity() * size_of::<T>();
            let all: usize = kept.iter().map(bytes).sum();
            if values.capacity() > 0 && kept.len() < KEPT && all + bytes(&values) <= KEPT_BYTES {
                kept.push(values);
            }
        });
    }
}

impl<T: Kept> Clone for Scratch<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::any(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Kept> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[..self.len]
    }
}

impl<T: Kept> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[..self.len]
    }
}

impl<T: Kept + PartialEq> PartialEq for Scratch<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_zeros_are_zeros() {
        let mut first = Scratch::<u16>::any(1000);
        first.fill(7);
        let start = first.as_ptr();
        drop(first);
        let again = Scratch::<u16>::zeroed(900);
        assert_eq!(again.as_ptr(), start);
        assert!(again.len() == 900 && again.iter().all(|v| *v == 0));
        assert_ne!(Scratch::<u16>::any(10).as_ptr(), start, "in use");
    }

    #[test]
    fn the_smallest_that_fits_is_taken() {
        let [small, large] = [100, 1000].map(Scratch::<f32>::any);
        let starts = [small.as_ptr(), large.as_ptr()];
        drop((large, small));
        let again = [50, 500].map(Scratch::<f32>::any);
        assert_eq!(again.each_ref().map(|s| s.as_ptr()), starts);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let many: Vec<_> = (0..3 * KEPT).map(|_| Scratch::<f32>::any(8)).collect();
        let large = Scratch::<f32>::any(KEPT_BYTES / 4 + 1);
        drop((large, many));
        f32::kept().with(|kept| {
            let kept = kept.borrow();
            assert_eq!(kept.len(), KEPT);
            assert!(kept.iter().all(|values| values.capacity() < KEPT_BYTES / 4));
        });
    }
}
