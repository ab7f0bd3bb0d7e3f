//! A small persistent pool: one part of the work per core, no thread started per operation.
//!
//! Workers spin for a moment between operations of one step, then sleep, so that an idle process
//! uses no processor time.

#![expect(unsafe_code, reason = "lends a borrowed closure to threads that finish before it ends")]

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How often a waiting thread looks before it sleeps (workers) or yields (the caller): some tens
/// of microseconds to a few hundred, more than the serial work between two operations of a step.
const SPINS: u32 = 4_000;

/// From how many rows on what happens between linear layers is shared out.
const SHARED_ROWS: usize = 4;

type Task = NonNull<dyn Fn(usize) + Sync>;

/// Threads that run the parts of an operation together.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One operation at a time.
    turn: Mutex<()>,
}

struct Shared {
    /// Number of operations begun; a worker runs each once.
    epoch: AtomicU64,
    /// Workers that have not finished the current operation.
    unfinished: AtomicUsize,
    panicked: AtomicBool,
    stopping: AtomicBool,
    /// Workers that sleep or are about to, and how they are woken.
    asleep: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    /// The current operation. Written while no worker runs one, read after its epoch was seen.
    task: UnsafeCell<Option<Task>>,
}

// SAFETY: the closure behind `task` is `Sync`. The cell is written between operations only, by the
// one thread that has the turn, and read by workers that have seen the epoch which came after it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Pool {
    /// A pool that splits work into `parts` (at least one), the caller's thread included.
    #[must_use]
    pub fn new(parts: usize) -> Self {
        let shared = Arc::new(Shared {
            epoch: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            asleep: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            task: UnsafeCell::new(None),
        });
        let workers = (1..parts.max(1))
            .filter_map(|part| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("kernel-{part}"))
                    .spawn(move || shared.work(part))
                    .ok()
            })
            .collect();
        Self { shared, workers, turn: Mutex::new(()) }
    }

    /// Into how many parts work is split.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `task(part)` for every part in `0..parts()`, and returns when all are done.
    ///
    /// Must not be called from inside a task.
    ///
    /// # Panics
    /// If a part panics.
    pub fn run(&self, task: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() {
            return task(0);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.begin(task);
        let own = catch_unwind(AssertUnwindSafe(|| task(0)));
        if own.is_err() {
            self.shared.panicked.store(true, Ordering::Release);
        }
        self.wait();
        let panicked = self.shared.panicked.swap(false, Ordering::AcqRel);
        if let Err(panic) = own {
            std::panic::resume_unwind(panic);
        }
        assert!(!panicked, "a part of the work panicked");
    }

    /// Does `work` on every piece, pieces side by side. One piece is the caller's own affair.
    ///
    /// # Panics
    /// If `work` panics.
    pub fn each<T: Send>(&self, pieces: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
        let mut pieces = pieces.into_iter();
        let Some(first) = pieces.next() else { return };
        let Some(second) = pieces.next() else { return work(first) };
        let held = |piece| Mutex::new(Some(piece));
        let pieces: Vec<_> = [first, second].into_iter().chain(pieces).map(held).collect();
        self.run(&|part| {
            for piece in &pieces[share(pieces.len(), part, self.parts())] {
                let piece = piece.lock().unwrap_or_else(PoisonError::into_inner).take();
                piece.into_iter().for_each(&work);
            }
        });
    }

    /// Into how many rows a piece of `rows` is cut, so that every part has one; few rows are not
    /// worth waking the others for.
    #[must_use]
    pub fn piece(&self, rows: usize) -> usize {
        if rows < SHARED_ROWS { rows.max(1) } else { rows.div_ceil(self.parts()) }
    }

    fn begin(&self, task: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime is erased. `run` does not return before every worker has
        // finished, so no worker holds the pointer after the borrow ends.
        let task: Task = unsafe {
            std::mem::transmute::<NonNull<dyn Fn(usize) + Sync + '_>, Task>(NonNull::from(task))
        };
        let shared = &self.shared;
        // SAFETY: this thread has the turn, and the workers have finished the operation before.
        unsafe { *shared.task.get() = Some(task) };
        shared.unfinished.store(self.workers.len(), Ordering::Relaxed);
        shared.epoch.fetch_add(1, Ordering::Release);
        // Either a worker that goes to sleep sees the epoch, or it is seen here.
        fence(Ordering::SeqCst);
        if shared.asleep.load(Ordering::Relaxed) > 0 {
            shared.wake_all();
        }
    }

    fn wait(&self) {
        let mut spins = 0;
        while self.shared.unfinished.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

/// A place in one operation that no part passes before every part has come to it.
pub(crate) struct Gate<'a> {
    pool: &'a Pool,
    arrived: AtomicUsize,
}

impl<'a> Gate<'a> {
    pub(crate) const fn new(pool: &'a Pool) -> Self {
        Self { pool, arrived: AtomicUsize::new(0) }
    }

    /// Says that this part has come; once a part.
    pub(crate) fn arrive(&self) {
        self.arrived.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits for the other parts: what they wrote before they came can be read from here on.
    ///
    /// # Panics
    /// If another part panics, so that nobody waits for it.
    pub(crate) fn wait(&self) {
        let mut spins = 0;
        while self.arrived.load(Ordering::Acquire) < self.pool.parts() {
            assert!(!self.pool.shared.panicked.load(Ordering::Acquire), "another part panicked");
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl Shared {
    fn work(&self, part: usize) {
        let mut seen = 0;
        while let Some((epoch, task)) = self.next(seen) {
            seen = epoch;
            // SAFETY: `Pool::run` waits for `unfinished` before the closure's borrow ends.
            let task = unsafe { task.as_ref() };
            if catch_unwind(AssertUnwindSafe(|| task(part))).is_err() {
                self.panicked.store(true, Ordering::Release);
            }
            self.unfinished.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Waits for an operation later than `seen`; `None` when the pool stops.
    fn next(&self, seen: u64) -> Option<(u64, Task)> {
        for _ in 0..SPINS {
            if self.is_due(seen) {
                break;
            }
            std::hint::spin_loop();
        }
        if !self.is_due(seen) {
            self.sleep_until_due(seen);
        }
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        let epoch = self.epoch.load(Ordering::Acquire);
        // SAFETY: the epoch was seen, and the cell is not written before this worker has finished.
        unsafe { *self.task.get() }.map(|task| (epoch, task))
    }

    fn is_due(&self, seen: u64) -> bool {
        self.epoch.load(Ordering::Acquire) != seen || self.stopping.load(Ordering::Acquire)
    }

    fn sleep_until_due(&self, seen: u64) {
        let mut guard = self.sleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        while !self.is_due(seen) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, Ordering::Relaxed);
    }

    fn wake_all(&self) {
        // Who is about to sleep holds the lock until it waits.
        drop(self.sleep.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.wake_all();
        for worker in self.workers.drain(..) {
            // A worker catches its task's panics and cannot fail otherwise.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("parts", &self.parts()).finish_non_exhaustive()
    }
}

/// The `part`-th of `parts` nearly equal ranges of `0..len`.
#[must_use]
pub const fn share(len: usize, part: usize, parts: usize) -> std::ops::Range<usize> {
    len * part / parts..len * (part + 1) / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once_per_operation() {
        let pool = Pool::new(3);
        let counts: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
        for _ in 0..1000 {
            pool.run(&|part| {
                counts[part].fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1000));
    }

    #[test]
    fn a_panic_in_a_part_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let failed = catch_unwind(AssertUnwindSafe(|| pool.run(&|part| assert_ne!(part, 1))));
        assert!(failed.is_err());
        pool.run(&|_| ());
    }

    #[test]
    fn every_piece_is_worked_on_once() {
        let pool = Pool::new(3);
        for rows in [0, 1, 5, 100] {
            let mut values = vec![0; rows];
            let piece = pool.piece(rows);
            pool.each(values.chunks_mut(piece), |piece| piece.iter_mut().for_each(|v| *v += 1));
            assert_eq!(values, vec![1; rows]);
        }
        assert_eq!([3, 4, 100].map(|rows| pool.piece(rows)), [3, 2, 34]);
    }

    #[test]
    fn no_part_passes_a_gate_before_all_have_come_to_it() {
        let pool = Pool::new(3);
        for _ in 0..300 {
            let (gate, written) = (Gate::new(&pool), AtomicUsize::new(0));
            pool.run(&|_| {
                written.fetch_add(1, Ordering::Relaxed);
                gate.arrive();
                gate.wait();
                assert_eq!(written.load(Ordering::Relaxed), 3);
            });
        }
    }

    #[test]
    fn a_panic_before_a_gate_leaves_nobody_waiting() {
        let pool = Pool::new(3);
        for failing in 0..3 {
            let gate = Gate::new(&pool);
            let task = |part| {
                assert_ne!(part, failing);
                gate.arrive();
                gate.wait();
            };
            assert!(catch_unwind(AssertUnwindSafe(|| pool.run(&task))).is_err());
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        for len in [0, 1, 7, 64] {
            let all: Vec<usize> = (0..3).flat_map(|part| share(len, part, 3)).collect();
            assert_eq!(all, (0..len).collect::<Vec<_>>());
        }
    }
}
