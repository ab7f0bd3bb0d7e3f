//! The engine's thread: which rows run, wait, pause and end.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::{KvCache, PackedDecoder};

use super::LocalSettings;
use super::blocks::BlockPool;
use super::budget::TokenCost;
use super::outlet::Outlet;
use super::row::Row;
use crate::{EngineError, Health, Status};

/// How long the thread sleeps before it looks again at rows that wait for their readers.
const BLOCKED_POLL: Duration = Duration::from_millis(2);

/// What handles ask of the thread.
pub(super) enum Command {
    Submit(Box<Row>),
    ShutDown,
}

/// Owner of weights, cache and rows.
pub(super) struct Worker {
    pub(super) decoder: PackedDecoder,
    pub(super) cache: KvCache,
    pub(super) blocks: BlockPool,
    pub(super) settings: LocalSettings,
    pub(super) token_cost: TokenCost,
    /// Oldest first; a background row is last.
    pub(super) running: Vec<Row>,
    /// First come, first served; background rows come after all others.
    pub(super) waiting: VecDeque<Row>,
    /// Ended rows whose readers have not taken everything.
    draining: Vec<(Outlet, Instant)>,
    inbox: Receiver<Command>,
    status: Arc<Mutex<Status>>,
    prefix_queries: u64,
    prefix_hits: u64,
    pub(super) preemptions: u64,
}

/// Whether the thread goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Stop,
}

impl Worker {
    pub(super) fn new(
        decoder: PackedDecoder,
        cache: KvCache,
        settings: LocalSettings,
        inbox: Receiver<Command>,
        status: Arc<Mutex<Status>>,
    ) -> Self {
        let blocks = BlockPool::new(cache.blocks());
        Self {
            token_cost: TokenCost::new(decoder.config()),
            decoder,
            cache,
            blocks,
            settings,
            running: Vec::new(),
            waiting: VecDeque::new(),
            draining: Vec::new(),
            inbox,
            status,
            prefix_queries: 0,
            prefix_hits: 0,
            preemptions: 0,
        }
    }

    pub(super) fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while self.receive() == Flow::Continue {
                self.sweep();
                self.admit();
                self.publish(Health::Ready);
                self.step();
            }
        }));
        let (health, error) = match outcome {
            Ok(()) => (Health::ShutDown, EngineError::ShuttingDown),
            Err(_) => {
                (Health::Failed, EngineError::Internal("the engine's thread panicked".into()))
            }
        };
        for mut row in self.running.drain(..).chain(self.waiting.drain(..)) {
            row.fail(error.clone());
        }
        self.publish(health);
    }

    /// Takes what came in. Sleeps while there is nothing to do.
    fn receive(&mut self) -> Flow {
        loop {
            let blocked =
                !self.draining.is_empty() || self.running.iter().any(|r| r.outlet.is_blocked());
            let busy =
                self.running.iter().any(|r| !r.outlet.is_blocked()) || !self.waiting.is_empty();
            let command = if busy {
                match self.inbox.try_recv() {
                    Ok(command) => command,
                    Err(TryRecvError::Empty) => return Flow::Continue,
                    Err(TryRecvError::Disconnected) => return Flow::Stop,
                }
            } else if blocked {
                match self.inbox.recv_timeout(BLOCKED_POLL) {
                    Ok(command) => command,
                    Err(RecvTimeoutError::Timeout) => return Flow::Continue,
                    Err(RecvTimeoutError::Disconnected) => return Flow::Stop,
                }
            } else {
                self.publish(Health::Ready);
                match self.inbox.recv() {
                    Ok(command) => command,
                    Err(_) => return Flow::Stop,
                }
            };
            match command {
                Command::Submit(row) => self.enqueue(*row),
                Command::ShutDown => return Flow::Stop,
            }
        }
    }

    /// Frees rows whose reader is gone or whose deadline passed, and sends what waits.
    fn sweep(&mut self) {
        let now = Instant::now();
        for mut row in self.running.extract_if(.., |row| is_over(row, now)).collect::<Vec<_>>() {
            row.end(&mut self.blocks);
            self.expire(row);
        }
        let (over, waiting) = self.waiting.drain(..).partition(|row| is_over(row, now));
        self.waiting = waiting;
        for row in Vec::from(over) {
            self.expire(row);
        }
        for row in &mut self.running {
            row.outlet.flush();
        }
        self.draining.retain_mut(|(outlet, until)| !outlet.flush() && *until > now);
    }

    fn expire(&mut self, mut row: Row) {
        if !row.outlet.is_closed() {
            row.fail(EngineError::Deadline);
            self.drain(row);
        }
    }

    /// Keeps a row's outlet until its reader has taken everything, or a while after its deadline.
    pub(super) fn drain(&mut self, row: Row) {
        if row.outlet.is_blocked() {
            let grace = Duration::from_secs(10);
            self.draining.push((row.outlet, row.deadline.max(Instant::now()) + grace));
        }
    }

    /// Starts waiting rows, in order, while there is room. A row that could share what a running
    /// one is just computing waits for that, and lets others pass.
    pub(super) fn admit(&mut self) {
        let mut index = 0;
        while index < self.waiting.len() && self.has_place_for(&self.waiting[index]) {
            let row = &self.waiting[index];
            let (foreground, _) = self.split_running();
            let shares = |r: &Row| row.members[0].waits_for(&r.members[0], &self.blocks);
            if !row.is_background() && foreground.iter().any(shares) {
                index += 1;
                continue;
            }
            if !self.find_room(index) {
                return;
            }
            let Some(mut row) = self.waiting.remove(index) else { return };
            let (queried, found) = row.begin(&mut self.blocks, &mut self.cache);
            self.prefix_queries += queried as u64;
            self.prefix_hits += found as u64;
            self.start(row);
        }
    }

    /// Whether the cache has room for a waiting row, with one block to spare for each running
    /// row, so that admission does not cause preemption. Background rows make room for others.
    fn find_room(&mut self, index: usize) -> bool {
        loop {
            let (foreground, background) = self.split_running();
            let row = &self.waiting[index];
            let (spare, needed) = (foreground.len(), row.blocks_needed(&self.blocks));
            if spare == 0 || needed + spare <= self.blocks.available() {
                return true;
            }
            if row.is_background() || background.is_empty() {
                return false;
            }
            self.preempt_last();
        }
    }

    /// Tells the handles what the engine is doing.
    fn publish(&self, health: Health) {
        let (running, running_behind) = self.split_running();
        let behind = self.waiting.partition_point(|row| !row.is_background());
        let names = |rows: &mut dyn Iterator<Item = &Row>| {
            let members = rows.flat_map(|row| &row.members);
            let applied = members.flat_map(|m| m.adapters.entries());
            applied
                .map(|a| a.lease.name().to_string())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect()
        };
        let total = self.blocks.total();
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Status {
            health,
            running: running.len(),
            waiting: behind,
            background: running_behind.len() + self.waiting.len() - behind,
            kv_blocks_used: total - self.blocks.available(),
            kv_blocks_total: total,
            prefix_queries_tokens: self.prefix_queries,
            prefix_hits_tokens: self.prefix_hits,
            preemptions: self.preemptions,
            running_adapters: names(&mut running.iter()),
            waiting_adapters: names(&mut self.waiting.range(..behind)),
            upstreams: Vec::new(),
        };
    }
}

fn is_over(row: &Row, now: Instant) -> bool {
    row.outlet.is_closed() || row.deadline <= now
}
