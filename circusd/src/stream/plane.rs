//! The plane's thread: reads every pipe, and passes on what it read.
//!
//! It sleeps until a pipe, an order, a writer or a deadline wakes it. It writes nothing itself and takes no lock that
//! anybody holds while he waits, so one slow sink is never felt by another stream.

mod obey;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    os::fd::OwnedFd,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use circus_common::protocol::Reply;
use rustix::{
    event::{Timespec, epoll},
    io::Errno,
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Answer,
    clock::Moment,
    memory::{Memory, Settled},
    order::Order,
    outlets::Outlets,
    piece::Held,
    pool::{Pool, Report},
    source::{Budget, PATIENCE, Source},
    timers::{Due, Number},
    waker::Waker,
};
use crate::arbiter::{
    effect::Level,
    id::{ProcessId, RequestId, WatcherId},
};

/// As much is read at once: more would pass through memory, less through the processor's caches.
const READ: usize = 128 * 1024;
/// So many things are looked at for each time of sleep.
const EVENTS: usize = 64;
/// What the waker is called among the pipes, which are numbered from 1.
const WAKER: Number = 0;
/// So long sinks have to take what is left when the end comes.
const END_GRACE: Duration = Duration::from_secs(5);

/// The thread's state.
pub(super) struct Plane {
    epoll: OwnedFd,
    waker: Waker,
    orders: Receiver<Order>,
    reports: Receiver<Report>,
    answers: UnboundedSender<Answer>,
    sources: BTreeMap<Number, Source>,
    by_process: BTreeMap<ProcessId, Vec<Number>>,
    names: BTreeMap<WatcherId, String>,
    outlets: Outlets,
    memory: Memory,
    buffer: Vec<u8>,
    budget: Budget,
    attached: Number,
    stage: Stage,
}

/// Where in its life the plane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Working,
    /// Pipes and sinks are drained for the last time.
    Ending,
    /// The time for that is over.
    Over,
}

