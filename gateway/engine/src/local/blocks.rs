//! Who owns which block of the KV cache, and the prefix cache over them.
//!
//! A cached block is found by its whole past: a key is the chain before the block and the block's
//! sixteen tokens, and a chain begins with the (digest, scale) vector. Keys are compared exactly,
//! never by hash alone, so blocks are shared only where every bit of them would be the same. A block
//! of which only the first tokens are wanted is copied.

use std::collections::{BTreeMap, HashMap};

use adapters::VectorKey;
use model::BLOCK_TOKENS;

/// Identity of a chain of full blocks; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Chain(u64);

type Tokens = [u32; BLOCK_TOKENS];

#[derive(Debug)]
struct Key {
    before: Chain,
    tokens: Tokens,
}

#[derive(Debug, Clone, Copy)]
struct Cached {
    block: u32,
    chain: Chain,
}

#[derive(Debug, Default)]
struct Block {
    /// Sequences that use it.
    users: usize,
    /// Its place in the prefix cache.
    key: Option<Key>,
    /// When it was last released, if nobody uses it and it is cached.
    released: Option<u64>,
}

/// A chain's beginning: blocks cached under it keep it known.
#[derive(Debug)]
struct Root {
    chain: Chain,
    sequences: usize,
    blocks: usize,
}

/// All blocks of a cache.
#[derive(Debug)]
pub(crate) struct BlockPool {
    blocks: Vec<Block>,
    free: Vec<u32>,
    /// Cached blocks that nobody uses, oldest first.
    unused: BTreeMap<u64, u32>,
    /// The blocks after each chain, in the order of their tokens.
    cached: HashMap<Chain, BTreeMap<Tokens, Cached>>,
    roots: HashMap<VectorKey, Root>,
    /// The root of each chain that is in use or cached.
    root_of: HashMap<Chain, VectorKey>,
    clock: u64,
}

/// What the prefix cache has of a prompt. The blocks are in use from now on.
#[derive(Debug)]
pub(crate) struct Prefix {
    pub(crate) blocks: Vec<u32>,
    pub(crate) chain: Chain,
    /// A cached block that begins as the prompt goes on, and for how many tokens. It is nobody's: what
    /// it holds is to be copied before the next step.
    pub(crate) next: Option<(u32, usize)>,
}

impl BlockPool {
    pub(crate) fn new(blocks: usize) -> Self {
        let count = u32::try_from(blocks).unwrap_or(u32::MAX);
        Self {
            blocks: (0..count).map(|_| Block::default()).collect(),
            free: (0..count).rev().collect(),
            unused: BTreeMap::new(),
            cached: HashMap::new(),
            roots: HashMap::new(),
            root_of: HashMap::new(),
            clock: 0,
        }
    }

