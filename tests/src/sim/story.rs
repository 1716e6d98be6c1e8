//! Random stories: a seed gives a sequence of requests and mishaps; the same seed tells the same story.
//!
//! A story is a value ([`Story`]) and a text: one that breaks a rule is made as short as it gets and printed, to be
//! kept in `tests/stories`, where it is told again for ever.

mod dice;
mod draft;
mod draw;
mod requests;
mod shrink;
mod step;
mod telling;

use std::{
    any::Any,
    cell::Cell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::{
        Mutex, Once, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use self::telling::Aim;
pub use self::{
    dice::Dice,
    draft::{Draft, Edit},
    step::{Manner, NoStep, Step},
};
use super::rules::hold;

/// The watchers of every story: plain, several, serial, not respawning, stubborn, with descendants, undoable, with
/// descendants that fork while they are ended, one whose descendants are left alone, one whose have left its group, one that
/// connections start, one whose processes have sockets of their own, and three with hooks.
pub const CAST: &str = "[circus]\ncheck_delay = 1\n[socket:web]\nport = 80\n[socket:own]\nport = 81\nso_reuseport = True\n\
    [watcher:called]\ncmd = called $(circus.sockets.web)\nuse_sockets = True\non_demand = True\nidle_timeout = 4\n\
    [watcher:sharing]\ncmd = sharing $(circus.sockets.own)\nuse_sockets = True\nnumprocesses = 2\n\
    [watcher:plain]\ncmd = plain\ngraceful_timeout = 3\nstdout_stream.class = QueueStream\n\
    [watcher:several]\ncmd = several\nnumprocesses = 4\ngraceful_timeout = 2\npriority = 5\n\
    [watcher:serial]\ncmd = serial\nnumprocesses = 3\nwarmup_delay = 1\n\
    [watcher:once]\ncmd = once\nnumprocesses = 2\nrespawn = False\n\
    [watcher:stubborn]\ncmd = stubborn\ngraceful_timeout = 1\n\
    [watcher:family]\ncmd = family\nnumprocesses = 2\nstop_children = True\ngraceful_timeout = 2\n\
    [watcher:undoing]\ncmd = undoing\nnumprocesses = 2\nreload_undo = True\n\
    [watcher:hydra]\ncmd = hydra\ngraceful_timeout = 2\n\
    [watcher:keeper]\ncmd = keeper\norphans = keep\ngraceful_timeout = 1\nstderr_stream.filename = log\n\
    [watcher:nomad]\ncmd = nomad\nnumprocesses = 2\ngraceful_timeout = 1\n\
    [watcher:asleep]\ncmd = asleep\nautostart = False\nmax_retry = 3\n\
    [watcher:patient]\ncmd = patient\nnumprocesses = 3\nmax_retry = -1\npriority = 2\n\
    [watcher:hooked]\ncmd = hooked\nnumprocesses = 2\ngraceful_timeout = 2\nhook_timeout = 3\n\
    hooks.before_start = m.f\nhooks.after_start = m.f\nhooks.before_stop = m.f\nhooks.after_stop = m.f\n\
    hooks.before_spawn = m.f\nhooks.after_spawn = m.f\nhooks.before_signal = m.f\nhooks.after_signal = m.f\n\
    hooks.before_reap = m.f\nhooks.after_reap = m.f\nhooks.extended_stats = m.f\n\
    [watcher:asking]\ncmd = asking\nnumprocesses = 3\nreload_undo = True\nstop_children = True\nhook_timeout = 1\n\
    hooks.before_spawn = m.f, True\nhooks.after_spawn = m.f\nhooks.before_signal = m.f\n\
    [watcher:noted]\ncmd = noted\nwarmup_delay = 1\nnumprocesses = 2\nhook_timeout = 2\n\
    hooks.before_start = builtin:tcp:db:1\nhooks.after_signal = m.f\nhooks.after_reap = m.f\nhooks.after_stop = m.f\n";

/// The watchers that have hooks.
const HOOKED: [&str; 3] = ["hooked", "asking", "noted"];

const NAMES: [&str; 17] = [
    "plain", "several", "serial", "once", "stubborn", "family", "undoing", "hydra", "keeper", "nomad",
    "asleep", "patient", "called", "sharing", "hooked", "asking", "noted",
];

/// Steps of a story that is drawn from a seed.
pub const STEPS: usize = 200;

/// One story in so many is told three times: once more, and once without its changes of the clock.
const TOLD_AGAIN: u64 = 16;

/// What happens, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// The seed of the daemon's own randomness.
    pub seed: u64,
    /// What happens.
    pub steps: Vec<Step>,
}

impl Story {
    /// The story of this seed.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        Self { seed, steps: draw::steps(&mut Dice::seeded(seed), STEPS) }
    }

    /// The story that these bytes tell, for a fuzzer.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { seed: 1, steps: draw::steps(&mut Dice::Bytes(bytes), STEPS) }
    }

    /// Tells it; then either the daemon has left, or a quiet hour passes and what must have come true is checked.
    ///
    /// # Panics
    /// When a rule is broken.
    pub fn tell(&self, trace: bool) {
        if trace || !self.seed.is_multiple_of(TOLD_AGAIN) {
            telling::tell(self, if trace { Aim::Trace } else { Aim::Check });
            return;
        }
        let decisions = telling::tell(self, Aim::Compare);
        let again = telling::tell(self, Aim::Compare);
        hold!(Replays, decisions == again, "the story of seed {} is not the same again", self.seed);
        let steady = telling::tell(&self.without_clock(), Aim::Compare);
        let seed = self.seed;
        hold!(ClockIgnored, decisions == steady, "the clock makes a difference in the story of seed {seed}");
    }

    fn without_clock(&self) -> Self {
        let steps = self.steps.iter().filter(|step| !matches!(step, Step::Clock(_)));
        Self { seed: self.seed, steps: steps.cloned().collect() }
    }

    /// What is broken when it is told, if anything.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        quietly(|| catch_unwind(AssertUnwindSafe(|| self.tell(false)))).err().map(|panic| message(&*panic))
    }

    /// The shortest story found that breaks the same rule.
    #[must_use]
    pub fn shrunk(&self, broken: &str) -> Self {
        let rule = rule_of(broken);
        shrink::shortest(self, |story| story.broken().is_some_and(|other| rule_of(&other) == rule))
    }
}

