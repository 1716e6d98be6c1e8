//! All sinks: which stream uses which, when each is given to a writer, and what is done when one comes back.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::Duration,
};

use circus_common::config::stream::{Class, OnFull, StreamConfig};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    Answer, Channel,
    batch::{Batch, Origin},
    clock::Moment,
    outlet::{Lane, Outlet, Refusal, bound},
    pool::{PATIENCE, Pool, Return, Work},
    sink::{Key, Sink, build},
    timers::{Due, Number, Timers},
};
use crate::{
    arbiter::{effect::Level, id::WatcherId},
    os::memory,
};

/// After a refusal a sink is left alone for this long, twice as long after each further one that takes nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// But never longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Losses are told when they begin, and then their number this often.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// So many empty buffers are kept for the next batch; the others' memory is given back.
const SPARE: usize = 4;

/// All sinks.
#[derive(Debug)]
pub(super) struct Outlets {
    all: BTreeMap<Number, Outlet>,
    by_key: HashMap<Key, Number>,
    by_lane: BTreeMap<Lane, Number>,
    /// Those for which there may be something to do.
    touched: BTreeSet<Number>,
    /// Sources that may go on reading.
    resumed: Vec<Number>,
    spare: Vec<Batch>,
    pool: Pool,
    /// How much the writers had begun when they were last looked at, if they will be again.
    watched: Option<u64>,
    pub(super) timers: Timers,
    answers: UnboundedSender<Answer>,
    given_out: Number,
}

impl Outlets {
    pub(super) fn new(pool: Pool, answers: UnboundedSender<Answer>) -> Self {
        Self {
            all: BTreeMap::new(),
            by_key: HashMap::new(),
            by_lane: BTreeMap::new(),
            touched: BTreeSet::new(),
            resumed: Vec::new(),
            spare: Vec::new(),
            pool,
            watched: None,
            timers: Timers::default(),
            answers,
            given_out: 0,
        }
    }

    /// Leads a lane to the sink of its configuration, and away from the one it had.
    pub(super) fn configure(&mut self, lane: Lane, name: &str, config: Option<Box<StreamConfig>>) {
        let built = config.and_then(|config| {
            let (key, sink) = build(&config, name, lane.1)?;
            Some((key, sink, config))
        });
        let Some((key, sink, config)) = built else { return self.leave(lane) };
        // A file is there from the beginning; a class is told when its watcher starts.
        let at_first = !is_python(&config);
        let open = self.of(lane).and_then(|outlet| outlet.lanes.get(&lane)).copied().unwrap_or(at_first);
        let label = format!("{}_stream of {name}", lane.1.name());
        match self.by_key.get(&key).copied() {
            Some(number) => self.share(number, lane, &label, sink, config),
            None => {
                self.given_out += 1;
                let number = self.given_out;
                if key != Key::Alone {
                    self.by_key.insert(key.clone(), number);
                }
                self.all.insert(number, Outlet::new(number, label, key, sink, config));
                self.join(lane, number);
            }
        }
        if let Some(outlet) = self.of(lane) {
            outlet.lanes.insert(lane, open);
        }
    }

    /// A sink that is there already: with other options if nobody else uses it, else with those of the first.
    fn share(
        &mut self,
        number: Number,
        lane: Lane,
        label: &str,
        sink: Box<dyn Sink>,
        config: Box<StreamConfig>,
    ) {
        let Some(outlet) = self.all.get_mut(&number) else { return };
        let alone = outlet.lanes.keys().all(|other| *other == lane);
        if outlet.config.class != config.class && !alone {
            let (place, first) = (sink.place(), &outlet.label);
            let text = format!("{label} shares {place} with {first}, whose options hold for both");
            let _ended = self.answers.send(Answer::Note { level: Level::Warning, text });
        } else if outlet.config.class != config.class {
            outlet.next = Some(sink);
            outlet.refusal = None;
        }
        if alone {
            outlet.config = config;
            label.clone_into(&mut outlet.label);
        }
        self.join(lane, number);
    }

    fn join(&mut self, lane: Lane, number: Number) {
        if self.by_lane.get(&lane) != Some(&number) {
            self.leave(lane);
            self.by_lane.insert(lane, number);
        }
        self.touched.insert(number);
    }

    /// A lane has no sink any more.
    pub(super) fn leave(&mut self, lane: Lane) {
        let Some(number) = self.by_lane.remove(&lane) else { return };
        if let Some(outlet) = self.all.get_mut(&number) {
            outlet.lanes.remove(&lane);
            self.touched.insert(number);
        }
    }

    fn of(&mut self, lane: Lane) -> Option<&mut Outlet> {
        self.all.get_mut(self.by_lane.get(&lane)?)
    }

    /// Where a lane leads.
    pub(super) fn number(&self, lane: Lane) -> Option<Number> {
        self.by_lane.get(&lane).copied()
    }

