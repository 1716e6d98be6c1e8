//! Hooks: user code that decides about watchers, run outside circusd and never waited for.
//!
//! `hosts` are the long-lived Pythons that call functions, `programs` run once for each question, `builtin` looks for a
//! port, a page or a file. What comes back is an input of the arbiter; what a hook asks in turn is a request like any
//! client's.
//!
//! Belongs to the daemon's loop and never waits. Invariant: of a question that was taken back nothing is told, and
//! whatever worked on it is ended.

mod builtin;
mod frames;
mod hosts;
mod programs;
mod trial;

use std::{collections::BTreeMap, time::Duration};

use circus_common::{
    config::{CircusConfig, HookAction},
    log,
    protocol::{ErrorCode, Event as Published, Happening, Reply, request::Request},
};
use serde_json::{Map, Value, json};
use tokio::{sync::mpsc, task::AbortHandle};

pub use self::trial::{HookOccasion, HooksTried, PATIENCE};
use self::{
    builtin::Look,
    hosts::{Host, Hosts},
    programs::{PROGRAMS, Programs},
    trial::Trials,
};
use crate::{
    arbiter::{
        Input, Timestamp,
        hook::{HookAnswer, HookCandidate, HookOrder, Verdict},
        id::{HookId, ProcessId, RequestId},
    },
    helpers::Greeted,
    os::Os,
};

/// Requests of hooks have names that no client's request has.
const OWN_REQUEST: u64 = 1 << 63;

/// Requests of hooks that may await their answer.
const MOST_REQUESTS: usize = 128;

/// Something that has come to light.
#[derive(Debug)]
pub enum HookEvent {
    /// A Python was spoken to.
    Greeted(Greeted),
    /// A Python has said something.
    Said(hosts::Line),
    /// What is built in has looked.
    Looked(HookId, Verdict),
}

/// What the loop is to do about it.
#[derive(Debug)]
pub enum Told {
    /// Tell the arbiter.
    Input(Input),
    /// Tell the subscribers.
    Publish(Published),
    /// Hooks were looked up before the first decision.
    Tried(HooksTried),
}

/// What was built in has looked.
type Looked = (HookId, Verdict);

/// Who works on a question.
#[derive(Debug)]
enum Worker {
    Host(ProcessId),
    Program(ProcessId),
    Look(AbortHandle),
}

/// Whom the answer to a hook's request is for.
#[derive(Clone, Copy, Debug)]
struct Asker {
    host: ProcessId,
    question: u64,
}

/// Everything that runs hooks.
#[derive(Debug)]
pub struct Hooks {
    hosts: Hosts,
    programs: Programs,
    trials: Trials,
    workers: BTreeMap<HookId, Worker>,
    requests: BTreeMap<RequestId, Asker>,
    next_request: u64,
    looked: (mpsc::UnboundedSender<Looked>, mpsc::UnboundedReceiver<Looked>),
    /// What hooks see of the daemon.
    daemon: Value,
    told: Vec<Told>,
}

impl Hooks {
    /// None is asked yet.
    #[must_use]
    pub fn new(circus: &CircusConfig) -> Self {
        Self {
            hosts: Hosts::new(),
            programs: Programs::default(),
            trials: Trials::default(),
            workers: BTreeMap::new(),
            requests: BTreeMap::new(),
            next_request: OWN_REQUEST,
            // It holds one word for each question under way.
            looked: mpsc::unbounded_channel(),
            daemon: frames::daemon(circus),
            told: Vec::new(),
        }
    }

    /// Settings of the daemon have changed.
    pub fn configure(&mut self, circus: &CircusConfig) {
        self.daemon = frames::daemon(circus);
    }

    /// Carries out `Effect::RunHook`.
    pub fn run(&mut self, os: &mut Os, now: Timestamp, hook: HookId, order: HookOrder) {
        let limit = order.limit;
        match order.place.action.clone() {
            HookAction::Python(callable) => {
                let Some(spec) = order.place.spawn.clone() else { return };
                match self.hosts.serving(os, now, &spec) {
                    Ok(host) => {
                        let own = order.place.watcher.clone();
                        let frame = frames::call(hook.number, &callable, order, &self.daemon);
                        self.hosts.call(host, hook, own, frame, now);
                        self.workers.insert(hook, Worker::Host(host));
                    }
                    Err(reason) => self.answer(hook, Verdict::Failed(reason)),
                }
            }
            HookAction::Program(_) => {
                let Some(spec) = order.place.spawn.clone() else { return };
                let context = frames::context(order.hook, order, &self.daemon);
                match self.programs.start(os, hook, spec, context) {
                    Ok(program) => drop(self.workers.insert(hook, Worker::Program(program))),
                    Err(reason) => self.answer(hook, Verdict::Failed(reason)),
                }
            }
            HookAction::Tcp { host, port } => self.look(hook, Look::Tcp { host, port }, limit),
            HookAction::Http { host, port, path } => self.look(hook, Look::Http { host, port, path }, limit),
            HookAction::File(path) => self.look(hook, Look::File(path), limit),
        }
    }

