//! The folder that an encoder lies in.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EncoderError;

/// Largest text file that is read.
pub(super) const TEXT_BYTES: u64 = 64 << 20;

/// Largest file of weights that is read.
pub(super) const WEIGHT_BYTES: u64 = 8 << 30;

/// Reads files, and remembers what was read: the fingerprint covers just what can change a score.
pub(super) struct Folder {
    path: PathBuf,
    digest: Sha256,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), digest: Sha256::new() }
    }

    /// A file that must be there.
    pub(super) fn read(&mut self, file: &str, limit_bytes: u64) -> Result<Vec<u8>, EncoderError> {
        let missing =
            || EncoderError::Io { file: file.to_owned(), source: ErrorKind::NotFound.into() };
        self.read_if_there(file, limit_bytes)?.ok_or_else(missing)
    }

    /// A file that need not be there.
    pub(super) fn read_if_there(
        &mut self,
        file: &str,
        limit_bytes: u64,
    ) -> Result<Option<Vec<u8>>, EncoderError> {
        let io = |source| EncoderError::Io { file: file.to_owned(), source };
        let opened = match File::open(self.path.join(file)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error)),
        };
        let mut bytes = Vec::new();
        opened.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > limit_bytes {
            return Err(EncoderError::TooLarge { file: file.to_owned(), limit_bytes });
        }
        self.remember(file.as_bytes());
        self.remember(&bytes);
        Ok(Some(bytes))
    }

    /// A JSON file that must be there.
    pub(super) fn read_json<T: serde::de::DeserializeOwned>(
        &mut self,
        file: &'static str,
    ) -> Result<T, EncoderError> {
        parse_json(file, &self.read(file, TEXT_BYTES)?)
    }

    /// Identity of all that was read, such as `sha256:...`.
    pub(super) fn fingerprint(&self) -> String {
        fingerprint(self.digest.clone())
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.digest.update((bytes.len() as u64).to_le_bytes());
        self.digest.update(bytes);
    }
}

pub(super) fn parse_json<T: serde::de::DeserializeOwned>(
    file: &'static str,
    bytes: &[u8],
) -> Result<T, EncoderError> {
    serde_json::from_slice(bytes).map_err(|source| EncoderError::Json { file, source })
}

/// `sha256:` and the digest in hexadecimal.
pub(super) fn fingerprint(digest: Sha256) -> String {
    let hex: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// The first eight hexadecimal digits of a fingerprint.
pub(super) fn short(fingerprint: &str) -> &str {
    let hex = fingerprint.strip_prefix("sha256:").unwrap_or(fingerprint);
    hex.get(..8).unwrap_or(hex)
}
