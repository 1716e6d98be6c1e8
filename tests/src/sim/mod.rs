//! The real arbiter, configuration and protocol under a simulated clock and kernel.
//!
//! A story is told with requests as clients send them and with what happens to processes; time moves only by
//! [`Sim::advance`] and [`Sim::settle`]. After every input the invariants are checked.

mod hook_rules;
mod hooks;
mod invariants;
mod kernel;
pub mod rules;
mod sockets;
pub mod story;
mod streams;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    time::Duration,
};

use circus_common::{
    config::{self, Config, Files, Host},
    protocol::{Command, Event, Happening, Reply, request::Request},
};
use circusd::arbiter::{
    Arbiter, Departure, Effect, Input, Now, Setup, Timestamp,
    effect::{Note, Question, StatsQuestion},
    id::RequestId,
    input::{DaemonSignal, LoadPurpose},
    stream::{Candidate, Trial},
};
use serde_json::Value;

pub use self::{
    hooks::{HookBehaviour, Hooks},
    kernel::{Behaviour, Kernel},
    sockets::Sockets,
};
use self::{invariants::Invariants, rules::hold};

/// Wall time at the start of every story.
const EPOCH: f64 = 1_700_000_000.0;

/// One simulated daemon.
#[derive(Debug)]
pub struct Sim {
    /// The simulated machine.
    pub kernel: Kernel,
    /// The simulated hooks.
    pub hooks: Hooks,
    /// What was published, in order.
    pub events: Vec<Event>,
    /// What was logged.
    pub notes: Vec<Note>,
    /// How the daemon left.
    pub departure: Option<Departure>,
    /// The text that the next `reloadconfig` reads.
    pub file: String,
    /// Whether every input and effect is printed: for looking at a story that fails.
    pub trace: bool,
    arbiter: Arbiter,
    clock: Duration,
    wall_offset: f64,
    replies: BTreeMap<u64, Vec<Reply>>,
    requests: u64,
    invariants: Invariants,
    /// How long questions to the system, look-ups and readings of the file take.
    pub answer_lag: Duration,
    /// All decisions so far, in a number: the same story gives the same one. `None` if nobody wants to know.
    decisions: Option<DefaultHasher>,
}

/// A configuration held in memory.
struct Memory<'a>(&'a str);

