//! A watcher and its processes, as far as they are known.

use std::collections::{BTreeMap, VecDeque};

use super::{
    At,
    history::History,
    sample::Figures,
    why::{About, Why},
};

/// So many exits unasked for ...
pub const FLAPS: usize = 5;
/// ... within so many seconds are flapping.
pub const FLAP_WINDOW: At = At::from_secs(60);

/// What `status` says of a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Running.
    Active,
    /// On its way there.
    Starting,
    /// On its way down.
    Stopping,
    /// Down.
    Stopped,
}

/// What an operator is told of a watcher: its phase, or what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Processes keep ending.
    Flapping,
    /// Slots wait for their next try.
    Backoff,
    /// As `status` says.
    Phase(Phase),
}

/// One process.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its figures; `wid` may come from the control endpoint.
    pub figures: Figures,
    /// When it was last heard of, in whatever way.
    pub seen: At,
    /// When the statistics channel last told of it.
    pub streamed: Option<At>,
    /// Whether a stop signal was sent to it.
    pub ending: bool,
    /// Its CPU in the last minutes.
    pub cpu: History,
    /// Its resident memory in the last minutes.
    pub rss: History,
}

/// One watcher.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watcher {
    /// As it is shown.
    pub name: String,
    /// As it must be called in a request; only the control endpoint knows it.
    pub real: Option<String>,
    /// Its processes by pid.
    pub processes: BTreeMap<u32, Process>,
    /// What `status` says.
    pub phase: Option<Phase>,
    /// What it runs.
    pub about: Option<About>,
    /// How its processes ended.
    pub why: Option<Why>,
    /// When `why` was told.
    pub why_at: At,
    /// Exits unasked for that were seen in the event channel.
    pub ends_seen: u64,
    /// The last of them.
    ends: VecDeque<At>,
    /// When it was last heard of.
    pub seen: At,
    /// The CPU of all its processes in the last minutes.
    pub cpu: History,
    /// Their memory in the last minutes.
    pub rss: History,
}

/// The figures of several processes together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// How many.
    pub processes: usize,
    /// Percent of one processor; absent if that of each is.
    pub cpu: Option<f64>,
    /// Percent of the machine's memory.
    pub mem: Option<f64>,
    /// Resident bytes.
    pub rss: Option<u64>,
    /// The age of the oldest.
    pub age: Option<f64>,
}

impl Phase {
    /// Reads the wire's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Active, Self::Starting, Self::Stopping, Self::Stopped].into_iter().find(|it| it.word() == word)
    }

    /// The wire's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Starting => "starting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

impl Condition {
    /// The word that is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Flapping => "flapping",
            Self::Backoff => "backoff",
            Self::Phase(phase) => phase.word(),
        }
    }
}

impl Process {
    /// A process that is heard of for the first time.
    #[must_use]
    pub fn new(pid: u32, now: At) -> Self {
        Self {
            pid,
            figures: Figures::default(),
            seen: now,
            streamed: None,
            ending: false,
            cpu: History::default(),
            rss: History::default(),
        }
    }

    /// What the statistics channel says. It does not know slots, unless it is ours.
    pub fn stream(&mut self, figures: Figures, now: At) {
        let wid = figures.wid.or(self.figures.wid);
        self.figures = Figures { wid, ..figures };
        (self.seen, self.streamed) = (now, Some(now));
    }

    /// What the control endpoint says: its slot; and all figures, where no statistics channel tells them.
    pub fn tell(&mut self, figures: Figures, now: At, timeout: At) {
        self.seen = now;
        if self.streamed.is_some_and(|at| now.saturating_sub(at) < timeout) {
            self.figures.wid = figures.wid.or(self.figures.wid);
        } else {
            self.figures = figures;
        }
    }
}

impl Watcher {
    /// A watcher that is heard of for the first time.
    #[must_use]
    pub fn named(name: String, now: At) -> Self {
        Self { name, seen: now, ..Self::default() }
    }

    /// The process, new if need be.
    pub fn process(&mut self, pid: u32, now: At) -> &mut Process {
        self.processes.entry(pid).or_insert_with(|| Process::new(pid, now))
    }

    /// All processes together.
    #[must_use]
    pub fn sum(&self) -> Sum {
        Sum::of(self.processes.values())
    }

