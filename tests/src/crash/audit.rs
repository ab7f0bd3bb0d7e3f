//! What `lethe-gateway audit verify` says of what was left.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// How it ends if only the last line is unfinished.
const TORN: i32 = 3;

/// What is there.
pub(super) struct Log {
    pub(super) records: usize,
    pub(super) torn: bool,
}

/// Checks the file at `path` and all that it continues.
pub(super) fn verify(program: &Path, path: &Path, may_be_torn: bool) -> anyhow::Result<Log> {
    let files = files(path)?;
    let output = Command::new(program).args(["audit", "verify"]).args(&files).output()?;
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let torn = output.status.code() == Some(TORN);
    ensure!(output.status.success() || torn && may_be_torn, "the audit log: {}", said.concat());
    let records = said[0].lines().find_map(|line| line.strip_prefix("records\t"));
    Ok(Log { records: records.unwrap_or("0").parse()?, torn })
}

/// The file at `path` and the finished ones beside it, in order.
pub(super) fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str()).context("a name")?;
    let mut finished = Vec::new();
    for entry in std::fs::read_dir(path.parent().context("a folder")?)? {
        let entry = entry?.file_name().into_string().unwrap_or_default();
        let rest = entry.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        if rest.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit())) {
            finished.push(path.with_file_name(entry));
        }
    }
    finished.sort();
    finished.extend(path.exists().then(|| path.to_owned()));
    Ok(finished)
}

/// All lines of the log.
pub(super) fn text(path: &Path) -> anyhow::Result<String> {
    files(path)?.iter().map(|file| Ok(std::fs::read_to_string(file)?)).collect()
}