    fn look(&mut self, hook: HookId, look: Look, limit: Option<Duration>) {
        let looked = self.looked.0.clone();
        let task = tokio::spawn(async move {
            // Only a daemon that is gone does not listen.
            let _closed = looked.send((hook, look.once(limit).await));
        });
        self.workers.insert(hook, Worker::Look(task.abort_handle()));
    }

    /// Carries out `Effect::CancelHook`.
    pub fn cancel(&mut self, os: &mut Os, now: Timestamp, hook: HookId) {
        match self.workers.remove(&hook) {
            Some(Worker::Host(host)) => self.hosts.forget_call(host, hook.number, now),
            Some(Worker::Program(program)) => self.programs.end(os, program),
            Some(Worker::Look(task)) => task.abort(),
            None => {}
        }
    }

    /// Looks callables up; what came of it is told once.
    pub fn try_out(
        &mut self,
        os: &mut Os,
        now: Timestamp,
        occasion: HookOccasion,
        candidates: Vec<HookCandidate>,
    ) {
        let trial = self.trials.begin(occasion, now);
        for candidate in candidates {
            let (HookAction::Python(callable), Some(spec)) =
                (&candidate.place.action, candidate.place.spawn.clone())
            else {
                continue;
            };
            match self.hosts.serving(os, now, &spec) {
                Ok(host) => {
                    let callable = callable.clone();
                    let look = self.trials.add(trial, candidate, host);
                    let frame = frames::look(look, &callable, occasion.anew());
                    self.hosts.say(host, frame, now);
                }
                Err(reason) => self.trials.fault(trial, &candidate, &reason),
            }
        }
        self.close_trials();
    }

    /// Whether this request was made by a hook.
    #[must_use]
    pub const fn is_own(request: RequestId) -> bool {
        request.0 >= OWN_REQUEST
    }

    /// Carries out `Effect::Reply` for a request of a hook. `time` is seconds since the epoch.
    pub fn reply(&mut self, request: RequestId, reply: &Reply, time: f64, now: Timestamp) {
        if let Some(Asker { host, question }) = self.requests.remove(&request) {
            self.hosts.say(host, frames::reply(question, reply, time), now);
        }
    }

    /// The next thing that comes to light. Cancel-safe.
    pub async fn next(&mut self) -> HookEvent {
        let Self { hosts, looked, .. } = self;
        tokio::select! {
            event = hosts.next() => event,
            Some((hook, verdict)) = looked.1.recv() => HookEvent::Looked(hook, verdict),
        }
    }

    /// Takes it in.
    pub fn handle(&mut self, os: &mut Os, now: Timestamp, event: HookEvent) {
        match event {
            HookEvent::Greeted(greeted) => {
                let fallen = self.hosts.greeted(os, now, greeted);
                self.fell(fallen);
            }
            HookEvent::Said(line) => self.said(now, line),
            HookEvent::Looked(hook, verdict) => {
                if self.workers.remove(&hook).is_some() {
                    self.answer(hook, verdict);
                }
            }
        }
    }