/// Which rule a message is about: its words before the second colon's details.
fn rule_of(message: &str) -> &str {
    message.split_once(':').map_or(message, |(rule, _)| rule)
}

/// The text in which a story is kept.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Blank lines and lines that begin with `#` are passed over.
impl FromStr for Story {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        let mut story = Self { seed: 1, steps: Vec::new() };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            match line.strip_prefix("seed ").and_then(|seed| seed.parse().ok()) {
                Some(seed) => story.seed = seed,
                None => story.steps.push(line.parse()?),
            }
        }
        Ok(story)
    }
}

/// A story that breaks a rule, as short as it gets.
#[derive(Debug)]
pub struct Broken {
    /// The seed it was drawn from.
    pub seed: u64,
    /// What is broken.
    pub rule: String,
    /// The shortest story found.
    pub story: Story,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the story of seed {} breaks a {}", self.seed, self.rule)?;
        writeln!(
            f,
            "# to be kept as tests/stories/NAME.story; CIRCUS_SEED={} tells the whole of it",
            self.seed
        )?;
        write!(f, "{}", self.story)
    }
}

/// Tells the stories of these seeds on all cores until so many are broken; those are returned by seed.
#[must_use]
pub fn tell_all(first: u64, count: u64, enough: usize) -> Vec<Broken> {
    let next = AtomicU64::new(first);
    let stop = AtomicBool::new(false);
    let found = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let story = Story::drawn(seed);
                    let Some(rule) = story.broken() else { continue };
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push((seed, rule, story));
                    if found.len() >= enough {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(seed, ..)| *seed);
    found.into_iter().map(|(seed, rule, story)| Broken { seed, story: story.shrunk(&rule), rule }).collect()
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Does it without the reports of the panics that are part of it.
fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    let done = work();
    QUIET.set(before);
    done
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_is_the_same_after_it_was_written_down() {
        for seed in 0..200 {
            let story = Story::drawn(seed);
            assert_eq!(story.to_string().parse::<Story>().expect("it was written by us"), story);
        }
    }

    #[test]
    fn any_bytes_tell_a_story() {
        let mut random = fastrand::Rng::with_seed(5);
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length * 8).map(|_| random.u8(..)).collect();
            assert!(Story::from_bytes(&bytes).steps.len() <= STEPS + 20);
        }
    }
}