impl Plane {
    pub(super) fn new(
        waker: Waker,
        orders: Receiver<Order>,
        answers: UnboundedSender<Answer>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &waker, epoll::EventData::new_u64(WAKER), epoll::EventFlags::IN)?;
        let (reporting, reports): (Sender<Report>, _) = channel();
        let pool = Pool::start(reporting, waker.clone())?;
        Ok(Self {
            epoll,
            waker,
            orders,
            reports,
            sources: BTreeMap::new(),
            by_process: BTreeMap::new(),
            names: BTreeMap::new(),
            outlets: Outlets::new(pool, answers.clone()),
            answers,
            memory: Memory::new(Moment::now().wall),
            buffer: vec![0; READ],
            budget: Budget::default(),
            attached: WAKER,
            stage: Stage::Working,
        })
    }

    /// Works until the end.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS);
        while !self.is_over() {
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                // Nothing is said to cause it; without its one source of news the thread can do no more.
                Err(error) => {
                    let text = format!("cannot wait for output: {error}; no more output is taken");
                    return self.note(Level::Error, text);
                }
            }
            let now = Moment::now();
            for number in events.iter().map(|event| event.data.u64()) {
                if number == WAKER {
                    self.hear(now);
                } else {
                    self.read_or_wait(number, now);
                }
            }
            self.look_at_deadlines(now);
            self.pass_on(now);
        }
        if self.stage == Stage::Over {
            self.outlets.own_up();
        }
    }

    fn is_over(&self) -> bool {
        match self.stage {
            Stage::Working => false,
            Stage::Ending => self.sources.is_empty() && self.outlets.is_over(),
            Stage::Over => true,
        }
    }

    /// How long to sleep; until something comes if there is no deadline.
    fn timeout(&self) -> Option<Timespec> {
        let next = self.outlets.timers.next()?;
        let left = next.saturating_duration_since(Moment::now().mono);
        Timespec::try_from(left).ok()
    }

    /// What writers report and others order.
    fn hear(&mut self, now: Moment) {
        // Cleared first: what comes while we look wakes us again.
        self.waker.clear();
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Done(back) => self.outlets.returned(*back, now),
                Report::Warning(text) => self.note(Level::Warning, text),
            }
        }
        while let Ok(order) = self.orders.try_recv() {
            self.obey(order, now);
        }
    }

    /// Reads a pipe that has something, unless there is no room for it.
    fn read_or_wait(&mut self, number: Number, now: Moment) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        if let Some(outlet) = source.outlet
            && self.outlets.must_wait(outlet, number)
        {
            source.waits = true;
            // It is known to be there, so it cannot fail.
            let _known = epoll::delete(&self.epoll, &source.pipe);
            return;
        }
        self.read(number, now);
    }

    /// Reads a pipe once: others want their turn.
    fn read(&mut self, number: Number, now: Moment) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        let Some(bytes) = source.read(&mut self.buffer) else { return self.let_go(number, now) };
        let begun_before = !source.held.is_empty();
        let Source { held, .. } = source;
        let mut taken = std::mem::take(held);
        let mut passed = false;
        let (outlets, memory) = (&mut self.outlets, &mut self.memory);
        taken.take(bytes, |lines| {
            passed = true;
            deliver(source, outlets, memory, lines, now);
        });
        source.held = taken;
        if source.held.is_empty() {
            source.begun = None;
        } else if passed || !begun_before {
            source.begun = Some(now.mono);
        }
        if source.begun.is_some() && !std::mem::replace(&mut source.timed, true) {
            self.outlets.timers.set(now.mono + PATIENCE, Due::Piece(number));
        }
        source.enlarge(&mut self.budget);
        if source.is_done() {
            self.let_go(number, now);
        }
    }

    /// Passes on what is held of a pipe, and closes it.
    fn let_go(&mut self, number: Number, now: Moment) {
        let Some(mut source) = self.sources.remove(&number) else { return };
        if !source.waits {
            // It is known to be there, so it cannot fail.
            let _known = epoll::delete(&self.epoll, &source.pipe);
        }
        let mut held = std::mem::take(&mut source.held);
        held.end(|piece| deliver(&source, &mut self.outlets, &mut self.memory, piece, now));
        source.release(&mut self.budget);
        if let Some(outlet) = source.outlet {
            self.outlets.detach(outlet, number);
        }
        if let Some(numbers) = self.by_process.get_mut(&source.process) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_process.remove(&source.process);
            }
        }
    }

    fn look_at_deadlines(&mut self, now: Moment) {
        while let Some(due) = self.outlets.timers.pop(now.mono) {
            match due {
                Due::Piece(number) => self.look_at_piece(number, now),
                Due::Retry(number) => self.outlets.retry(number),
                Due::Losses(number) => self.outlets.tell_losses(number, now),
                Due::Writers => self.outlets.look_at_writers(now),
                Due::Question(request) => {
                    if let Some(settled) = self.memory.give_up(request) {
                        self.settle(settled);
                    }
                }
                Due::End => self.stage = Stage::Over,
            }
        }
    }

    /// Passes an unfinished line on if it has waited long enough.
    fn look_at_piece(&mut self, number: Number, now: Moment) {
        let Some(source) = self.sources.get_mut(&number) else { return };
        source.timed = false;
        let Some(begun) = source.begun else { return };
        // As long as there is more in the pipe, the rest of the line may be.
        let since = if source.is_filled() { now.mono } else { begun };
        let due: Instant = since + PATIENCE;
        if due > now.mono {
            source.timed = true;
            return self.outlets.timers.set(due, Due::Piece(number));
        }
        source.begun = None;
        let mut held: Held = std::mem::take(&mut source.held);
        held.end(|piece| deliver(source, &mut self.outlets, &mut self.memory, piece, now));
    }

    /// Gives writers what has come, and askers what they wait for.
    fn pass_on(&mut self, now: Moment) {
        for number in self.outlets.resumed() {
            self.resume(number, now);
        }
        self.outlets.dispatch(now);
        for settled in self.memory.news() {
            self.settle(settled);
        }
    }

    /// Reads a pipe that has waited, before others that did not come and take the room again.
    fn resume(&mut self, number: Number, now: Moment) {
        let Some(source) = self.sources.get_mut(&number).filter(|source| source.waits) else { return };
        if source.outlet.is_some_and(|outlet| self.outlets.must_wait(outlet, number)) {
            return;
        }
        source.waits = false;
        if let Err(error) = watch(&self.epoll, source) {
            self.note(Level::Error, format!("cannot go on reading output: {error}"));
            return self.let_go(number, now);
        }
        self.read(number, now);
    }

    /// Answers a question that has waited.
    fn settle(&mut self, settled: Settled) {
        let Settled { request, reply, until } = settled;
        self.outlets.timers.unset(until, Due::Question(request));
        self.answer(request, reply);
    }

    fn answer(&self, request: RequestId, reply: Reply) {
        // Only a daemon that is gone does not listen.
        let _gone = self.answers.send(Answer::Logs { request, reply });
    }

    fn note(&self, level: Level, text: String) {
        // Only a daemon that is gone does not listen.
        let _gone = self.answers.send(Answer::Note { level, text });
    }
}

/// Has a pipe looked at.
fn watch(epoll: &OwnedFd, source: &Source) -> io::Result<()> {
    let name = epoll::EventData::new_u64(source.number);
    Ok(epoll::add(epoll, &source.pipe, name, epoll::EventFlags::IN)?)
}

/// Passes lines of a source to the ring and to its sink.
fn deliver(source: &Source, outlets: &mut Outlets, memory: &mut Memory, lines: &[u8], now: Moment) {
    memory.keep(source.lane, lines, &source.origin, now);
    if let Some(outlet) = source.outlet {
        outlets.accept(outlet, source.number, &source.origin, lines, now);
    }
}
