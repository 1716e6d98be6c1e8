//! Helpers that run the Python classes of streams, and the trial of streams before they are used.
//!
//! A stream's helper is started when the stream is configured and again, with growing pauses, when it ends. The data
//! plane writes to it directly; meanwhile, and in between, what the children print waits in their pipes.

use std::{collections::BTreeMap, os::unix::net::UnixStream, time::Duration};

use circus_common::{
    Channel,
    config::stream::{Class, StreamConfig},
};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{
    Greeting,
    fleet::{Fleet, Greeted, Happened},
    trial::{self, Occasion, Trying, Waiting, title},
};
use crate::{
    arbiter::{
        Input, Timestamp,
        id::{ProcessId, WatcherId},
        stream::{Candidate, Fault, Outlet, Trial},
    },
    os::Os,
    stream::{Order, Orders, check_sink},
};

/// The `wid` in their names.
const STREAMS: u32 = 0;

/// How long a helper may take for what is still on its way to it, once its stream is gone.
const RETIREMENT: Duration = Duration::from_secs(60);

/// The same when the daemon ends.
const LAST_LINES: Duration = Duration::from_secs(5);

/// How long a helper that was tried out waits to be used.
const RESERVE: Duration = Duration::from_secs(10);

/// The first and the longest pause before a helper is started again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A helper that has worked so long fails for the first time.
const HEALTHY: Duration = Duration::from_secs(10);

/// Something that has come to light.
#[derive(Debug)]
pub enum Event {
    /// A helper was spoken to.
    Greeted(Greeted),
    /// A sink was looked at.
    Checked(Checked),
}

/// Whether a sink can be had.
#[derive(Debug)]
pub struct Checked {
    trial: u64,
    number: usize,
    result: Result<(), String>,
}

/// A stream that a helper serves.
#[derive(Debug)]
struct Post {
    name: String,
    outlet: Outlet,
    helper: Option<ProcessId>,
    failures: u32,
    since: Timestamp,
    retry_at: Option<Timestamp>,
}

/// A helper that was tried out and found good.
#[derive(Debug)]
struct Reserve {
    process: ProcessId,
    candidate: Candidate,
    socket: UnixStream,
    until: Timestamp,
}

/// What a trial has come to.
#[derive(Debug, PartialEq)]
pub struct Tried {
    /// For what it was.
    pub occasion: Occasion,
    /// What is wrong; nothing if all can be had.
    pub faults: Vec<Fault>,
}

/// The helpers of streams.
#[derive(Debug)]
pub struct StreamHelpers {
    fleet: Fleet,
    orders: Orders,
    posts: BTreeMap<(WatcherId, Channel), Post>,
    reserve: Vec<Reserve>,
    trials: BTreeMap<u64, Trying>,
    next_trial: u64,
    checked: (mpsc::UnboundedSender<Checked>, mpsc::UnboundedReceiver<Checked>),
    done: Vec<Tried>,
}

impl StreamHelpers {
    /// None yet.
    #[must_use]
    pub fn new(orders: Orders) -> Self {
        Self {
            fleet: Fleet::new(STREAMS),
            orders,
            posts: BTreeMap::new(),
            reserve: Vec::new(),
            trials: BTreeMap::new(),
            next_trial: 0,
            // It holds one result for each stream of the trials under way, which are one for each request.
            checked: mpsc::unbounded_channel(),
            done: Vec::new(),
        }
    }

