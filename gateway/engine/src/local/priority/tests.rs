//! The rule, step by step and without a thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use adapters::{AdapterVector, VectorKey};
use model::kernels::pool::Pool;
use model::{KvCache, Model, ServedPrecision};
use tokio::sync::mpsc::Receiver;

use super::super::outlet::Event;
use super::super::worker::{Command, Worker};
use super::Row;
use crate::{Admission, Drawer, Grammar, Job, Limits, LocalSettings, Logprobs, Priority, Sampling};

/// A worker that is stepped by hand, and what its rows say.
struct House {
    worker: Worker,
    drawer: Drawer,
    _commands: Sender<Command>,
}

fn house(blocks: usize, settings: LocalSettings) -> House {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-llama");
    let model = Model::open(&folder).expect("the fixture");
    let decoder = model.packed(ServedPrecision::Auto, Arc::new(Pool::new(1))).expect("packs");
    let cache = KvCache::new(decoder.config(), blocks);
    let drawer = Drawer::new(model.tokenizer(), decoder.config().vocabulary).expect("a drawer");
    let (commands, inbox) = mpsc::channel();
    let worker = Worker::new(decoder, cache, settings, inbox, Arc::default());
    House { worker, drawer, _commands: commands }
}

impl House {
    fn submit(&mut self, priority: Priority, prompt: usize, max_tokens: usize) -> Receiver<Event> {
        let job = Job {
            prompt: text(prompt),
            adapters: AdapterVector::default(),
            sampling: Sampling::default(),
            limits: Limits {
                max_tokens,
                min_tokens: 0,
                ignore_eos: true,
                stop: Vec::new(),
                stop_tokens: Vec::new(),
            },
            grammar: Grammar::Free,
            logprobs: Logprobs::default(),
            companions: Vec::new(),
            comparison: None,
            priority,
            trace: None,
            deadline: Instant::now() + Duration::from_secs(600),
            permit: Arc::new(Admission::new(1).admit().expect("free")),
        };
        let drawing = self.drawer.begin(&job, usize::MAX).expect("no grammar");
        let (row, events) = Row::new(job, drawing);
        self.worker.enqueue(row);
        events
    }

    fn step(&mut self) {
        self.worker.admit();
        self.worker.step();
    }

    /// Which of the next step's rows are background, and how many tokens it computes of each.
    fn next(&mut self) -> Vec<(bool, usize)> {
        self.worker.admit();
        let plan = self.worker.plan();
        plan.iter().map(|s| (self.worker.running[s.row].is_background(), s.tokens)).collect()
    }

    fn is_idle(&self) -> bool {
        self.worker.running.is_empty() && self.worker.waiting.is_empty()
    }
}

/// A prompt of that length; prompts of different lengths begin differently.
fn text(length: usize) -> Vec<u32> {
    (0..length).map(|i| u32::try_from(3 + (i + 1) * length % 250).expect("small")).collect()
}

/// The tokens that a row has drawn.
fn tokens(events: &mut Receiver<Event>) -> Vec<u32> {
    let mut tokens = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Token(drawn) = event {
            tokens.push(drawn.id());
        }
    }
    tokens
}

/// Runs until nothing is left; the rows' tokens.
fn drain(house: &mut House, mut events: Vec<Receiver<Event>>) -> Vec<Vec<u32>> {
    let mut drawn = vec![Vec::new(); events.len()];
    while !house.is_idle() {
        house.step();
        for (drawn, events) in drawn.iter_mut().zip(&mut events) {
            drawn.extend(tokens(events));
        }
    }
    drawn
}

fn alone(priority: Priority, prompt: usize, max_tokens: usize) -> Vec<u32> {
    let mut house = house(64, LocalSettings::default());
    let events = house.submit(priority, prompt, max_tokens);
    drain(&mut house, vec![events]).remove(0)
}

use Priority::{Background, Foreground};

