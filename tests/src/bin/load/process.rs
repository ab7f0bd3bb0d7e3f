//! Processes, with all that they started, and how much memory they hold.

use std::fs;

use anyhow::Context as _;

/// A process and all that it started.
pub(crate) fn tree(process: u32) -> anyhow::Result<Vec<u32>> {
    let mut all = vec![process];
    for child in children(process).with_context(|| format!("process {process} is not there"))? {
        all.extend(tree(child).unwrap_or_default());
    }
    Ok(all)
}

/// Resident bytes of a process and of all that it started. Pages that processes share count for
/// each of them.
pub(crate) fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    // A process that has ended and is not waited for yet holds nothing.
    let bytes = |process| {
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        status.lines().find_map(resident)
    };
    Ok(tree(process)?.into_iter().filter_map(bytes).sum())
}

/// `VmRSS:     1024 kB`
fn resident(line: &str) -> Option<u64> {
    let kilobytes = line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}

fn children(process: u32) -> anyhow::Result<Vec<u32>> {
    let mut all = Vec::new();
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let listed = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        all.extend(listed.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn children_count() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(children(std::process::id()).unwrap().contains(&child.id()));
        let (all, one) = (resident_bytes(std::process::id()), resident_bytes(child.id()));
        assert!(all.unwrap() > one.unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
