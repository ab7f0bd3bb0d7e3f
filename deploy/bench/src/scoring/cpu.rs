//! Time on the processor, which does not grow when something else has it.

use std::path::Path;

use anyhow::Context;

/// Seconds that threads of this process have run: all of them, and those with a name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) all: f64,
    pub(crate) named: f64,
}

impl Cpu {
    /// As far as the kernel has counted (Linux only).
    pub(crate) fn now(name: &str) -> anyhow::Result<Self> {
        let mut now = Self { all: 0.0, named: 0.0 };
        for thread in std::fs::read_dir("/proc/self/task").context("no accounts of threads")? {
            // A thread may end meanwhile; its time is then nobody's.
            let Ok((thread, seconds)) = account(&thread?.path()) else { continue };
            now.all += seconds;
            if thread == name {
                now.named += seconds;
            }
        }
        Ok(now)
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.all += more.all;
        self.named += more.named;
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self { all: self.all - before.all, named: self.named - before.named }
    }
}

fn account(thread: &Path) -> anyhow::Result<(String, f64)> {
    let name = std::fs::read_to_string(thread.join("comm"))?.trim().to_owned();
    let counted = std::fs::read_to_string(thread.join("schedstat"))?;
    let nanoseconds: f64 = counted.split(' ').next().context("no time")?.parse()?;
    Ok((name, nanoseconds / 1e9))
}
