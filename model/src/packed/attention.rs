//! Attention of a step: keys and values are remembered, then every row looks at its past.

use super::PackedDecoder;
use super::heads::HeadTasks;
use super::step::Place;
use crate::cache::{BLOCK_TOKENS, KvCache};
use crate::kernels::attention::{self, Past};
use crate::kernels::disjoint::DisjointRows;
use crate::kernels::elementwise;
use crate::kernels::pool::Gate;
use crate::kernels::scratch::Scratch;
use crate::{Config, Rows};

/// Attention of every row and head, shared out to the pool: what comes out has the shape of the
/// queries.
pub(super) fn attend_all(
    model: &PackedDecoder,
    cache: &mut KvCache,
    places: &[Place<'_>],
    layer: usize,
    [mut q, mut k, v]: [Rows; 3],
) -> Rows {
    let Config { kv_heads, head_dim, heads, .. } = model.config;
    let mut out = Rows::unset(q.len(), heads * head_dim);
    let tasks = HeadTasks { rows: q.len(), heads, group: heads / kv_heads };
    let [q, k, to] = [&mut q, &mut k, &mut out].map(|rows| {
        let width = rows.width();
        DisjointRows::new(rows.values_mut(), width)
    });
    let attention = Attention { model, cache, places, layer, tasks, q, k, v: &v, out: to };
    let gate = Gate::new(&model.pool);
    model.pool.run(&|part| {
        attention.remember(part);
        // A row sees the keys of rows before it in the step.
        gate.arrive();
        gate.wait();
        attention.attend(part);
    });
    out
}

/// What the parts of the pool share.
struct Attention<'a> {
    model: &'a PackedDecoder,
    /// Written through the shared borrow by [`Attention::remember`].
    cache: &'a KvCache,
    places: &'a [Place<'a>],
    layer: usize,
    tasks: HeadTasks,
    q: DisjointRows<'a>,
    k: DisjointRows<'a>,
    v: &'a Rows,
    out: DisjointRows<'a>,
}

impl Attention<'_> {
    /// Rotates a part's keys, and stores them and the values beside them.
    #[expect(unsafe_code, reason = "writes one key head of one row, which no other task has")]
    fn remember(&self, part: usize) {
        let (dim, isa) = (self.model.config.head_dim, self.model.isa);
        let [mut key, mut value] = [(); 2].map(|()| Scratch::any(dim));
        for (row, heads) in self.tasks.of(part, self.model.pool.parts()) {
            // A key head whose heads are cut among parts belongs to the last.
            if !heads.end.is_multiple_of(self.tasks.group) {
                continue;
            }
            let (place, head) = (self.places[row], heads.start / self.tasks.group);
            let columns = head * dim..(head + 1) * dim;
            // SAFETY: the last heads of a key head are in one task, and each runs once.
            let k = unsafe { self.k.columns(row, columns.clone()) };
            self.model.rotation.apply(isa, k, place.position);
            elementwise::halve(isa, k, &mut key);
            elementwise::halve(isa, &self.v.row(row)[columns], &mut value);
            let block = place.table[place.position / BLOCK_TOKENS] as usize;
            let slot = (block, place.position % BLOCK_TOKENS);
            // SAFETY: as above, and nobody reads the cache before all have come to the gate.
            unsafe { self.cache.store((self.layer, head), slot, &key, &value) };
        }
    }

    /// Rotates a part's queries, and attends with them.
    #[expect(unsafe_code, reason = "writes some heads of one row, which no other task has")]
    fn attend(&self, part: usize) {
        let (dim, isa) = (self.model.config.head_dim, self.model.isa);
        let mut scores = Vec::new();
        for (row, heads) in self.tasks.of(part, self.model.pool.parts()) {
            let (place, columns) = (self.places[row], heads.start * dim..heads.end * dim);
            let past = Past {
                cache: self.cache,
                layer: self.layer,
                kv_head: heads.start / self.tasks.group,
                table: place.table,
                tokens: place.position + 1,
            };
            // SAFETY: a task is some heads of one row, and each runs once.
            let (q, out) =
                unsafe { (self.q.columns(row, columns.clone()), self.out.columns(row, columns)) };
            self.model.rotation.apply(isa, q, place.position);
            attention::attend(isa, past, q, out, &mut scores);
        }
    }
}
