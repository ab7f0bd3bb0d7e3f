//! How background rows give way.
//!
//! There is one at a time. It is computed only in a step in which no foreground row could be: none
//! waits for a place, and none runs that its reader has not blocked. So all that it can add to a
//! foreground job's latency is the rest of the step that is under way when that job arrives, and
//! such a step computes at most `shared_step_tokens` tokens. It takes no foreground row's place
//! and is the first to lose its blocks. The prefix cache learns nothing from it; all that it may
//! displace there is as many of the least recently used blocks as it holds itself.

use super::row::Row;
use super::worker::Worker;

impl Worker {
    /// The running rows: foreground, oldest first, and background.
    pub(super) fn split_running(&self) -> (&[Row], &[Row]) {
        self.running.split_at(self.running.partition_point(|row| !row.is_background()))
    }

    /// Whether a foreground row waits or could be computed.
    pub(super) fn foreground_wants(&self) -> bool {
        let waits = self.waiting.front().is_some_and(|row| !row.is_background());
        waits || self.split_running().0.iter().any(|row| !row.outlet.is_blocked())
    }

    /// Whether a row may run beside those that do.
    pub(super) fn has_place_for(&self, row: &Row) -> bool {
        let (foreground, background) = self.split_running();
        match row.is_background() {
            true => background.is_empty() && !self.foreground_wants(),
            false => foreground.len() < self.settings.max_rows,
        }
    }

    /// Puts a row behind those that wait, but before background rows unless it is one.
    pub(super) fn enqueue(&mut self, row: Row) {
        let at = match row.is_background() {
            true => self.waiting.len(),
            false => self.waiting.partition_point(|row| !row.is_background()),
        };
        self.waiting.insert(at, row);
    }

    /// Puts a row that has begun with those that run.
    pub(super) fn start(&mut self, row: Row) {
        let at = match row.is_background() {
            true => self.running.len(),
            false => self.split_running().0.len(),
        };
        self.running.insert(at, row);
    }

    /// Takes its blocks from the last running row, which is computed again later. That is a
    /// background row, or else the youngest.
    pub(super) fn preempt_last(&mut self) {
        let Some(mut row) = self.running.pop() else { return };
        row.end(&mut self.blocks);
        let at = match row.is_background() {
            true => self.waiting.partition_point(|row| !row.is_background()),
            false => {
                self.preemptions += 1;
                0
            }
        };
        self.waiting.insert(at, row);
    }
}

#[cfg(test)]
mod tests;