    /// How often processes were replaced unasked: since the watcher began, or at least since we look.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.why.as_ref().and_then(|why| why.restarts).unwrap_or(self.ends_seen)
    }

    /// What to tell an operator.
    #[must_use]
    pub fn condition(&self, now: At) -> Option<Condition> {
        let is_up = !matches!(self.phase, Some(Phase::Stopped | Phase::Stopping));
        if is_up && self.is_flapping(now) {
            Some(Condition::Flapping)
        } else if is_up && self.why.as_ref().is_some_and(|why| !why.backoff.is_empty()) {
            Some(Condition::Backoff)
        } else {
            self.phase.map(Condition::Phase)
        }
    }

    /// A process ended unasked. Whether that makes it flapping just now.
    pub fn ended(&mut self, now: At) -> bool {
        let before = self.is_flapping(now);
        self.ends_seen += 1;
        self.ends.push_back(now);
        if self.ends.len() > FLAPS {
            self.ends.pop_front();
        }
        !before && self.is_flapping(now)
    }

    /// Whether its processes keep ending.
    #[must_use]
    pub fn is_flapping(&self, now: At) -> bool {
        self.ends.len() == FLAPS
            && self.ends.front().is_some_and(|first| now.saturating_sub(*first) < FLAP_WINDOW)
    }

    /// One more second of history.
    pub fn tick(&mut self) {
        let sum = self.sum();
        self.cpu.push(sum.cpu);
        self.rss.push(sum.rss.map(as_number));
        for process in self.processes.values_mut() {
            process.cpu.push(process.figures.cpu);
            process.rss.push(process.figures.rss.map(as_number));
        }
    }
}

impl Sum {
    /// The sum of some processes.
    pub fn of<'a>(processes: impl Iterator<Item = &'a Process>) -> Self {
        let mut all = Self::default();
        for Process { figures, .. } in processes {
            all.processes += 1;
            all.cpu = added(all.cpu, figures.cpu, |one, other| one + other);
            all.mem = added(all.mem, figures.mem, |one, other| one + other);
            all.rss = added(all.rss, figures.rss, u64::saturating_add);
            all.age = added(all.age, figures.age, f64::max);
        }
        all
    }
}

/// Both together, or the one that is known.
fn added<T>(one: Option<T>, other: Option<T>, add: impl Fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(add(one, other)),
        (one, other) => one.or(other),
    }
}

/// Bytes, for a picture of them.
#[expect(clippy::cast_precision_loss, reason = "shown in eight steps")]
const fn as_number(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> At {
        At::from_secs(seconds)
    }

    #[test]
    fn unknown_figures_do_not_spoil_a_sum() {
        let mut watcher = Watcher::named("web".to_owned(), at(0));
        assert_eq!(watcher.sum(), Sum::default());
        for (pid, cpu) in [(1, Some(2.5)), (2, None), (3, Some(1.0))] {
            watcher.process(pid, at(0)).figures = Figures { cpu, age: cpu, ..Figures::default() };
        }
        let sum = watcher.sum();
        assert_eq!((sum.processes, sum.cpu, sum.age, sum.mem), (3, Some(3.5), Some(2.5), None));
    }

    #[test]
    fn the_control_endpoint_adds_the_slot_and_stands_in_for_a_silent_channel() {
        let mut process = Process::new(7, at(0));
        process.stream(Figures { cpu: Some(5.0), ..Figures::default() }, at(1));
        let told = Figures { cpu: Some(0.0), wid: Some(3), ..Figures::default() };
        process.tell(told.clone(), at(2), at(3));
        assert_eq!((process.figures.cpu, process.figures.wid), (Some(5.0), Some(3)));
        process.stream(Figures { cpu: Some(6.0), ..Figures::default() }, at(3));
        assert_eq!((process.figures.cpu, process.figures.wid), (Some(6.0), Some(3)));
        process.tell(told, at(9), at(3));
        assert_eq!(process.figures.cpu, Some(0.0));
    }

    #[test]
    fn five_exits_in_a_minute_are_flapping_once() {
        let mut watcher = Watcher::named("web".to_owned(), at(0));
        watcher.phase = Some(Phase::Active);
        let told: Vec<bool> = (0..7).map(|second| watcher.ended(at(second))).collect();
        assert_eq!(told, [false, false, false, false, true, false, false]);
        assert_eq!(watcher.condition(at(10)), Some(Condition::Flapping));
        assert_eq!(watcher.condition(at(100)), Some(Condition::Phase(Phase::Active)));
        watcher.phase = Some(Phase::Stopped);
        assert_eq!(watcher.condition(at(10)), Some(Condition::Phase(Phase::Stopped)));
    }
}