    /// Whether an input about a helper is about one of these.
    #[must_use]
    pub const fn concerns(input: &Input) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other input is about a helper")]
        match input {
            Input::Spawned { process, .. }
            | Input::SpawnFailed { process, .. }
            | Input::Exited { process, .. } => process.wid == STREAMS,
            _ => false,
        }
    }

    /// A stream was configured: its helper is started if it needs one; the one it had retires.
    pub fn configure(
        &mut self,
        os: &mut Os,
        now: Timestamp,
        watcher: WatcherId,
        name: String,
        channel: Channel,
        outlet: Option<Box<Outlet>>,
    ) {
        self.retire(watcher, channel, now);
        let Some(outlet) = outlet.filter(|outlet| outlet.helper.is_some()) else { return };
        let post = Post { name, outlet: *outlet, helper: None, failures: 0, since: now, retry_at: None };
        let fits = |reserve: &Reserve| {
            let Candidate { name, channel: of, outlet } = &reserve.candidate;
            *name == post.name && *of == channel && *outlet == post.outlet
        };
        let reserved = self.reserve.iter().position(fits).map(|at| self.reserve.swap_remove(at));
        self.posts.insert((watcher, channel), post);
        match reserved {
            Some(Reserve { process, socket, .. }) => {
                if let Some(post) = self.posts.get_mut(&(watcher, channel)) {
                    post.helper = Some(process);
                }
                self.orders.give(Order::Bridge { watcher, channel, fd: socket.into() });
            }
            None => self.start(os, now, (watcher, channel)),
        }
    }

    /// A watcher is gone.
    pub fn remove(&mut self, watcher: WatcherId, now: Timestamp) {
        Channel::ALL.into_iter().for_each(|channel| self.retire(watcher, channel, now));
    }

    /// The plane writes what it has and closes; then the helper ends by itself.
    fn retire(&mut self, watcher: WatcherId, channel: Channel, now: Timestamp) {
        if let Some(helper) = self.posts.remove(&(watcher, channel)).and_then(|post| post.helper) {
            self.fleet.dismiss(helper, now, RETIREMENT);
        }
    }

    fn start(&mut self, os: &mut Os, now: Timestamp, key: (WatcherId, Channel)) {
        let Some(post) = self.posts.get_mut(&key) else { return };
        post.retry_at = None;
        let Some((spec, greeting)) = orders_for(&post.outlet, false) else { return };
        match self.fleet.start(os, spec, greeting) {
            Ok(process) => post.helper = Some(process),
            Err(reason) => failed(post, key.1, now, &reason),
        }
    }

    /// Tries streams out; [`Self::done`] tells what has come of it.
    pub fn try_out(&mut self, os: &mut Os, now: Timestamp, occasion: Occasion, candidates: Vec<Candidate>) {
        self.next_trial += 1;
        let number = self.next_trial;
        let (waiting, faults) = (BTreeMap::new(), Vec::new());
        let mut trying = Trying { occasion, waiting, faults, deadline: now + trial::PATIENCE };
        for (at, candidate) in candidates.into_iter().enumerate() {
            let helper = match orders_for(&candidate.outlet, !occasion.adopts()) {
                None => {
                    self.look_at(number, at, candidate.outlet.config.clone());
                    None
                }
                Some((spec, greeting)) => match self.fleet.start(os, spec, greeting) {
                    Ok(process) => Some(process),
                    Err(reason) => {
                        trying.fault(&candidate, true, reason);
                        continue;
                    }
                },
            };
            trying.waiting.insert(at, Waiting { candidate, helper });
        }
        self.trials.insert(number, trying);
        self.close(number);
    }

    /// Has a sink looked at on a thread of its own: the disk may be slow, and so may a name service.
    fn look_at(&self, trial: u64, number: usize, config: StreamConfig) {
        let checked = self.checked.0.clone();
        tokio::task::spawn_blocking(move || {
            // Only a daemon that is gone does not listen.
            let _closed = checked.send(Checked { trial, number, result: check_sink(&config) });
        });
    }

    /// The next thing that comes to light. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        let Self { fleet, checked, .. } = self;
        tokio::select! {
            greeted = fleet.next() => Event::Greeted(greeted),
            Some(checked) = checked.1.recv() => Event::Checked(checked),
        }
    }

    /// Takes it in.
    pub fn handle(&mut self, os: &mut Os, now: Timestamp, event: Event) {
        match event {
            Event::Greeted(greeted) => {
                let happened = self.fleet.greeted(os, now, greeted);
                self.happened(happened, now);
            }
            Event::Checked(Checked { trial, number, result }) => {
                let Some(trying) = self.trials.get_mut(&trial) else { return };
                let Some(waiting) = trying.waiting.remove(&number) else { return };
                if let Err(reason) = result {
                    trying.fault(&waiting.candidate, true, reason);
                }
                self.close(trial);
            }
        }
    }

    /// Takes in what happened to the process of a helper.
    pub fn take(&mut self, os: &mut Os, now: Timestamp, input: Input) {
        let happened = self.fleet.take(os, now, input);
        self.happened(happened, now);
    }

    fn happened(&mut self, happened: Option<Happened>, now: Timestamp) {
        match happened {
            None => {}
            Some(Happened::Ready(process, socket)) => self.ready(process, socket, now),
            Some(Happened::Failed(process, reason)) => self.fell(process, &reason, now),
            Some(Happened::Ended(process, exit)) => {
                self.reserve.retain(|reserve| reserve.process != process);
                self.fell(process, &exit.to_string(), now);
            }
        }
    }

    fn ready(&mut self, process: ProcessId, socket: UnixStream, now: Timestamp) {
        if let Some((key, post)) = self.posts.iter_mut().find(|(_, post)| post.helper == Some(process)) {
            let (watcher, channel) = *key;
            if post.failures > 0 {
                info!("{} is taken again", title(&post.name, channel));
            }
            post.since = now;
            return self.orders.give(Order::Bridge { watcher, channel, fd: socket.into() });
        }
        let Some((number, waiting)) = self.tried(process) else {
            return self.fleet.dismiss(process, now, Duration::ZERO);
        };
        let adopts = self.trials.get(&number).is_some_and(|trying| trying.occasion.adopts());
        if adopts {
            let candidate = waiting.candidate;
            self.reserve.push(Reserve { process, candidate, socket, until: now + RESERVE });
        } else {
            self.fleet.dismiss(process, now, LAST_LINES);
        }
        self.close(number);
    }

    fn fell(&mut self, process: ProcessId, reason: &str, now: Timestamp) {
        if let Some((key, post)) = self.posts.iter_mut().find(|(_, post)| post.helper == Some(process)) {
            return failed(post, key.1, now, reason);
        }
        if let Some((number, waiting)) = self.tried(process) {
            if let Some(trying) = self.trials.get_mut(&number) {
                trying.fault(&waiting.candidate, false, class_fault(&waiting.candidate.outlet, reason));
            }
            self.close(number);
        }
    }

    /// The trial for which a helper was started.
    fn tried(&mut self, process: ProcessId) -> Option<(u64, Waiting)> {
        self.trials.iter_mut().find_map(|(number, trying)| {
            let at = *trying.waiting.iter().find(|(_, waiting)| waiting.helper == Some(process))?.0;
            Some((*number, trying.waiting.remove(&at)?))
        })
    }

    /// Ends a trial of which all was heard.
    fn close(&mut self, number: u64) {
        if self.trials.get(&number).is_some_and(|trying| trying.waiting.is_empty())
            && let Some(Trying { occasion, faults, .. }) = self.trials.remove(&number)
        {
            self.done.push(Tried { occasion, faults });
        }
    }

    /// What trials have come to since this was asked last.
    pub fn done(&mut self) -> Vec<Tried> {
        std::mem::take(&mut self.done)
    }

    /// When [`Self::due`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let posts = self.posts.values().filter_map(|post| post.retry_at);
        let reserve = self.reserve.iter().map(|reserve| reserve.until);
        let trials = self.trials.values().map(|trying| trying.deadline);
        self.fleet.next_deadline().into_iter().chain(posts).chain(reserve).chain(trials).min()
    }

    /// Does what time has made due.
    pub fn due(&mut self, os: &mut Os, now: Timestamp) {
        self.fleet.due(os, now);
        let due = |post: &Post| post.retry_at.is_some_and(|at| at <= now);
        let again: Vec<_> = self.posts.iter().filter(|(_, post)| due(post)).map(|(key, _)| *key).collect();
        again.into_iter().for_each(|key| self.start(os, now, key));
        let Self { reserve, fleet, .. } = self;
        reserve.retain(|one| {
            let keep = one.until > now;
            if !keep {
                fleet.dismiss(one.process, now, LAST_LINES);
            }
            keep
        });
        let late: Vec<u64> = self
            .trials
            .iter()
            .filter(|(_, trying)| trying.deadline <= now)
            .map(|(number, _)| *number)
            .collect();
        for number in late {
            let helpers = self.trials.get_mut(&number).map(Trying::give_up).unwrap_or_default();
            helpers.into_iter().for_each(|helper| self.fleet.dismiss(helper, now, Duration::ZERO));
            self.close(number);
        }
    }

    /// The plane has ended: so do all helpers, at the latest when the time for their last lines is over.
    pub fn dismiss_all(&mut self, now: Timestamp) {
        self.posts.clear();
        self.reserve.clear();
        self.trials.clear();
        self.fleet.dismiss_all(now, LAST_LINES);
    }

    /// Whether there is no helper.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fleet.is_empty()
    }
}

