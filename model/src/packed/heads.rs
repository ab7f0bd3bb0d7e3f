//! How attention is shared out to the parts of the pool.

use std::ops::Range;

use crate::kernels::pool::share;

/// Heads of all rows. Those of a group share the reading of keys and values.
#[derive(Clone, Copy)]
pub(super) struct HeadTasks {
    pub(super) rows: usize,
    pub(super) heads: usize,
    /// Heads that share a key head.
    pub(super) group: usize,
}

impl HeadTasks {
    /// Groups a part of the pool from which on they share out evenly enough.
    const EVEN: usize = 4;

    /// A part's rows and heads, heads of one group at a time.
    pub(super) fn of(
        self,
        part: usize,
        parts: usize,
    ) -> impl Iterator<Item = (usize, Range<usize>)> {
        let Self { rows, heads, group } = self;
        let groups = rows * heads / group;
        // Later rows of a prompt see more, so the parts take turns; few groups are cut.
        let (cut, first, step) = match groups < Self::EVEN * parts {
            true => (share(rows * heads, part, parts), 0, 1),
            false => (0..rows * heads, part, parts),
        };
        (first..groups).step_by(step).filter_map(move |number| {
            let start = (number * group).max(cut.start);
            let end = ((number + 1) * group).min(cut.end);
            (start < end).then(|| (start / heads, start % heads..(end - 1) % heads + 1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_of_every_row_is_in_one_task_of_its_group() {
        for (rows, heads, group, parts) in [(1, 9, 3, 2), (2, 8, 4, 3), (40, 9, 3, 2), (1, 2, 2, 4)]
        {
            let tasks = HeadTasks { rows, heads, group };
            let mut times = vec![0; rows * heads];
            for (row, own) in (0..parts).flat_map(|part| tasks.of(part, parts)) {
                assert!(own.start / group == (own.end - 1) / group && own.end <= heads);
                own.for_each(|head| times[row * heads + head] += 1);
            }
            assert!(times.iter().all(|times| *times == 1), "{rows} {heads} {group} {parts}");
        }
    }
}