    pub(crate) const fn total(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks that could be allocated now.
    pub(crate) fn available(&self) -> usize {
        self.free.len() + self.unused.len()
    }

    /// How many full blocks of `tokens` are cached, without using them.
    pub(crate) fn peek(&self, vector: &VectorKey, tokens: &[u32]) -> usize {
        self.find(vector, tokens).len()
    }

    fn find(&self, vector: &VectorKey, tokens: &[u32]) -> Vec<Cached> {
        let Some(mut before) = self.roots.get(vector).map(|root| root.chain) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for tokens in tokens.as_chunks::<BLOCK_TOKENS>().0 {
            let Some(&cached) = self.after(before, tokens) else { break };
            before = cached.chain;
            found.push(cached);
        }
        found
    }

    fn after(&self, before: Chain, tokens: &Tokens) -> Option<&Cached> {
        self.cached.get(&before)?.get(tokens)
    }

    /// The cached block after `before` that shares the most first tokens with `tokens`, and how many.
    fn nearest(&self, before: Chain, tokens: &[u32]) -> Option<(u32, usize)> {
        let mut wanted = Tokens::default();
        wanted.iter_mut().zip(tokens).for_each(|(wanted, token)| *wanted = *token);
        let shared = |(other, cached): (&Tokens, &Cached)| {
            let shared = other.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            (cached.block, shared)
        };
        // Those that begin alike are neighbours.
        let followers = self.cached.get(&before)?;
        let below = followers.range(..wanted).next_back().map(shared);
        let above = followers.range(wanted..).next().map(shared);
        let nearest = [below, above].into_iter().flatten().max_by_key(|(_, shared)| *shared);
        nearest.filter(|(_, shared)| *shared > 0)
    }

    /// Begins a sequence: takes the cached blocks of the longest known prefix of `tokens`.
    pub(crate) fn begin(&mut self, vector: &VectorKey, tokens: &[u32]) -> Prefix {
        let found = self.find(vector, tokens);
        let next = self.next_chain();
        let root = self.roots.entry(vector.clone()).or_insert_with(|| {
            self.root_of.insert(next, vector.clone());
            Root { chain: next, sequences: 0, blocks: 0 }
        });
        root.sequences += 1;
        let chain = found.last().map_or(root.chain, |cached| cached.chain);
        let next = self.nearest(chain, &tokens[found.len() * BLOCK_TOKENS..]);
        let blocks: Vec<u32> = found.into_iter().map(|cached| cached.block).collect();
        for &block in &blocks {
            self.acquire(block);
        }
        Prefix { blocks, chain, next }
    }

    fn acquire(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        state.users += 1;
        if let Some(stamp) = state.released.take() {
            self.unused.remove(&stamp);
        }
    }

    /// A block for new tokens; the least recently used cached one if none is free.
    pub(crate) fn allocate(&mut self) -> Option<u32> {
        let block = match self.free.pop() {
            Some(block) => block,
            None => {
                let (_, block) = self.unused.pop_first()?;
                self.forget(block);
                block
            }
        };
        let state = &mut self.blocks[block as usize];
        state.users = 1;
        state.released = None;
        Some(block)
    }

    /// Takes a block out of the prefix cache.
    fn forget(&mut self, block: u32) {
        let Some(key) = self.blocks[block as usize].key.take() else { return };
        if let Some(cached) = self.take_out(&key)
            && let Some(vector) = self.root_of.remove(&cached.chain)
        {
            self.leave_root(&vector, |root| root.blocks -= 1);
        }
    }

    fn take_out(&mut self, key: &Key) -> Option<Cached> {
        let followers = self.cached.get_mut(&key.before)?;
        let cached = followers.remove(&key.tokens);
        if followers.is_empty() {
            self.cached.remove(&key.before);
        }
        cached
    }

    /// Enters a full block of a sequence into the prefix cache, and gives the chain that ends
    /// with it. If an equal block is cached already, that one stays.
    pub(crate) fn register(&mut self, before: Chain, tokens: &Tokens, block: u32) -> Chain {
        if let Some(cached) = self.after(before, tokens) {
            return cached.chain;
        }
        let chain = self.next_chain();
        if let Some(vector) = self.root_of.get(&before).cloned() {
            if let Some(root) = self.roots.get_mut(&vector) {
                root.blocks += 1;
            }
            self.root_of.insert(chain, vector);
            self.cached.entry(before).or_default().insert(*tokens, Cached { block, chain });
            self.blocks[block as usize].key = Some(Key { before, tokens: *tokens });
        }
        chain
    }

    /// Ends a sequence. The end of its chain is forgotten before the beginning.
    pub(crate) fn end(&mut self, vector: &VectorKey, blocks: &[u32]) {
        for &block in blocks.iter().rev() {
            self.clock += 1;
            let state = &mut self.blocks[block as usize];
            state.users -= 1;
            if state.users > 0 {
                continue;
            }
            if state.key.is_some() {
                state.released = Some(self.clock);
                self.unused.insert(self.clock, block);
            } else {
                self.free.push(block);
            }
        }
        self.leave_root(vector, |root| root.sequences -= 1);
    }

    /// Forgets a root that neither sequences nor cached blocks need.
    fn leave_root(&mut self, vector: &VectorKey, leave: impl FnOnce(&mut Root)) {
        if let Some(root) = self.roots.get_mut(vector) {
            leave(root);
            if root.sequences == 0 && root.blocks == 0 {
                let chain = root.chain;
                self.roots.remove(vector);
                self.root_of.remove(&chain);
            }
        }
    }

    const fn next_chain(&mut self) -> Chain {
        self.clock += 1;
        Chain(self.clock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(first: u32) -> Tokens {
        std::array::from_fn(|i| first + u32::try_from(i).expect("small"))
    }

    /// Fills and registers `count` blocks of a sequence that begins with `first`.
    fn run(pool: &mut BlockPool, first: u32, count: u32) -> Vec<u32> {
        let vector = VectorKey::default();
        let prefix = pool.begin(&vector, &[]);
        let mut chain = prefix.chain;
        let mut blocks = prefix.blocks;
        for i in 0..count {
            let block = pool.allocate().expect("free");
            chain = pool.register(chain, &tokens(first + i), block);
            blocks.push(block);
        }
        blocks
    }

    #[test]
    fn a_released_prefix_is_found_again_and_shared() {
        let mut pool = BlockPool::new(4);
        let vector = VectorKey::default();
        let blocks = run(&mut pool, 0, 2);
        pool.end(&vector, &blocks);
        let prompt = [tokens(0), tokens(1), tokens(9)].concat();
        assert_eq!(pool.peek(&vector, &prompt), 2);
        let again = pool.begin(&vector, &prompt);
        assert_eq!(again.blocks, blocks);
        assert_eq!(pool.available(), 2);
        pool.end(&vector, &again.blocks);
        assert_eq!(pool.available(), 4);
    }

    #[test]
    fn of_the_blocks_after_a_prefix_the_one_that_goes_on_most_alike_is_offered() {
        let mut pool = BlockPool::new(8);
        let vector = VectorKey::default();
        let first = run(&mut pool, 0, 1);
        let chain = pool.begin(&vector, &tokens(0)).chain;
        let alike = |count: usize, other: u32| -> Tokens {
            std::array::from_fn(|i| if i < count { 70 } else { other })
        };
        let others = [alike(3, 0), alike(9, 90), alike(9, 5), alike(12, 2)];
        let blocks = others.map(|tokens| {
            let block = pool.allocate().expect("free");
            pool.register(chain, &tokens, block);
            block
        });
        let next = |pool: &mut BlockPool, rest: &[u32]| {
            let prefix = pool.begin(&vector, &[&tokens(0), rest].concat());
            assert_eq!(prefix.blocks, first);
            prefix.next
        };
        assert_eq!(next(&mut pool, &alike(12, 3)), Some((blocks[3], 12)));
        let mut almost = alike(9, 90);
        almost[15] = 0;
        assert_eq!(next(&mut pool, &almost), Some((blocks[1], 15)));
        assert_eq!(next(&mut pool, &alike(9, 60)).map(|(_, shared)| shared), Some(9));
        assert_eq!(next(&mut pool, &[70; 2]).map(|(_, shared)| shared), Some(2));
        assert_eq!(next(&mut pool, &[71; 20]), None);
        assert_eq!(next(&mut pool, &[]), None);
    }

    #[test]
    fn the_least_recently_used_end_of_a_chain_goes_first() {
        let mut pool = BlockPool::new(4);
        let vector = VectorKey::default();
        let old = run(&mut pool, 0, 2);
        pool.end(&vector, &old);
        let new = run(&mut pool, 50, 2);
        pool.end(&vector, &new);
        assert_eq!(pool.allocate(), Some(old[1]));
        assert_eq!(pool.peek(&vector, &[tokens(0), tokens(1)].concat()), 1);
        assert_eq!(pool.peek(&vector, &[tokens(50), tokens(51)].concat()), 2);
    }

    #[test]
    fn blocks_in_use_are_never_given_away() {
        let mut pool = BlockPool::new(2);
        let blocks = run(&mut pool, 0, 2);
        assert_eq!(pool.allocate(), None);
        pool.end(&VectorKey::default(), &blocks);
        assert!(pool.allocate().is_some());
    }

    #[test]
    fn nothing_is_kept_once_everything_is_evicted() {
        let mut pool = BlockPool::new(2);
        let vector = VectorKey::default();
        for first in 0..50 {
            let blocks = run(&mut pool, first * 100, 2);
            pool.end(&vector, &blocks);
        }
        let fresh = [pool.allocate(), pool.allocate()];
        assert!(fresh.iter().all(Option::is_some));
        assert!(pool.cached.is_empty() && pool.roots.is_empty() && pool.root_of.is_empty());
    }
}
