//! Servers that wait for their turn stand still: some spin while they are idle, and would take the
//! processors from the one whose turn it is.

use std::process::Command;

use anyhow::ensure;

use crate::process;

/// Processes that are stopped, until this is dropped.
pub(crate) struct Paused(Vec<u32>);

impl Paused {
    /// Stops processes and all that they started.
    pub(crate) fn new(processes: impl IntoIterator<Item = u32>) -> anyhow::Result<Self> {
        let trees = processes.into_iter().map(process::tree);
        let paused = Self(trees.collect::<anyhow::Result<Vec<_>>>()?.concat());
        signal("-STOP", &paused.0)?;
        Ok(paused)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // One that has ended meanwhile need not go on.
        let _ = signal("-CONT", &self.0);
    }
}

fn signal(signal: &str, processes: &[u32]) -> anyhow::Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    let numbers = processes.iter().map(ToString::to_string);
    let status = Command::new("kill").arg(signal).args(numbers).status()?;
    ensure!(status.success(), "a process could not be sent {signal}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Stdio;

    use super::*;

    /// `123 (cat) T ...`: stopped.
    fn state(process: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    }

    #[test]
    fn a_process_stands_still_as_long_as_it_is_paused() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let until = |stopped: bool| {
            while (state(child.id()) == Some('T')) != stopped {
                std::thread::yield_now();
            }
        };
        let paused = Paused::new([child.id()]).unwrap();
        until(true);
        drop(paused);
        until(false);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(Paused::new([u32::MAX]).is_err());
    }
}
