//! A changed key file is taken over without a restart.
//!
//! The file is read again and again, and its text compared: times and sizes of files say less, and
//! a Kubernetes Secret changes by a link. A text that cannot be used leaves the former keys as they
//! are.

use std::path::PathBuf;
use std::sync::Arc;

use gateway_wire::selection::ScaleBounds;

use super::file::{self, KeyFileError};
use super::ring::Keyring;
use crate::audit::{Audit, Event};
use crate::watch::Settling;

/// The file as it was seen.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    bounds: ScaleBounds,
    seen: Settling<Seen>,
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

impl Watch {
    /// Watches a file whose `text` has been taken over.
    pub(super) fn new(path: PathBuf, bounds: ScaleBounds, text: String) -> Self {
        Self { path, bounds, seen: Settling::new(Ok(text)) }
    }

    /// Looks at the file; keys that stay keep what they have of `former`.
    pub(super) fn look(&mut self, former: &Keyring) -> Look {
        let read = file::read(&self.path);
        let seen = read.as_ref().map_or(Err(Unreadable), |text| Ok(text.clone()));
        if !self.seen.settles(seen) {
            return Look::Same;
        }
        let parsed = read.and_then(|text| Keyring::parse(&text, self.bounds, former));
        parsed.map_or_else(Look::Refused, Look::Changed)
    }
}

/// Tells log, metrics and audit log what came of a look, and gives the new keys out.
pub(super) fn report(
    look: Look,
    former: &Keyring,
    metrics: &crate::Metrics,
    audit: &Audit,
) -> Option<Arc<Keyring>> {
    let count = |outcome: &str| metrics.key_reloads.with_label_values(&[outcome]).inc();
    match look {
        Look::Same => None,
        Look::Changed(ring) => {
            count("loaded");
            metrics.keys_stale.set(0);
            tracing::info!(keys = ring.len(), "the key file was loaded again");
            audit.record(Event::KeysLoaded(ring.change_since(former)));
            Some(Arc::new(ring))
        }
        Look::Refused(error) => {
            count("refused");
            metrics.keys_stale.set(1);
            audit.record(Event::KeysRefused {});
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
}
