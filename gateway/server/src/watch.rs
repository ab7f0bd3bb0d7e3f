//! Files that are looked at again and again, on a thread of their own.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// The shortest time between two looks.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Ends a thread that watches when it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    _stop: mpsc::Sender<()>,
}

/// Calls `look` every so often on a thread of its own, until what comes back is dropped.
///
/// # Errors
/// If there can be no thread.
pub(crate) fn every(
    interval: Duration,
    mut look: impl FnMut() + Send + 'static,
) -> std::io::Result<Watching> {
    let (stop, stopped) = mpsc::channel::<()>();
    let interval = interval.max(MIN_INTERVAL);
    let watch = move || {
        while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            look();
        }
    };
    std::thread::Builder::new().name("watch".to_owned()).spawn(watch)?;
    Ok(Watching { _stop: stop })
}

/// What was seen, and what counts of it: what was the same twice in a row, so that a file that is
/// being written is not taken for a finished one.
#[derive(Debug)]
pub(crate) struct Settling<T> {
    settled: T,
    latest: T,
}

impl<T: PartialEq + Clone> Settling<T> {
    /// `first` counts already.
    pub(crate) fn new(first: T) -> Self {
        Self { settled: first.clone(), latest: first }
    }

    /// Whether what is `seen` now counts anew.
    pub(crate) fn settles(&mut self, seen: T) -> bool {
        let before = std::mem::replace(&mut self.latest, seen);
        if self.latest != before || self.latest == self.settled {
            return false;
        }
        self.settled.clone_from(&self.latest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_twice_counts_once() {
        let mut settling = Settling::new('a');
        let counts = "abbcbdddaa".chars().map(|seen| settling.settles(seen));
        let counts: Vec<_> = counts.collect();
        let expected = [false, false, true, false, false, false, true, false, false, true];
        assert_eq!(counts, expected);
    }

    #[test]
    fn a_thread_that_watches_ends_with_its_handle() {
        let (sender, looks) = mpsc::channel();
        let watching = every(Duration::ZERO, move || {
            // Nobody listens in the end.
            let _ = sender.send(());
        })
        .unwrap();
        looks.recv().unwrap();
        drop(watching);
        // The sender goes when the thread does.
        while looks.recv().is_ok() {}
    }
}