impl Files for Memory<'_> {
    fn read(&self, _path: &Path) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn glob(&self, _pattern: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn is_dir(&self, _path: &Path) -> bool {
        false
    }

    fn exists(&self, _path: &Path) -> bool {
        true
    }

    fn list(&self, _path: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn host() -> Host {
    let env = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
    Host { env, cwd: PathBuf::from("/"), ..Host::default() }
}

fn parse(text: &str) -> Result<Config, String> {
    let loaded = config::load(Path::new("story.ini"), &host(), &Memory(text));
    let mistakes = loaded.text(config::Degree::BrokenSection);
    if mistakes.is_empty() { Ok(loaded.config) } else { Err(mistakes) }
}

impl Sim {
    /// A daemon on this configuration, started and settled.
    ///
    /// # Panics
    /// When the configuration is not valid: stories are written for valid ones.
    #[must_use]
    pub fn start(text: &str) -> Self {
        let mut sim = Self::before_boot(text, 1);
        sim.input(Input::Boot);
        sim.settle();
        sim
    }

    /// A daemon that has not begun its start-up, so that the kernel's behaviour can be set before.
    ///
    /// # Panics
    /// When the configuration is not valid.
    #[must_use]
    pub fn before_boot(text: &str, seed: u64) -> Self {
        let config = parse(text).expect("a story's configuration is valid");
        Self::with_config(config, text, seed)
    }

    /// The same from a configuration that was read already, as after a restart in place.
    #[must_use]
    pub fn with_config(config: Config, text: &str, seed: u64) -> Self {
        let invariants = Invariants::new(&config);
        let mut kernel = Kernel::default();
        let sockets = kernel.sockets.start(&config.sockets);
        let spawns_in_flight = invariants::SPAWNS_IN_FLIGHT;
        let setup = Setup { config, sockets, host: host(), spawns_in_flight, seed };
        Self {
            kernel,
            hooks: Hooks::default(),
            events: Vec::new(),
            notes: Vec::new(),
            departure: None,
            file: text.to_owned(),
            trace: false,
            arbiter: Arbiter::new(setup),
            clock: Duration::ZERO,
            wall_offset: 0.0,
            replies: BTreeMap::new(),
            requests: 0,
            invariants,
            answer_lag: Duration::ZERO,
            decisions: None,
        }
    }

    /// Begins the start-up.
    pub fn boot(&mut self) {
        self.input(Input::Boot);
    }

    /// Sends a request as a client writes it; returns its number.
    ///
    /// # Panics
    /// When the request is refused before it reaches the arbiter: stories send well-formed ones.
    pub fn request(&mut self, text: &str) -> u64 {
        let request = Request::parse(text.as_bytes());
        let command = request.command.expect("a story's requests are well-formed");
        self.command(command, !request.cast)
    }

    /// Sends a typed command; returns its number.
    pub fn command(&mut self, command: Command, reply: bool) -> u64 {
        self.requests += 1;
        let number = self.requests;
        self.invariants.asked(self.clock, number, &command, reply);
        self.input(Input::Request { request: RequestId(number), command: Box::new(command), reply });
        number
    }

    /// Sends a request, lets time pass until it is answered, and returns the answer.
    ///
    /// # Panics
    /// When no answer comes within an hour.
    pub fn ask(&mut self, text: &str) -> Reply {
        let number = self.request(text);
        for _ in 0..1_000_000 {
            if let Some(reply) = self.reply(number) {
                return reply;
            }
            if !self.step() {
                break;
            }
        }
        panic!("no answer to {text}");
    }

    /// The answer to a request, if it has come.
    #[must_use]
    pub fn reply(&self, number: u64) -> Option<Reply> {
        self.replies.get(&number).and_then(|replies| replies.first().cloned())
    }

    /// Sends circusd itself a signal.
    pub fn signal(&mut self, signal: DaemonSignal) {
        self.invariants.signalled(self.clock, signal);
        self.input(Input::Signalled(signal));
    }

    /// Somebody connects to a managed socket.
    pub fn connect(&mut self, socket: &str) {
        if let Some(input) = self.kernel.sockets.connect(socket) {
            self.kernel.later(self.clock, input);
        }
    }

    /// Sets the wall clock by so many seconds; nothing may depend on it.
    pub fn jump_clock(&mut self, seconds: f64) {
        self.wall_offset += seconds;
    }

    /// The time since the start.
    #[must_use]
    pub fn clock(&self) -> Duration {
        self.clock
    }

    /// Lets all that is due within `time` happen.
    pub fn advance(&mut self, time: Duration) {
        let end = self.clock + time;
        while self.next_moment().is_some_and(|at| at <= end) {
            self.step();
        }
        self.clock = end;
    }

    /// Lets happen what happens without waiting: everything due within 50 ms of the last thing that happened.
    pub fn settle(&mut self) {
        while self.next_moment().is_some_and(|at| at <= self.clock + Duration::from_millis(50)) {
            self.step();
        }
    }

    /// The next thing that happens; false if nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(at) = self.next_moment() else { return false };
        self.clock = self.clock.max(at);
        match self.kernel.next_due(self.clock) {
            Some(input) => self.input(input),
            None => self.input(Input::Deadline),
        }
        true
    }

    fn next_moment(&self) -> Option<Duration> {
        let deadline = self.arbiter.next_deadline().map(Timestamp::elapsed);
        self.kernel.next_time().into_iter().chain(deadline).min()
    }

    fn input(&mut self, input: Input) {
        if self.departure.is_some() {
            return;
        }
        let mut inputs = vec![input];
        if matches!(inputs[..], [Input::Exited { .. }]) {
            inputs.extend(self.kernel.exits_due(self.clock));
        }
        for input in &inputs {
            if self.trace {
                eprintln!("{:?} <- {input:?}", self.clock);
            }
            self.invariants.before(self.clock, input);
        }
        let wall = EPOCH + self.clock.as_secs_f64() + self.wall_offset;
        let now = Now { mono: Timestamp::since_start(self.clock), wall };
        let effects = self.arbiter.handle_together(now, inputs);
        for effect in effects {
            if self.trace {
                eprintln!("{:?} -> {effect:?}", self.clock);
            }
            self.invariants.effect(self.clock, &effect);
            self.remember(&effect);
            self.carry_out(effect);
        }
        self.invariants.after(self.clock);
        self.kernel.untold = self.invariants.untold_ends();
    }

    /// Adds a decision to the number that stands for all of them; wall time is no part of a decision.
    fn remember(&mut self, effect: &Effect) {
        let Some(decisions) = &mut self.decisions else { return };
        self.clock.hash(decisions);
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "only these carry wall time or more than a decision"
        )]
        match effect {
            Effect::Publish(event) => {
                (&event.watcher, format!("{:?}", event.happening)).hash(decisions);
            }
            Effect::Reply { request, reply } => (request, reply_shape(reply)).hash(decisions),
            Effect::Note(note) => note.text.hash(decisions),
            Effect::Spawn { process, .. } => process.hash(decisions),
            Effect::Exit(departure) => matches!(departure, Departure::Quit).hash(decisions),
            Effect::ApplySettings(_) => "settings".hash(decisions),
            Effect::RunHook { hook, order } => {
                let details = order.details.iter().filter(|(key, _)| *key != "time");
                let details = format!("{:?}", details.collect::<Vec<_>>());
                (hook, order.hook, details, order.limit, format!("{:?}", order.watcher)).hash(decisions);
            }
            _ => format!("{effect:?}").hash(decisions),
        }
    }

    /// The number that stands for all decisions so far.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.decisions.as_ref().map_or(0, Hasher::finish)
    }

    /// Lets it remember its decisions from now on.
    pub fn remember_decisions(&mut self) {
        self.decisions = Some(DefaultHasher::new());
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { request, reply } => self.replies.entry(request.0).or_default().push(reply),
            Effect::Publish(event) => self.events.push(event),
            Effect::Note(note) => self.notes.push(note),
            Effect::Exit(departure) => self.departure = Some(departure),
            Effect::LoadConfig { purpose } => self.load(purpose),
            Effect::Ask { request, question } => self.answer(request, &question),
            Effect::Resolve { request, .. } => {
                self.kernel.later(
                    self.clock + self.answer_lag,
                    Input::Resolved { request, account: Ok((Some(1), Some(1))) },
                );
            }
            Effect::RunHook { hook, order } => {
                if let Some((takes, answer)) = self.hooks.ask(&order) {
                    let answer = Box::new(answer);
                    self.kernel.later(self.clock + takes, Input::HookDone { hook, answer });
                }
            }
            Effect::TryHooks { trial, candidates } => {
                let faults = self.hooks.missing(&candidates);
                self.kernel.later(self.clock, Input::HooksTried { trial, faults });
            }
            // An answer that was under way comes all the same, and must count for nothing.
            Effect::CancelHook { .. } => {}
            Effect::TryStreams { trial, candidates } => self.try_streams(trial, &candidates),
            Effect::ApplySettings(_) | Effect::ReopenLog | Effect::Stream(_) => {}
            Effect::Sockets(_)
            | Effect::Spawn { .. }
            | Effect::Signal { .. }
            | Effect::SignalMember { .. }
            | Effect::Survey { .. }
            | Effect::Forget { .. }
            | Effect::Release { .. } => self.kernel.carry_out(self.clock, effect),
        }
    }

    fn load(&mut self, purpose: LoadPurpose) {
        let config = parse(&self.file).map(Box::new);
        self.kernel.later(self.clock + self.answer_lag, Input::ConfigLoaded { purpose, config });
    }

    /// A file under `/nowhere` cannot be had, and neither can a class of the module `missing`.
    fn try_streams(&mut self, trial: Trial, candidates: &[Candidate]) {
        let fault = |candidate: &Candidate| {
            let system = candidate.outlet.config.written.contains_key("filename");
            let is_missing = streams::is_missing(&candidate.outlet.config);
            is_missing.then(|| candidate.fault(system, "it cannot be had".to_owned()))
        };
        let faults = candidates.iter().filter_map(fault).collect();
        self.kernel.later(self.clock, Input::StreamsTried { trial, faults });
    }

    fn answer(&mut self, request: RequestId, question: &Question) {
        let reply = match question {
            Question::Stats(StatsQuestion::Watcher { name, processes }) => {
                let info =
                    processes.iter().map(|it| (it.pid.to_string(), serde_json::json!({"pid": it.pid})));
                Reply::with([("name", name.as_str().into()), ("info", Value::Object(info.collect()))])
            }
            Question::Stats(_) | Question::Dstats | Question::SignalTree { .. } => Reply::ok(),
            Question::Logs(_) => Reply::with([("lines", serde_json::json!([])), ("next", 0.into())]),
        };
        self.kernel.later(self.clock + self.answer_lag, Input::Answered { request, reply });
    }

    /// What happened to one watcher, without times and pids: `spawn`, `kill`, `reap(-15)`, ...
    #[must_use]
    pub fn history(&self, watcher: &str) -> Vec<String> {
        let own = self.events.iter().filter(|event| event.watcher == watcher && !event.is_own());
        own.map(|event| word(&event.happening)).collect()
    }

    /// Forgets the events so far.
    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    /// The answer of `status` for one watcher.
    ///
    /// # Panics
    /// When there is no such watcher.
    pub fn state(&mut self, watcher: &str) -> String {
        let reply =
            self.ask(&serde_json::json!({"command": "status", "properties": {"name": watcher}}).to_string());
        let Reply::Ok(members) = reply else { panic!("no status of {watcher}: {reply:?}") };
        members.get("status").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The answer of `list` for one watcher.
    ///
    /// # Panics
    /// When there is no such watcher.
    pub fn pids(&mut self, watcher: &str) -> Vec<i64> {
        let reply =
            self.ask(&serde_json::json!({"command": "list", "properties": {"name": watcher}}).to_string());
        let Reply::Ok(members) = reply else { panic!("no list of {watcher}: {reply:?}") };
        members
            .get("pids")
            .and_then(Value::as_array)
            .map(|all| all.iter().filter_map(Value::as_i64).collect())
            .unwrap_or_default()
    }

    /// The answer of `why` for one watcher.
    ///
    /// # Panics
    /// When there is no such watcher.
    pub fn why(&mut self, watcher: &str) -> Value {
        let reply =
            self.ask(&serde_json::json!({"command": "why", "properties": {"name": watcher}}).to_string());
        let Reply::Ok(members) = reply else { panic!("no why of {watcher}: {reply:?}") };
        Value::Object(members)
    }

    /// One option of a watcher as `get` answers it.
    ///
    /// # Panics
    /// When there is no such watcher or option.
    pub fn option(&mut self, watcher: &str, key: &str) -> Value {
        let text =
            serde_json::json!({"command": "get", "properties": {"name": watcher, "keys": [key]}}).to_string();
        let Reply::Ok(members) = self.ask(&text) else { panic!("no {key} of {watcher}") };
        members["options"][key].clone()
    }

    /// The names of all watchers.
    pub fn watchers(&mut self) -> Vec<String> {
        let Reply::Ok(members) = self.ask(r#"{"command": "list"}"#) else { return Vec::new() };
        let names = members.get("watchers").and_then(Value::as_array).cloned().unwrap_or_default();
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Entries the arbiter keeps in maps that may grow.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.arbiter.kept()
    }

    /// Programs whose descendants were forgotten though they were to be ended: not kept, and not given away.
    #[must_use]
    pub fn abandoned(&self) -> Vec<&String> {
        let all = self.kernel.abandoned().iter();
        all.filter(|program| !self.invariants.is_left_alone(program)).collect()
    }

    /// What must hold when nothing has happened for a long time: every request answered, nothing in flight.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn assert_quiet(&self) {
        if self.trace {
            eprintln!("{:#?}", self.arbiter);
        }
        self.invariants.quiet();
        self.invariants.accounted(&self.kernel.pids(), &self.kernel.released_pids());
    }

    /// What must hold when the daemon has left: nothing alive but what was released, and every request answered.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn assert_left(&self) {
        assert!(self.departure.is_some(), "the daemon is still there");
        let living = self.kernel.living();
        hold!(LeaveEmpty, living.is_empty(), "{living:?} were left behind");
        self.invariants.answered();
        self.invariants.accounted(&BTreeSet::new(), &self.kernel.released_pids());
    }
}

/// What an answer decides: not the times in it.
fn reply_shape(reply: &Reply) -> String {
    match reply {
        Reply::Ok(members) => members.keys().cloned().collect::<Vec<_>>().join(" "),
        Reply::Error { reason, .. } => reason.clone(),
    }
}

fn word(happening: &Happening) -> String {
    match happening {
        Happening::Add => "add".to_owned(),
        Happening::Remove => "remove".to_owned(),
        Happening::Spawn { .. } => "spawn".to_owned(),
        Happening::Kill { .. } => "kill".to_owned(),
        Happening::Reap { exit_code, .. } => format!("reap({exit_code})"),
        Happening::Start => "start".to_owned(),
        Happening::Stop => "stop".to_owned(),
        Happening::Reload => "reload".to_owned(),
        Happening::Updated => "updated".to_owned(),
        Happening::HookSuccess { name } => format!("hook_success {name}"),
        Happening::HookFailure { name, .. } => format!("hook_failure {name}"),
        Happening::Custom { word, .. } => word.clone(),
        Happening::Fatal { .. } => "fatal".to_owned(),
        Happening::Flapping { .. } => "flapping".to_owned(),
        Happening::Undone { .. } => "undone".to_owned(),
    }
}
