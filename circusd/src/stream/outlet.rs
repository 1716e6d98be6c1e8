//! One sink as the plane sees it: what waits for it, who uses it, and what becomes of output it does not take.
//!
//! Invariant: no more than the [`bound`] and one read wait here. Beyond that those who read for it wait, or, if that was
//! asked for, whole lines are dropped and counted.

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use circus_common::config::stream::{OnFull, StreamConfig};

use super::{
    Channel,
    batch::{Batch, Origin, count_lines},
    pool::{Errand, Work},
    sink::{Key, Sink, is_raw},
    timers::Number,
};
use crate::arbiter::id::WatcherId;

/// So many bytes may wait for one sink, in any case and at most.
const BOUNDS: (usize, usize) = (256 * 1024, 1024 * 1024);
/// And for all together, while that leaves each its least.
const TOGETHER: usize = 64 * 1024 * 1024;
/// So many stretches likewise: each costs more than a short line.
const MOST_STRETCHES: usize = 4096;

/// How many bytes wait for a sink before its sources do, where there are so many sinks. With much of it the plane, the
/// writer and the process that floods seldom wait for each other.
pub(super) fn bound(sinks: usize) -> usize {
    (TOGETHER / sinks.max(1)).clamp(BOUNDS.0, BOUNDS.1)
}

/// No source has this number.
const NOBODY: Number = 0;

/// One output of one watcher.
pub(super) type Lane = (WatcherId, Channel);

/// A sink that took no more.
#[derive(Debug)]
pub(super) struct Refusal {
    /// When it is asked again; never, if it waits for a helper.
    pub(super) retry_at: Option<Instant>,
    /// How long it was left alone before that.
    pub(super) pause: Duration,
}

/// One sink and its surroundings.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) number: Number,
    /// `stdout_stream of web`, by who was first.
    pub(super) label: String,
    pub(super) key: Key,
    pub(super) config: Box<StreamConfig>,
    /// Absent while a writer has it.
    pub(super) sink: Option<Box<dyn Sink>>,
    /// What takes its place when it is back.
    pub(super) next: Option<Box<dyn Sink>>,
    /// A helper that waits for it to be back.
    pub(super) helper: Option<OwnedFd>,
    /// What it was given and did not take.
    pub(super) left: Batch,
    /// What came since.
    pub(super) pending: Batch,
    /// How many bytes were given to the writer that has the sink, or had it last.
    pub(super) given: usize,
    /// Who uses it, and whether the watcher runs.
    pub(super) lanes: BTreeMap<Lane, bool>,
    /// How many pipes lead here.
    pub(super) sources: usize,
    /// Those that wait for room, in the order in which their turn comes.
    pub(super) waiting: Vec<Number>,
    pub(super) refusal: Option<Refusal>,
    /// Whether the place is gone for good.
    pub(super) gone: bool,
    /// Whether the sink is open, or was when it was last here.
    pub(super) is_open: bool,
    /// Whether it is to be told once more that it is open.
    pub(super) reopen: bool,
    /// Lines that were dropped and not yet told of.
    pub(super) dropped: u64,
    /// Whether it was told that lines are dropped, and how many will be.
    pub(super) losing: bool,
    /// Whose bytes came last, and whether they ended a line.
    last: Option<(Number, bool)>,
}

impl Outlet {
    pub(super) fn new(
        number: Number,
        label: String,
        key: Key,
        sink: Box<dyn Sink>,
        config: Box<StreamConfig>,
    ) -> Self {
        Self {
            number,
            label,
            key,
            config,
            sink: Some(sink),
            next: None,
            helper: None,
            left: Batch::default(),
            pending: Batch::default(),
            given: 0,
            lanes: BTreeMap::new(),
            sources: 0,
            waiting: Vec::new(),
            refusal: None,
            gone: false,
            is_open: false,
            reopen: false,
            dropped: 0,
            losing: false,
            last: None,
        }
    }

