//! Where a decision leaves what it wants done, and reads what time it is.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use circus_common::protocol::{Event, Happening, Reply};
use indexmap::IndexSet;
use serde_json::{Map, Value};

use super::{
    effect::{Effect, Level, Note},
    helper::Surroundings,
    hook::Wish,
    id::{HookId, ProcessId, RequestId, WatcherId},
    operation::{Completion, Outcome, Waiter},
    time::Now,
};

/// What `extended_stats` has said about one process.
#[derive(Debug)]
pub(super) struct Added {
    /// Who wants to know.
    pub request: RequestId,
    /// The process.
    pub pid: i32,
    /// What it adds to the figures.
    pub figures: Result<Map<String, Value>, String>,
}

/// Collects the effects of one input, in order, and lends the arbiter's counters to its watchers.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The clocks of the input in hand.
    pub now: Now,
    /// What is to be done.
    pub effects: Vec<Effect>,
    /// Processes that wait for a place among the spawns in flight, oldest first.
    pub spawns: VecDeque<ProcessId>,
    /// Processes to survey; they leave as one effect when the input has been handled.
    pub surveys: IndexSet<ProcessId>,
    /// Parts of requests and campaigns that have ended.
    pub completions: VecDeque<Completion>,
    /// What the processes of the watcher in hand want of its hooks.
    pub wishes: Vec<Wish>,
    /// Figures that `extended_stats` was asked about.
    pub figures: VecDeque<Added>,
    /// The longest pause between two tries.
    pub backoff_cap: Duration,
    /// What helpers are started with.
    pub surroundings: Surroundings,
    /// The managed sockets as hooks see them, by name.
    pub sockets: Arc<Map<String, Value>>,
    generation: u64,
    hooks: u64,
    rng: fastrand::Rng,
}

impl Outbox {
    /// An empty one.
    pub fn new(now: Now, seed: u64, backoff_cap: Duration, surroundings: Surroundings) -> Self {
        Self {
            now,
            effects: Vec::new(),
            spawns: VecDeque::new(),
            surveys: IndexSet::new(),
            completions: VecDeque::new(),
            wishes: Vec::new(),
            figures: VecDeque::new(),
            backoff_cap,
            surroundings,
            sockets: Arc::default(),
            generation: 0,
            hooks: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// Adds an effect.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Tells the subscribers, with the time of this input.
    pub fn publish(&mut self, watcher: &str, happening: Happening) {
        self.publish_at(watcher, happening, self.now.wall);
    }

    /// Tells the subscribers, with a time of its own.
    pub fn publish_at(&mut self, watcher: &str, happening: Happening, time: f64) {
        self.effects.push(Effect::Publish(Event { watcher: watcher.to_owned(), happening, time }));
    }

    /// Writes a log line.
    pub fn note(&mut self, level: Level, text: impl Into<String>) {
        self.effects.push(Effect::Note(Note { level, text: text.into() }));
    }

    /// Answers a client; a cast has none.
    pub fn reply(&mut self, client: Option<RequestId>, reply: Reply) {
        if let Some(request) = client {
            self.effects.push(Effect::Reply { request, reply });
        }
    }

    /// Says that one part of what somebody waits for has ended.
    pub fn complete(&mut self, waiter: Waiter, watcher: WatcherId, name: &str, outcome: Outcome) {
        self.completions.push_back(Completion { waiter, watcher, name: name.to_owned(), outcome });
    }

    /// The next number of a spawn.
    pub fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// The next number of a question to a hook.
    pub fn next_hook(&mut self, watcher: WatcherId) -> HookId {
        self.hooks += 1;
        HookId { number: self.hooks, watcher }
    }

    /// A number in `0..=width`.
    pub fn draw(&mut self, width: u64) -> u64 {
        self.rng.u64(0..=width)
    }
}