/// A helper has failed or ended: the next try is a deadline.
fn failed(post: &mut Post, channel: Channel, now: Timestamp, reason: &str) {
    post.helper = None;
    if now.since(post.since) >= HEALTHY {
        post.failures = 0;
    }
    let pause = PAUSES.0.saturating_mul(1 << post.failures.min(16)).min(PAUSES.1);
    post.failures = post.failures.saturating_add(1);
    post.since = now;
    post.retry_at = Some(now + pause);
    let (title, reason) = (title(&post.name, channel), class_fault(&post.outlet, reason));
    warn!("{title}: {reason}; it is started again in {:.1} s, and its output waits", pause.as_secs_f64());
}

/// What a helper is started with, and what it is told first; `None` for a stream that needs none.
fn orders_for(outlet: &Outlet, look: bool) -> Option<(&crate::arbiter::effect::SpawnSpec, Greeting)> {
    let spec = outlet.helper.as_ref()?;
    let Class::Python(python) = &outlet.config.class else { return None };
    Some((spec, Greeting::of_stream(&python.path, &arguments(&outlet.config), look)))
}

/// What a class is constructed with.
#[must_use]
pub fn arguments(config: &StreamConfig) -> Value {
    let members = config.arguments().map(|(key, value)| (key.to_owned(), value.clone()));
    Value::Object(members.collect::<Map<String, Value>>())
}

fn class_fault(outlet: &Outlet, reason: &str) -> String {
    let (class, python) = match (&outlet.config.class, &outlet.helper) {
        (Class::Python(python), Some(spec)) => {
            (python.path.as_str(), spec.argv.first().map_or("python", String::as_str))
        }
        _ => ("", ""),
    };
    format!("the class {class} does not run under {python}: {reason}")
}

impl From<Tried> for Option<Input> {
    /// What the arbiter is told; the start is none of its business.
    fn from(tried: Tried) -> Self {
        let Tried { occasion, faults } = tried;
        match occasion {
            Occasion::Start => None,
            Occasion::Asked(trial) => Some(Input::StreamsTried { trial, faults }),
        }
    }
}

impl From<Trial> for Occasion {
    fn from(trial: Trial) -> Self {
        Self::Asked(trial)
    }
}