    /// The watcher starts or has stopped.
    pub(super) fn set_open(&mut self, watcher: WatcherId, open: bool) {
        for channel in Channel::ALL {
            let lane = (watcher, channel);
            if let Some(outlet) = self.of(lane) {
                outlet.lanes.insert(lane, open);
                outlet.reopen |= open && is_python(&outlet.config);
                let number = outlet.number;
                self.touched.insert(number);
            }
        }
    }

    /// A helper is there.
    pub(super) fn adopt(&mut self, lane: Lane, helper: OwnedFd) {
        if let Some(outlet) = self.of(lane) {
            outlet.helper = Some(helper);
            outlet.refusal = None;
            let number = outlet.number;
            self.touched.insert(number);
        }
    }

    /// A pipe leads there from now on.
    pub(super) fn attach(&mut self, number: Number) {
        if let Some(outlet) = self.all.get_mut(&number) {
            outlet.sources += 1;
        }
    }

    /// And no longer.
    pub(super) fn detach(&mut self, number: Number, source: Number) {
        if let Some(outlet) = self.all.get_mut(&number) {
            outlet.sources = outlet.sources.saturating_sub(1);
            outlet.waiting.retain(|waiting| *waiting != source);
            self.touched.insert(number);
        }
    }

    /// Takes lines of a source.
    pub(super) fn accept(
        &mut self,
        number: Number,
        source: Number,
        origin: &Arc<Origin>,
        bytes: &[u8],
        now: Moment,
    ) {
        let bound = bound(self.all.len());
        let Some(outlet) = self.all.get_mut(&number) else { return };
        if outlet.pending.is_bare() {
            outlet.pending = self.spare.pop().unwrap_or_default();
        }
        let dropped = outlet.accept(source, origin, bytes, (now.wall, bound));
        self.touched.insert(number);
        if dropped && !outlet.gone && !std::mem::replace(&mut outlet.losing, true) {
            let text =
                format!("{} takes less than is written: lines are dropped (on_full = drop)", outlet.label);
            self.timers.set(now.mono + TOLD_EVERY, Due::Losses(number));
            self.note(Level::Warning, text);
        }
    }

    /// Whether a source should wait; if so it is named among the resumed when it need not any more.
    pub(super) fn must_wait(&mut self, number: Number, source: Number) -> bool {
        let bound = bound(self.all.len());
        let Some(outlet) = self.all.get_mut(&number) else { return false };
        let wait = outlet.must_wait(bound);
        if wait {
            outlet.waiting.push(source);
        }
        wait
    }

    /// A source that waited may read again, because it was led elsewhere.
    pub(super) fn resume(&mut self, source: Number) {
        self.resumed.push(source);
    }

    /// Sources that waited and may read again.
    pub(super) fn resumed(&mut self) -> Vec<Number> {
        std::mem::take(&mut self.resumed)
    }

    /// Gives every sink that has something to do to a writer.
    pub(super) fn dispatch(&mut self, now: Moment) {
        for number in std::mem::take(&mut self.touched) {
            let errand = self.all.get_mut(&number).and_then(|outlet| outlet.errand(now.mono));
            if let Some(errand) = errand {
                self.pool.send(errand);
            }
        }
        self.watch_writers(now);
    }

    fn watch_writers(&mut self, now: Moment) {
        if self.watched.is_none()
            && let Some(begun) = self.pool.held_up_at()
        {
            self.watched = Some(begun);
            self.timers.set(now.mono + PATIENCE, Due::Writers);
        }
    }

    /// If no writer has begun anything since they were last looked at, one more is needed.
    pub(super) fn look_at_writers(&mut self, now: Moment) {
        let then = self.watched.take();
        if then.is_some()
            && self.pool.held_up_at() == then
            && let Err(error) = self.pool.grow()
        {
            self.note(Level::Warning, format!("cannot start another writer of output: {error}"));
        }
        self.watch_writers(now);
    }

    /// A sink may be asked again.
    pub(super) fn retry(&mut self, number: Number) {
        self.touched.insert(number);
    }

    /// Takes a sink back from a writer.
    pub(super) fn returned(&mut self, back: Return, now: Moment) {
        let Return { outlet: number, sink, work, batch, result, remarks } = back;
        for text in remarks.warnings {
            self.note(Level::Warning, text);
        }
        for compression in remarks.compressions {
            self.pool.compress(compression);
        }
        let bound = bound(self.all.len());
        let Some(outlet) = self.all.get_mut(&number) else { return };
        if batch.is_empty() {
            let flood_is_over = outlet.pending.is_empty() && batch.is_large();
            if flood_is_over {
                memory::tidy_later();
            } else if self.spare.len() < SPARE {
                self.spare.push(batch);
            }
        } else {
            outlet.left = batch;
        }
        let Some(sink) = sink.or_else(|| used_again(outlet)) else { return self.finished(number) };
        let told = match result {
            Ok(()) => {
                outlet.is_open = matches!(work, Work::Open | Work::Write);
                let over = outlet.refusal.take().filter(|_| work == Work::Write || work == Work::Open);
                over.map(|_| (Level::Info, format!("{} goes on", outlet.label)))
            }
            Err(error) if sink.wants_helper() => want_helper(outlet, &error, &self.answers),
            Err(error) => refused(outlet, sink.as_ref(), &error, now, &mut self.timers),
        };
        outlet.sink = Some(sink);
        if !outlet.must_wait(bound) {
            self.resumed.extend(std::mem::take(&mut outlet.waiting));
        }
        self.touched.insert(number);
        if let Some((level, text)) = told {
            self.note(level, text);
        }
    }