    /// Takes in what happened to one of its processes.
    pub fn take(&mut self, os: &mut Os, now: Timestamp, input: Input) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these are about helpers")]
        let process = match &input {
            Input::Spawned { process, .. }
            | Input::SpawnFailed { process, .. }
            | Input::Exited { process, .. } => *process,
            _ => return,
        };
        if process.wid == PROGRAMS {
            if let Some((hook, verdict)) = self.programs.take(os, input)
                && self.workers.remove(&hook).is_some()
            {
                self.answer(hook, verdict);
            }
        } else {
            let fallen = self.hosts.take(os, now, input);
            self.fell(fallen);
        }
    }

    /// A Python has ended, or never came: nothing that it was asked will be answered.
    fn fell(&mut self, fallen: Option<hosts::Fallen>) {
        let Some(hosts::Fallen { host, calls, reason }) = fallen else { return };
        for hook in calls {
            if self.workers.remove(&hook).is_some() {
                self.answer(hook, Verdict::Failed(reason.clone()));
            }
        }
        self.requests.retain(|_, asker| asker.host != host);
        self.trials.fell(host, &reason);
        self.close_trials();
    }

    fn said(&mut self, now: Timestamp, line: hosts::Line) {
        let hosts::Line { host, bytes } = line;
        match bytes.and_then(|bytes| frames::Said::read(&bytes).ok_or("its Python said what means nothing")) {
            Ok(frames::Said::Done { call, answer }) => {
                if let Some(hook) = self.hosts.done(host, call, now)
                    && self.workers.remove(&hook).is_some()
                {
                    self.told.push(Told::Input(Input::HookDone { hook, answer }));
                }
            }
            Ok(frames::Said::Found { look, error }) => {
                self.trials.found(look, error);
                self.close_trials();
            }
            Ok(frames::Said::Ask { question, call, command, properties }) => {
                self.ask(Asker { host, question }, call, &command, properties, now);
            }
            Ok(frames::Said::Event { watcher, word, members }) => {
                let happening = Happening::Custom { word, members };
                // The time of such an event is what its payload says.
                self.told.push(Told::Publish(Published { watcher, happening, time: 0.0 }));
            }
            Ok(frames::Said::Log { level, text }) => log::say(level, text),
            Err(reason) => {
                let fallen = self.hosts.disown(host, reason, now);
                self.fell(fallen);
            }
        }
    }

    /// A hook asks: as any client would, but a change of its own watcher is never waited for.
    fn ask(
        &mut self,
        asker: Asker,
        call: u64,
        command: &str,
        mut properties: Map<String, Value>,
        now: Timestamp,
    ) {
        let name = properties.get("name").and_then(Value::as_str).unwrap_or_default();
        let own = self.hosts.own_watcher(asker.host, call).unwrap_or_default();
        if name.is_empty() || name.eq_ignore_ascii_case(own) {
            properties.insert("waiting".to_owned(), false.into());
        }
        let text = json!({"command": command, "properties": properties}).to_string();
        let refused = match Request::parse(text.as_bytes()).command {
            Ok(command) if self.requests.len() < MOST_REQUESTS => {
                let request = RequestId(self.next_request);
                self.next_request += 1;
                self.requests.insert(request, asker);
                let command = Box::new(command);
                return self.told.push(Told::Input(Input::Request { request, command, reply: true }));
            }
            Ok(_) => Reply::error(ErrorCode::Command, "too many requests in flight"),
            Err(refused) => refused,
        };
        self.hosts.say(asker.host, frames::reply(asker.question, &refused, 0.0), now);
    }

    /// When [`Self::due`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.hosts.next_deadline().into_iter().chain(self.trials.next_deadline()).min()
    }

    /// Does what time alone has made due.
    pub fn due(&mut self, os: &mut Os, now: Timestamp) {
        self.hosts.due(os, now);
        self.trials.due(now);
        self.close_trials();
    }

    fn close_trials(&mut self) {
        for tried in self.trials.closed() {
            self.told.push(match tried.occasion {
                HookOccasion::Start => Told::Tried(tried),
                HookOccasion::Asked(trial) => Told::Input(Input::HooksTried { trial, faults: tried.faults }),
            });
        }
    }

    /// What is to be done now, in order.
    pub fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    fn answer(&mut self, hook: HookId, verdict: Verdict) {
        let answer = Box::new(HookAnswer::plain(verdict));
        self.told.push(Told::Input(Input::HookDone { hook, answer }));
    }

    /// The daemon ends: nobody is asked any more.
    pub fn close(&mut self, os: &mut Os, now: Timestamp) {
        for (_, worker) in std::mem::take(&mut self.workers) {
            if let Worker::Look(task) = worker {
                task.abort();
            }
        }
        self.requests.clear();
        self.programs.end_all(os);
        self.hosts.close(now);
    }

    /// Whether nothing of it is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.programs.is_empty()
    }
}

/// What is said to a Python to have one callable looked up; it answers that it is ready, and what it has found.
#[must_use]
pub fn words_to_look_up(callable: &str) -> Vec<u8> {
    let mut words = hosts::greeting().bytes().to_vec();
    words.extend(frames::look(0, callable, false));
    words
}

/// Whether a line says what was found.
#[must_use]
pub fn is_lookup(line: &[u8]) -> bool {
    matches!(frames::Said::read(line), Some(frames::Said::Found { .. }))
}

/// What that line means.
///
/// # Errors
/// Why the callable cannot be had.
pub fn read_lookup(line: &[u8]) -> Result<(), String> {
    match frames::Said::read(line) {
        Some(frames::Said::Found { error: None, .. }) => Ok(()),
        Some(frames::Said::Found { error: Some(error), .. }) => Err(error),
        Some(
            frames::Said::Done { .. }
            | frames::Said::Ask { .. }
            | frames::Said::Event { .. }
            | frames::Said::Log { .. },
        )
        | None => Err("its Python gave no answer".to_owned()),
    }
}

/// How a Python is called where somebody reads of it.
fn title(host: &Host) -> &str {
    host.spec().argv.first().map_or("python3", String::as_str)
}
