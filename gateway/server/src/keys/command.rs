//! `lethe-gateway key`: makes, lists and revokes keys of a key file.
//!
//! The file is read, changed as text, so that comments stay, understood again as the gateway would,
//! and replaced in one step. A running gateway notices. Commands that change the same file wait for
//! each other: they lock a file beside it, since the file itself is another one after each change.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use adapters::replace_private_file;
use gateway_wire::selection::ScaleBounds;

use super::file::{self, KeyFileError};
use super::ring::Keyring;
use super::scope::Scope;
use super::secret::Secret;

/// What is to be done with which file; `None` is the one of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCommand {
    /// The key file.
    pub file: Option<PathBuf>,
    /// What is to be done with it.
    pub action: KeyAction,
}

/// What can be done with a key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAction {
    /// Make a key.
    New {
        /// Its public name.
        id: String,
        /// Its scopes, as they are written.
        scopes: Vec<String>,
    },
    /// Tell what keys there are.
    List,
    /// Take a key out.
    Revoke {
        /// Its public name.
        id: String,
    },
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// The file as it is, or as it would be, is not one.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The id is taken.
    #[error("there is a key with this id already; revoke it or take another id")]
    Taken,
    /// Nothing has the id.
    #[error("there is no key with this id")]
    Unknown,
    /// What the command was given cannot be a key.
    #[error("{0}")]
    Invalid(&'static str),
    /// The text of one key could not be told from the rest.
    #[error("the key cannot be cut out of the file; take it out by hand")]
    Entangled,
    /// There are no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
    /// The file could not be replaced, or the terminal is gone.
    #[error("the result cannot be written: {}", .0.kind())]
    Write(#[from] std::io::Error),
}

/// Scales are the gateway's to judge, whose settings may not be at hand.
const BOUNDS: ScaleBounds = ScaleBounds { low: f32::NEG_INFINITY, high: f32::INFINITY };

impl KeyAction {
    /// Does it to `path`, and writes what is to be told to `out`: a secret, that is, only once.
    ///
    /// # Errors
    /// [`KeyCommandError`]; the file is as it was then, unless only `out` failed.
    pub fn run(&self, path: &Path, out: &mut impl Write) -> Result<(), KeyCommandError> {
        match self {
            Self::New { id, scopes } => {
                let _lock = lock(path)?;
                let secret = Secret::new().map_err(KeyCommandError::Random)?;
                let text = added(&read_or_empty(path)?, id, scopes, &secret)?;
                replace_private_file(path, text.as_bytes())?;
                Ok(writeln!(out, "{}", secret.reveal())?)
            }
            Self::List => {
                for key in &parse(&file::read(path)?)?.keys {
                    let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
                    writeln!(out, "{}\t{}", key.id, scopes.join(","))?;
                }
                Ok(())
            }
            Self::Revoke { id } => {
                let _lock = lock(path)?;
                let text = without(&file::read(path)?, id)?;
                Ok(replace_private_file(path, text.as_bytes())?)
            }
        }
    }
}

/// Waits for other commands that change `path`; they wait until what comes back is dropped.
fn lock(path: &Path) -> std::io::Result<File> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(path.with_file_name(name))?;
    file.lock()?;
    Ok(file)
}

fn read_or_empty(path: &Path) -> Result<String, KeyFileError> {
    match file::read(path) {
        Err(KeyFileError::Read(ErrorKind::NotFound)) => Ok(String::new()),
        read => read,
    }
}

fn parse(text: &str) -> Result<Keyring, KeyFileError> {
    Keyring::parse(text, BOUNDS, &Keyring::default())
}

/// The text with one more key.
fn added(
    text: &str,
    id: &str,
    scopes: &[String],
    secret: &Secret,
) -> Result<String, KeyCommandError> {
    if !file::is_id(id) {
        return Err(KeyCommandError::Invalid(file::ID_FORM));
    }
    if scopes.is_empty() || scopes.iter().any(|scope| Scope::parse(scope).is_none()) {
        return Err(KeyCommandError::Invalid(file::SCOPES_FORM));
    }
    if parse(text)?.keys.iter().any(|key| &*key.id == id) {
        return Err(KeyCommandError::Taken);
    }
    let gap = if text.is_empty() { "" } else { "\n" };
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let scopes: Vec<_> = scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
    let text = format!(
        "{text}{end}{gap}[[keys]]\nid = \"{id}\"\nhash = \"{}\"\nscopes = [{}]\n",
        secret.fingerprint(),
        scopes.join(", ")
    );
    parse(&text)?;
    Ok(text)
}