    fn finished(&mut self, number: Number) {
        let Some(outlet) = self.all.remove(&number) else { return };
        if self.by_key.get(&outlet.key) == Some(&number) {
            self.by_key.remove(&outlet.key);
        }
        self.tell_losses_of(outlet.dropped, &outlet.label);
    }

    /// Says how many lines were dropped since it was last said.
    pub(super) fn tell_losses(&mut self, number: Number, now: Moment) {
        let Some(outlet) = self.all.get_mut(&number) else { return };
        let dropped = std::mem::take(&mut outlet.dropped);
        outlet.losing = dropped > 0;
        let label = outlet.label.clone();
        if dropped > 0 {
            self.timers.set(now.mono + TOLD_EVERY, Due::Losses(number));
            self.tell_losses_of(dropped, &label);
        }
    }

    fn tell_losses_of(&self, dropped: u64, label: &str) {
        if dropped > 0 {
            self.note(Level::Warning, format!("{dropped} lines of {label} were dropped"));
        }
    }

    /// Leads every lane away, so that all sinks end when they are drained.
    pub(super) fn end(&mut self) {
        let lanes: Vec<_> = self.by_lane.keys().copied().collect();
        for lane in lanes {
            self.leave(lane);
        }
        self.touched.extend(self.all.keys());
    }

    /// Whether no sink is left.
    pub(super) fn is_over(&self) -> bool {
        self.all.is_empty()
    }

    /// Owns up to what is not written when the time is over.
    pub(super) fn own_up(&mut self) {
        for outlet in self.all.values_mut() {
            outlet.give_up();
        }
        for outlet in self.all.values() {
            let (lines, label) = (outlet.dropped, &outlet.label);
            let text =
                format!("{label} did not take its last output in time: {lines} lines or more are lost");
            self.note(Level::Error, text);
        }
    }

    fn note(&self, level: Level, text: String) {
        // Only a daemon that is gone does not listen.
        let _gone = self.answers.send(Answer::Note { level, text });
    }
}

/// Whether the sink is a class of the user's.
fn is_python(config: &StreamConfig) -> bool {
    matches!(config.class, Class::Python(_))
}

/// A sink that was finished, while somebody came to use it again.
fn used_again(outlet: &mut Outlet) -> Option<Box<dyn Sink>> {
    if outlet.lanes.is_empty() && outlet.sources == 0 && outlet.is_drained() {
        return None;
    }
    outlet.is_open = false;
    let again = || Some(build(&outlet.config, "", Channel::Stdout)?.1);
    outlet.next.take().or_else(again)
}

/// What the log is told.
type Told = Option<(Level, String)>;

fn want_helper(outlet: &mut Outlet, error: &io::Error, answers: &UnboundedSender<Answer>) -> Told {
    if outlet.helper.is_some() || outlet.refusal.as_ref().is_some_and(|refusal| refusal.retry_at.is_none()) {
        return None;
    }
    let gone = outlet.is_open;
    outlet.refusal = Some(Refusal { retry_at: None, pause: FIRST_PAUSE });
    for (watcher, channel) in outlet.lanes.keys().copied() {
        // Only a daemon that is gone does not listen.
        let _gone = answers.send(Answer::BridgeWanted { watcher, channel });
    }
    gone.then(|| (Level::Warning, format!("the helper of {} is gone ({error})", outlet.label)))
}

fn refused(
    outlet: &mut Outlet,
    sink: &dyn Sink,
    error: &io::Error,
    now: Moment,
    timers: &mut Timers,
) -> Told {
    let first = outlet.refusal.is_none();
    let (label, place) = (&outlet.label, sink.place());
    if sink.is_gone(error) {
        let text = format!("{label} has nowhere to go and is dropped: cannot write to {place}: {error}");
        (outlet.gone, outlet.refusal) = (true, None);
        outlet.give_up();
        return Some((Level::Warning, text));
    }
    // One that has taken something takes more soon: a pipe's reader is slower than we, and not gone.
    let stuck = outlet.refusal.as_ref().filter(|_| outlet.left.len() >= outlet.given);
    let pause = stuck.map_or(FIRST_PAUSE, |refusal| refusal.pause * 2).min(LONGEST_PAUSE);
    let retry_at = now.mono + pause;
    outlet.refusal = Some(Refusal { retry_at: Some(retry_at), pause });
    timers.set(retry_at, Due::Retry(outlet.number));
    let so = match outlet.config.on_full {
        OnFull::Block => "its output waits until that works again",
        OnFull::Drop => "what cannot wait in memory is dropped until that works again",
    };
    first.then(|| (Level::Warning, format!("cannot write {label} to {place}: {error}; {so}")))
}