    /// Takes lines of one source. Says whether some were dropped, because there are `bound` bytes already.
    pub(super) fn accept(
        &mut self,
        source: Number,
        origin: &Arc<Origin>,
        bytes: &[u8],
        (at, bound): (Duration, usize),
    ) -> bool {
        let Some(last) = bytes.last() else { return false };
        if self.gone || self.config.on_full == OnFull::Drop && self.is_full(bound) {
            self.dropped += count_lines(bytes);
            if let Some((from, false)) = &mut self.last {
                // The end of that line may be among what was dropped: nothing may be added to it.
                *from = NOBODY;
            }
            return true;
        }
        let begins_within = self.last.is_some_and(|(from, ended)| !ended && from != source);
        if begins_within && is_raw(&self.config) {
            self.pending.end_line(origin, at);
        }
        self.last = Some((source, *last == b'\n'));
        self.pending.push(bytes, origin, at);
        false
    }

    /// Whether those who read for it should wait.
    pub(super) fn must_wait(&self, bound: usize) -> bool {
        !self.gone && self.config.on_full == OnFull::Block && self.is_full(bound)
    }

    fn is_full(&self, bound: usize) -> bool {
        self.left.len() + self.pending.len() >= bound || self.pending.stretches() >= MOST_STRETCHES
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_drained(&self) -> bool {
        self.left.is_empty() && self.pending.is_empty() && self.kept() == 0
    }

    /// How many lines wait in the sink itself. In one whose place is gone they wait for nothing.
    fn kept(&self) -> u64 {
        self.sink.as_ref().filter(|_| !self.gone).map_or(0, |sink| sink.kept())
    }

    /// Whether nothing can be written before a helper is there.
    pub(super) fn waits_for_helper(&self) -> bool {
        self.helper.is_none() && self.refusal.as_ref().is_some_and(|refusal| refusal.retry_at.is_none())
    }

    /// Counts everything that waits as dropped.
    pub(super) fn give_up(&mut self) {
        self.dropped += count_lines(self.left.rest()) + count_lines(self.pending.rest());
        if self.helper.is_none() {
            self.dropped += self.kept();
        }
        self.left.clear();
        self.pending.clear();
    }

    /// Whether a writer is to be given the sink now, and for what.
    pub(super) fn errand(&mut self, now: Instant) -> Option<Errand> {
        let work = self.work(now)?;
        if work == Work::Finish {
            self.give_up();
        }
        let mut sink = self.sink.take()?;
        self.reopen &= work != Work::Open;
        let replaces = self.next.take_if(|_| sink.kept() == 0).map(|next| std::mem::replace(&mut sink, next));
        if self.left.is_empty() && work == Work::Write {
            self.left = std::mem::take(&mut self.pending);
        }
        let batch = if work == Work::Write { std::mem::take(&mut self.left) } else { Batch::default() };
        self.given = batch.len();
        Some(Errand { outlet: self.number, sink, work, batch, replaces, helper: self.helper.take() })
    }

    fn work(&self, now: Instant) -> Option<Work> {
        self.sink.as_ref()?;
        let abandoned = self.lanes.is_empty() && self.sources == 0;
        if abandoned && self.waits_for_helper() {
            return Some(Work::Finish);
        }
        let refused = self.refusal.as_ref();
        if refused.is_some_and(|refusal| refusal.retry_at.is_none_or(|at| at > now)) {
            return None;
        }
        let wanted = self.lanes.values().any(|open| *open);
        if !self.is_drained() {
            Some(Work::Write)
        } else if abandoned {
            Some(Work::Finish)
        } else if wanted && (!self.is_open || self.reopen || self.next.is_some() || self.helper.is_some()) {
            Some(Work::Open)
        } else if !wanted && self.is_open && self.sources == 0 {
            Some(Work::Close)
        } else {
            None
        }
    }
}
