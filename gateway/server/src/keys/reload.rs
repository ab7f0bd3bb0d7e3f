//! A changed key file is taken over without a restart.
//!
//! The file is read again and again on a thread of its own, and its text compared: times and sizes
//! of files say less, and a Kubernetes Secret changes by a link. A new text counts when it was the
//! same twice in a row, so that a file that is being written is not taken for a finished one. One
//! that cannot be used leaves the former keys as they are.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use gateway_wire::selection::ScaleBounds;

use super::file::{self, KeyFileError};
use super::ring::Keyring;

/// The file as it was seen.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    bounds: ScaleBounds,
    /// What was taken over or refused last.
    settled: Seen,
    /// What was seen last.
    latest: Seen,
}

/// A text, or that there was none.
type Seen = Result<String, Unreadable>;

/// All errors of reading are one: the log has said which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// What came of a look.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing that is new for good.
    Same,
    /// Other keys.
    Changed(Keyring),
    /// Something that cannot be used.
    Refused(KeyFileError),
}

/// Ends a thread that watches when it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    _stop: mpsc::Sender<()>,
}

impl Watch {
    /// Watches a file whose `text` has been taken over.
    pub(super) fn new(path: PathBuf, bounds: ScaleBounds, text: String) -> Self {
        Self { path, bounds, settled: Ok(text.clone()), latest: Ok(text) }
    }

    /// Looks at the file; keys that stay keep what they have of `former`.
    pub(super) fn look(&mut self, former: &Keyring) -> Look {
        let read = file::read(&self.path);
        let seen = read.as_ref().map_or(Err(Unreadable), |text| Ok(text.clone()));
        let before = std::mem::replace(&mut self.latest, seen);
        if self.latest != before || self.latest == self.settled {
            return Look::Same;
        }
        self.settled.clone_from(&self.latest);
        let parsed = read.and_then(|text| Keyring::parse(&text, self.bounds, former));
        parsed.map_or_else(Look::Refused, Look::Changed)
    }
}

/// The shortest time between two looks.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Calls `look` every so often on a thread of its own, until what comes back is dropped.
///
/// # Errors
/// If there can be no thread.
pub(super) fn every(
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
    std::thread::Builder::new().name("keys".to_owned()).spawn(watch)?;
    Ok(Watching { _stop: stop })
}

/// Tells log and metrics what came of a look, and gives the new keys out.
pub(super) fn report(look: Look, metrics: &crate::Metrics) -> Option<Arc<Keyring>> {
    let count = |outcome: &str| metrics.key_reloads.with_label_values(&[outcome]).inc();
    match look {
        Look::Same => None,
        Look::Changed(ring) => {
            count("loaded");
            metrics.keys_stale.set(0);
            tracing::info!(keys = ring.len(), "the key file was loaded again");
            Some(Arc::new(ring))
        }
        Look::Refused(error) => {
            count("refused");
            metrics.keys_stale.set(1);
            tracing::error!(%error, "the key file has changed and cannot be used; the former keys stay");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ScaleBounds = ScaleBounds { low: -2.0, high: 2.0 };

    fn text(id: &str) -> String {
        let hash = super::super::secret::Fingerprint::of(id.as_bytes());
        format!("[[keys]]\nid = '{id}'\nhash = '{hash}'\nscopes = ['infer']\n")
    }

    #[test]
    fn a_text_counts_once_it_was_seen_twice_and_a_bad_one_is_refused_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(&text("a"));
        let mut watch = Watch::new(path.clone(), BOUNDS, text("a"));
        let mut looks = |count: usize| -> Vec<String> {
            let look = |_| match watch.look(&Keyring::default()) {
                Look::Same => "same".to_owned(),
                Look::Changed(ring) => ring.keys[0].id.to_string(),
                Look::Refused(error) => error.to_string(),
            };
            (0..count).map(look).collect()
        };
        assert_eq!(looks(3), ["same"; 3]);
        write(&text("b"));
        assert_eq!(looks(3), ["same", "b", "same"]);
        // Half of it, and then all of it.
        write(&text("c")[..20]);
        assert_eq!(looks(1), ["same"]);
        write(&text("c"));
        assert_eq!(looks(3), ["same", "c", "same"]);
        write("[[keys");
        assert_eq!(looks(3), ["same", "the key file is not understood at line 1", "same"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(looks(3), ["same", "the key file cannot be read: entity not found", "same"]);
        // The text of before counts anew: it is not what was refused last.
        write(&text("c"));
        assert_eq!(looks(3), ["same", "c", "same"]);
    }

    #[test]
    fn a_thread_that_watches_ends_with_its_handle() {
        let (sender, looks) = mpsc::channel();
        let watching = every(Duration::from_millis(1), move || {
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