/// The text without the key `id`. What is behind it in comments is the next key's.
fn without(text: &str, id: &str) -> Result<String, KeyCommandError> {
    let others = |ring: Keyring| -> Vec<String> {
        let ids = ring.keys.iter().map(|key| key.id.to_string());
        ids.filter(|other| other != id).collect()
    };
    let before = parse(text)?;
    let count = before.len();
    let expected = others(before);
    if expected.len() == count {
        return Err(KeyCommandError::Unknown);
    }
    let mut kept = String::new();
    for block in blocks(text) {
        let ring = parse(&block);
        let is_it = ring.is_ok_and(|ring| ring.keys.iter().any(|key| &*key.id == id));
        kept += if is_it { tail(&block) } else { &block };
    }
    let after = parse(&kept).map_err(|_| KeyCommandError::Entangled)?;
    let cut = after.len() + 1 == count && others(after) == expected;
    if cut { Ok(kept) } else { Err(KeyCommandError::Entangled) }
}

/// The text in pieces that begin where a key does.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("[[") {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            *block += line;
        }
    }
    blocks
}

/// The comments and empty lines at the end of a block.
fn tail(block: &str) -> &str {
    let mut start = block.len();
    for line in block.split_inclusive('\n').rev() {
        let line_start = line.trim_start();
        if !line_start.is_empty() && !line_start.starts_with('#') {
            break;
        }
        start -= line.len();
    }
    &block[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn add(text: &str, id: &str) -> Result<String, String> {
        let secret = Secret::new().unwrap();
        added(text, id, &scopes(&["infer"]), &secret).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_that_was_added_is_found_by_its_secret() {
        let secret = Secret::new().unwrap();
        let some = add("# ours", "a").unwrap();
        let text = added(&some, "b", &scopes(&["metrics", "adapters:write"]), &secret).unwrap();
        assert!(text.starts_with("# ours\n\n[[keys]]\nid = \"a\"\n"), "{text}");
        let ring = parse(&text).unwrap();
        let found = ring.find(secret.reveal().as_bytes(), std::time::Duration::ZERO).unwrap();
        assert_eq!(&*found.id, "b");
        assert!(found.has_any(&[Scope::Metrics]) && !found.has_any(&[Scope::Infer]));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let some = add("", "a").unwrap();
        assert!(add(&some, "a").unwrap_err().contains("already"));
        assert!(add(&some, "a b").unwrap_err().contains("an id has"));
        assert!(add("[[keys]]", "a").unwrap_err().contains("line 1"));
        let secret = Secret::new().unwrap();
        for bad in [&[][..], &["infer", "everything"]] {
            assert!(added("", "a", &scopes(bad), &secret).is_err());
        }
    }

    #[test]
    fn a_key_is_taken_out_and_all_else_stays_as_it_was_written() {
        let a = add("# first\n", "a").unwrap();
        let b = add(&(a.clone() + "\n# of b\n"), "b").unwrap();
        let ruled = b + "[keys.minimum]\ngender = 0.5\n";
        let c = add(&(ruled.clone() + "\n# of c\n"), "c").unwrap();
        let end = c.strip_prefix(&ruled).unwrap();
        let without_b = without(&c, "b").unwrap();
        assert_eq!(without_b, a.clone() + "\n# of b\n\n" + end);
        assert_eq!(without(&without_b, "a").unwrap(), format!("# first\n\n\n# of b\n\n{end}"));
        let first = without(&without_b, "c").unwrap();
        assert_eq!(first, a.clone() + "\n# of b\n\n\n# of c\n\n");
        assert!(matches!(without(&c, "d"), Err(KeyCommandError::Unknown)));
        let inline = ["y", "z"].map(|id| {
            let text = add("", id).unwrap();
            format!("{{ {} }}", text.lines().skip(1).collect::<Vec<_>>().join(", "))
        });
        let inline = format!("keys = [{}]", inline.join(", "));
        assert!(matches!(without(&inline, "y"), Err(KeyCommandError::Entangled)), "{inline}");
    }
}