#[test]
fn a_background_row_is_computed_only_when_no_other_could_be() {
    let mut house = house(64, LocalSettings::default());
    let first = house.submit(Background, 20, 8);
    let second = house.submit(Foreground, 40, 6);
    let third = house.submit(Background, 20, 3);
    let mut steps = Vec::new();
    let mut events = [first, second, third];
    while !house.is_idle() {
        steps.push(house.next().iter().map(|(background, _)| *background).collect::<Vec<_>>());
        house.step();
    }
    assert_eq!(steps[..6], vec![vec![false]; 6], "the foreground job first");
    assert_eq!(steps[6..], vec![vec![true]; 11], "then the others, one at a time");
    assert_eq!(events.iter_mut().map(|e| tokens(e).len()).collect::<Vec<_>>(), [8, 6, 3]);
}

#[test]
fn the_step_after_a_foreground_job_arrives_is_its_own() {
    let mut house = house(64, LocalSettings::default());
    let _background = house.submit(Background, 20, 100);
    house.step();
    house.step();
    assert_eq!(house.next(), [(true, 1)]);
    let _foreground = house.submit(Foreground, 300, 1);
    assert_eq!(house.next(), [(false, house.worker.settings.step_tokens)]);
}

#[test]
fn a_background_step_is_no_longer_than_a_shared_one() {
    let mut house = house(64, LocalSettings { shared_step_tokens: 24, ..LocalSettings::default() });
    let _background = house.submit(Background, 300, 1);
    assert_eq!(house.next(), [(true, 24)]);
}

#[test]
fn beside_a_generating_row_a_prompt_s_steps_shorten_as_its_past_grows() {
    let mut house = house(64, LocalSettings { shared_step_tokens: 64, ..LocalSettings::default() });
    let _generating = house.submit(Foreground, 20, 200);
    house.step();
    let _prompt = house.submit(Foreground, 300, 1);
    let mut steps = Vec::new();
    while let [(_, 1), (_, tokens)] = house.next()[..] {
        steps.push(tokens);
        house.step();
    }
    assert_eq!(steps[0], 64);
    assert!(steps.is_sorted_by(|a, b| a >= b) && steps[steps.len() - 2] < 16, "{steps:?}");
    assert_eq!(steps.iter().sum::<usize>(), 300);
}

#[test]
fn a_background_row_takes_no_place_that_a_foreground_job_needs() {
    let mut house = house(64, LocalSettings { max_rows: 1, ..LocalSettings::default() });
    let _background = house.submit(Background, 20, 100);
    house.step();
    let _foreground = house.submit(Foreground, 20, 2);
    assert_eq!(house.next(), [(false, 20)]);
    assert_eq!(house.worker.running.len(), 2, "it keeps its place and its blocks meanwhile");
}

#[test]
fn a_background_row_gives_its_blocks_back_and_ends_with_the_same_tokens() {
    // Ten blocks: the background job fills seven, the foreground jobs need four each.
    let mut house = house(10, LocalSettings::default());
    let background = house.submit(Background, 100, 20);
    for _ in 0..6 {
        house.step();
    }
    let foreground = [house.submit(Foreground, 50, 14), house.submit(Foreground, 60, 4)];
    house.worker.admit();
    assert!(house.worker.running.iter().all(|row| !row.is_background()), "its blocks are needed");
    assert_eq!(house.worker.running.len(), 2);
    let [first, second] = foreground;
    let drawn = drain(&mut house, vec![background, first, second]);
    assert_eq!(drawn[0], alone(Background, 100, 20));
    assert_eq!(drawn[1], alone(Foreground, 50, 14));
    assert_eq!(drawn[2], alone(Foreground, 60, 4));
    assert_eq!(house.worker.preemptions, 0, "no foreground job lost anything");
}

#[test]
fn the_prefix_cache_knows_nothing_of_background_rows() {
    for (priority, known) in [(Background, 0), (Foreground, 6)] {
        let mut house = house(64, LocalSettings::default());
        let events = house.submit(priority, 100, 20);
        drain(&mut house, vec![events]);
        assert_eq!(house.worker.blocks.peek(&VectorKey::default(), &text(100)), known);
        assert_eq!(house.worker.blocks.available(), 64);
    }
}
