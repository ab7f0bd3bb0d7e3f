//! Memory that is read from end to end in every step, in pages of two megabytes.
//!
//! A step reads all weights once. In pages of four kilobytes the processor spends a fifth of that time
//! looking pages up and beginning anew at their borders, so that what is large and lives long
//! is put in memory for which the system is asked to use huge pages. Where it has none, nothing but
//! speed is lost.

#![expect(unsafe_code, reason = "sees mapped bytes as values of plain types")]

use std::alloc::{Layout, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{MmapMut, MmapRaw};

/// Size and alignment of a huge page.
const PAGE: usize = 2 << 20;

/// Alignment of a slice: a cache line.
pub(crate) const LINE: usize = 64;

/// Types that are valid with any bits, zeros too, need no drop, and are aligned to at most a line.
///
/// # Safety
/// As said.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: any bits are a value.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for f32 {}
// SAFETY: as their items.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Zeroed bytes of their own, beginning at a page.
struct Mapping {
    map: MmapRaw,
    /// Where the first page begins.
    first: usize,
    bytes: usize,
}

impl Mapping {
    /// Memory is taken from the system as it is first written. Like any allocation, one that fails
    /// ends the process.
    fn new(bytes: usize) -> Self {
        let bytes = bytes.max(1).next_multiple_of(PAGE);
        let Ok(map) = MmapMut::map_anon(bytes + PAGE) else {
            handle_alloc_error(Layout::new::<[u8; PAGE]>())
        };
        // A hint: not every system has huge pages.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let first = map.as_ptr().align_offset(PAGE);
        Self { map: map.into(), first, bytes }
    }

    fn start(&self) -> *mut u8 {
        // SAFETY: the mapping is a page longer than what is used of it.
        unsafe { self.map.as_mut_ptr().add(self.first) }
    }
}

/// A slice that can be written, in memory of its own.
pub(crate) struct Buffer<T> {
    mapping: Mapping,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self { mapping: Mapping::new(len * size_of::<T>()), len, of: PhantomData }
    }

    /// Writes values at `start`, `start + stride` and so on, through a shared borrow.
    ///
    /// # Safety
    /// Nobody reads or writes these at the same time, nor has them borrowed.
    ///
    /// # Panics
    /// If they end beyond the buffer.
    pub(crate) unsafe fn write(&self, start: usize, stride: usize, values: &[T]) {
        let Some(last) = values.len().checked_sub(1) else { return };
        assert!(start + last * stride < self.len, "values inside a buffer");
        let target = self.mapping.start().cast::<T>();
        for (i, value) in values.iter().enumerate() {
            // SAFETY: inside the mapping by the assertion; unaliased by the caller's promise.
            unsafe { target.add(start + i * stride).write(*value) };
        }
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: that many values fit the mapping, any bits are values, and a page is aligned.
        unsafe { std::slice::from_raw_parts(self.mapping.start().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.mapping.start().cast(), self.len) }
    }
}

/// A slice that never changes, beside others in shared pages. A page goes back to the system when all
/// slices in it are dropped.
#[derive(Clone)]
pub(crate) struct Stored<T> {
    /// `None` if there is no value.
    mapping: Option<Arc<Mapping>>,
    /// In the mapping.
    offset: usize,
    len: usize,
    of: PhantomData<T>,
}

/// The mapping that is being filled, and how far it is.
static FILLING: Mutex<Option<(Arc<Mapping>, usize)>> = Mutex::new(None);

impl<T: Plain> Stored<T> {
    /// A copy of `values`.
    pub(crate) fn new(values: &[T]) -> Self {
        const { assert!(align_of::<T>() <= LINE && LINE.is_multiple_of(align_of::<T>())) };
        let bytes = size_of_val(values);
        if bytes == 0 {
            return Self { mapping: None, offset: 0, len: values.len(), of: PhantomData };
        }
        let mut filling = FILLING.lock().unwrap_or_else(PoisonError::into_inner);
        let (mapping, offset) = match filling.take() {
            Some((mapping, used)) if used + bytes <= mapping.bytes => (mapping, used),
            _ => (Arc::new(Mapping::new(bytes)), 0),
        };
        // SAFETY: the bytes from `offset` on are inside the mapping and in no slice yet, and this
        // thread alone hands them out.
        unsafe {
            let target = mapping.start().add(offset);
            std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), target, bytes);
        }
        let used = (offset + bytes).next_multiple_of(LINE);
        *filling = Some((Arc::clone(&mapping), used));
        Self { mapping: Some(mapping), offset, len: values.len(), of: PhantomData }
    }
}

impl<T: Plain> Deref for Stored<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let Some(mapping) = &self.mapping else { return &[] };
        // SAFETY: `new` wrote that many values there, aligned to a line, and nobody writes again.
        unsafe {
            let start = mapping.start().add(self.offset);
            std::slice::from_raw_parts(start.cast(), self.len)
        }
    }
}

impl<T: Plain + PartialEq> PartialEq for Stored<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Plain + Eq> Eq for Stored<T> {}

impl<T> std::fmt::Debug for Stored<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stored").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_any_size_are_kept_apart_and_aligned() {
        let make = |i: usize| vec![[i as f32; 16]; 1 + i * 997];
        let stored: Vec<_> = (0..40).map(|i| Stored::new(&make(i))).collect();
        let some: Vec<_> = stored.iter().skip(7).step_by(3).cloned().collect();
        drop(stored);
        for (i, values) in some.iter().enumerate() {
            assert!(**values == make(7 + i * 3), "{i}");
            assert!(values.as_ptr().addr().is_multiple_of(LINE));
        }
        assert!(Stored::<u16>::new(&[]).is_empty());
    }

    #[test]
    fn a_buffer_begins_with_zeros_and_keeps_what_is_written() {
        let mut buffer = Buffer::<u16>::zeroed(PAGE + 3);
        assert!(buffer.iter().all(|v| *v == 0));
        buffer[PAGE + 2] = 7;
        assert_eq!((buffer.len(), buffer[PAGE + 2]), (PAGE + 3, 7));
        assert!(buffer.as_ptr().addr().is_multiple_of(PAGE));
    }
}
