//! Time on the processor, which does not grow when something else has it.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

/// Seconds that the threads of a process have run, by their names.
#[derive(Debug)]
pub(crate) struct Cpu(BTreeMap<String, f64>);

impl Cpu {
    /// As far as the kernel has counted for process `id` (Linux only).
    pub(crate) fn of(id: u32) -> anyhow::Result<Self> {
        let tasks = format!("/proc/{id}/task");
        let mut seconds = BTreeMap::new();
        for thread in std::fs::read_dir(tasks).context("no accounts of threads")? {
            // A thread may end meanwhile; its time is then nobody's.
            let Ok((name, ran)) = account(&thread?.path()) else { continue };
            *seconds.entry(name).or_default() += ran;
        }
        Ok(Self(seconds))
    }

    pub(crate) fn since(mut self, before: &Self) -> Self {
        for (name, seconds) in &before.0 {
            *self.0.entry(name.clone()).or_default() -= seconds;
        }
        self
    }

    pub(crate) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// Microseconds for each of `count` requests, by thread; what is next to nothing is left out.
    pub(crate) fn by_thread(&self, count: usize) -> String {
        let each = self.0.iter().map(|(name, seconds)| (name, seconds * 1e6 / count as f64));
        let told = each.filter(|(_, each)| *each >= 0.05);
        told.map(|(name, each)| format!("{name} {each:.1}")).collect::<Vec<_>>().join(", ")
    }
}

fn account(thread: &Path) -> anyhow::Result<(String, f64)> {
    let name = std::fs::read_to_string(thread.join("comm"))?.trim().to_owned();
    let counted = std::fs::read_to_string(thread.join("schedstat"))?;
    let nanoseconds: f64 = counted.split(' ').next().context("no time")?.parse()?;
    Ok((name, nanoseconds / 1e9))
}
