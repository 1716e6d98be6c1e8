//! The daemon: the one loop that joins the arbiter to everything outside.
//!
//! It owns the arbiter; whatever happens reaches it as an [`Input`], one at a time, and each [`Effect`] is handed
//! to the room that carries it out. Nothing here waits for a single one of them.

mod clock;
mod data;
mod load;
mod settings;
mod signals;
mod trace;
mod unborn;

use std::{
    collections::{BTreeSet, VecDeque},
    future, io, iter,
    path::PathBuf,
    time::Duration,
};

use circus_common::{
    Channel,
    config::{CircusConfig, Config, Host, WatcherConfig, endpoint::Endpoint},
    protocol::Reply,
};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

pub use self::settings::{Live, log_settings, set_umask};
use self::{clock::Clock, data::Heard, signals::Signals, unborn::Unborn};
use crate::{
    arbiter::{
        self, Arbiter, Departure, Effect, Input, Setup, Timestamp,
        effect::{Note, Question},
        id::RequestId,
        input::{DaemonSignal, LoadPurpose},
    },
    controller::{self, BindError, Controller, Incoming, MAX_PEERS},
    discovery::Discovery,
    helpers::{self, StreamHelpers},
    hooks::Hooks,
    os::{Os, OsError, OsSettings, limits::Descriptors, memory, slots::StateDir, sockets::SocketError},
    publisher::Publisher,
    stream::{Orders, Streams},
};

/// Inputs handled, or effects carried out, in a row before the other tasks of this thread get their turn.
const BATCH: usize = 16;

/// Effects for which there is always room. A storm leaves behind room for thousands, which is not kept.
const ROOM: usize = 64;

/// After so many effects there may be memory to give back: as many as a start of some fifty processes has.
const MANY_EFFECTS: u32 = 256;

/// How long strays that belong to no watcher have at the end before SIGKILL.
const STRAY_GRACE: Duration = Duration::from_secs(5);

/// Why the daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Processes cannot be supervised here.
    #[error("cannot supervise processes")]
    Os {
        /// Why.
        source: OsError,
    },
    /// An endpoint cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The data plane cannot be had.
    #[error("cannot take in the output of processes")]
    Streams {
        /// Why.
        source: io::Error,
    },
    /// A managed socket cannot be had.
    #[error("{}", file.display())]
    Socket {
        /// The configuration that asks for it.
        file: PathBuf,
        /// Which, and why.
        source: SocketError,
    },
    /// Signals cannot be listened to.
    #[error("cannot listen to signals")]
    Signals {
        /// Why.
        source: io::Error,
    },
}

/// What one life of the daemon is made from.
#[derive(Clone, Debug)]
pub struct Birth {
    /// The checked configuration.
    pub config: Config,
    /// Where it was read, to read it again.
    pub file: PathBuf,
    /// circusd's environment and directory.
    pub host: Host,
}

/// The daemon, its endpoints bound.
#[derive(Debug)]
pub struct Daemon {
    arbiter: Arbiter,
    clock: Clock,
    os: Os,
    controller: Controller,
    requests: mpsc::Receiver<Incoming>,
    publisher: Publisher,
    /// For the events that Circus does not have, where they are asked for.
    own_publisher: Option<Publisher>,
    discovery: Option<Discovery>,
    signals: Signals,
    streams: Streams,
    /// The way to the data plane.
    orders: Orders,
    helpers: StreamHelpers,
    hooks: Hooks,
    /// What is to be handled next. One thing heard may be none of the arbiter's, or several.
    told: VecDeque<Input>,
    /// A signal that came before the first decision and ends everything.
    called_off: Option<DaemonSignal>,
    loads: (mpsc::Sender<Input>, mpsc::Receiver<Input>),
    /// The endpoints as the configuration names them.
    bound: Vec<Endpoint>,
    file: PathBuf,
    host: Host,
    live: Live,
    /// What was decided and is not yet carried out, in order.
    effects: VecDeque<Effect>,
    /// How many effects were carried out.
    carried_out: u32,
    /// Whether an exit is among the effects: answers after it are farewells.
    leaving: bool,
    /// How the daemon leaves, once that is its turn among the effects.
    departure: Option<Departure>,
    /// Answers that wait for processes.
    unborn: Unborn,
    /// Answers that leave when strays are gone too.
    farewells: Vec<(RequestId, Reply)>,
}

impl Daemon {
    /// Takes the place of a killed predecessor, if there is one, and binds the endpoints.
    ///
    /// # Errors
    /// When the system or another daemon stands in the way.
    pub async fn start(birth: Birth, mut live: Live) -> Result<Self, StartError> {
        let Birth { mut config, file, host } = birth;
        // Listened to from the first moment on: a signal during the start is a wish to end.
        let (signals, released, kept) = live.take_kept();
        let mut signals = match signals {
            Some(signals) => signals,
            None => Signals::new().map_err(|source| StartError::Signals { source })?,
        };
        let endpoint = config.circus.endpoint.clone();
        let settings = OsSettings { endpoint, state_dir: StateDir::Standard };
        let streams = Streams::start().map_err(|source| StartError::Streams { source })?;
        let orders = streams.orders();
        let mut os =
            Os::start(&settings, data::reader(orders.clone())).map_err(|source| StartError::Os { source })?;
        os.leave_alone(released);
        warn_of_descriptors(&config, os.descriptors());
        end_survivors(&mut os).await;
        let clock = Clock::start();
        let mut helpers = StreamHelpers::new(orders.clone());
        let mut hooks = Hooks::new(&config.circus);
        // A module may take its time to be imported, and nobody is kept from ending circusd meanwhile.
        let called_off = tokio::select! {
            () = data::leave_out_broken(&mut config, &host, &mut helpers, &mut hooks, &mut os, clock) => None,
            signal = signals.end() => Some(signal),
        };
        let (publisher, own_publisher) = publishers(&config.circus, os.descriptors()).await?;
        let sockets = os.open_sockets(config.sockets.clone(), kept).await;
        let sockets = sockets.map_err(|source| StartError::Socket { file: file.clone(), source })?;
        info!("sockets started");
        let control = controller::Settings::control(&config.circus)?;
        let clients = peers(os.descriptors(), CLIENTS_PART);
        let (controller, requests) = Controller::bind(control.with_peers(clients)).await?;
        warn_of_strangers(controller.endpoints());
        let circus = config.circus.clone();
        let spawns_in_flight = os.spawn_places();
        let setup = Setup { config, sockets, host: host.clone(), spawns_in_flight, seed: fastrand::u64(..) };
        let mut daemon = Self {
            arbiter: Arbiter::new(setup),
            clock,
            os,
            controller,
            requests,
            publisher,
            own_publisher,
            discovery: None,
            signals,
            streams,
            orders,
            helpers,
            hooks,
            told: VecDeque::new(),
            called_off,
            loads: mpsc::channel(1),
            bound: load::endpoints(&circus),
            file,
            host,
            live,
            effects: VecDeque::new(),
            carried_out: 0,
            leaving: false,
            departure: None,
            unborn: Unborn::default(),
            farewells: Vec::new(),
        };
        daemon.discover(&circus);
        daemon.live.ready();
        // What only the start has needed, once the first processes run.
        memory::tidy_later();
        Ok(daemon)
    }

    /// Runs until it is told to end, and ends: every process gone, every answer sent, the addresses free.
    pub async fn run(mut self) -> (Departure, Live) {
        info!("Arbiter now waiting for commands");
        self.handle(self.called_off.map_or(Input::Boot, Input::Signalled));
        let mut handled = 0;
        let departure = loop {
            self.carry_out_some();
            if let Some(departure) = self.departure.take() {
                break departure;
            }
            if self.effects.is_empty() {
                self.effects.shrink_to(ROOM);
                let input = self.next().await;
                self.handle(input);
                handled += 1;
            } else {
                // A thousand effects of one input must not keep a client waiting: inputs are taken in between.
                tokio::select! {
                    biased;
                    input = self.next() => self.handle(input),
                    () = future::ready(()) => {}
                }
                handled = BATCH;
            }
            if handled >= BATCH {
                // A storm of one kind of input must not starve the tasks that receive and answer.
                handled = 0;
                tokio::task::yield_now().await;
            }
        };
        let live = self.end(&departure).await;
        (departure, live)
    }

    /// The next thing that happens. Cancel-safe: what was heard is taken in before anything else is awaited.
    async fn next(&mut self) -> Input {
        loop {
            if let Some(input) = self.told.pop_front() {
                return input;
            }
            let deadline = self.arbiter.next_deadline();
            let of_answers = self.unborn.next_deadline();
            let of_helpers = self.helpers.next_deadline().into_iter().chain(self.hooks.next_deadline()).min();
            let heard = tokio::select! {
                input = self.os.next() => Heard::Input(input),
                Some(incoming) = self.requests.recv() => Heard::Input(incoming.into()),
                signal = self.signals.next() => Heard::Input(Input::Signalled(signal)),
                Some(input) = self.loads.1.recv() => Heard::Input(input),
                answer = data::answer(&mut self.streams) => Heard::Answer(answer),
                event = self.helpers.next() => Heard::Helper(event),
                event = self.hooks.next() => Heard::Hook(event),
                () = self.clock.until(deadline) => Heard::Input(Input::Deadline),
                () = self.clock.until(of_helpers) => Heard::HelpersDue,
                () = self.clock.until(of_answers) => Heard::AnswersDue,
            };
            self.take_in(heard);
        }
    }

    fn handle(&mut self, input: Input) {
        // An answer that needs no work does not wait behind the effects of somebody else's thousand processes, only
        // for the processes it starts itself. One that ends a piece of work does: its events come first.
        let asked = if let Input::Request { request, .. } = &input { Some(*request) } else { None };
        let settled = if let Input::Spawned { process, .. } | Input::SpawnFailed { process, .. } = &input {
            Some(*process)
        } else {
            None
        };
        // The end of a helper is none of the arbiter's.
        let exits = matches!(input, Input::Exited { .. })
            .then(|| self.os.exits_with_it(|input| !helpers::concerns(input)));
        let inputs = iter::once(input).chain(exits.into_iter().flatten());
        let told = inputs.inspect(|input| debug!("{}", trace::input(input)));
        let now = self.clock.now();
        let mut effects = self.arbiter.handle_together(now, told);
        spawns_first(&mut effects);
        // A hook may ask for what waits for the hook itself.
        let started = if asked.is_some_and(|request| !Hooks::is_own(request)) {
            unborn::started(&effects)
        } else {
            BTreeSet::new()
        };
        for effect in effects {
            self.leaving |= matches!(effect, Effect::Exit(_));
            let passes = matches!(&effect, Effect::Reply { request, .. } if Some(*request) == asked);
            if !passes || self.leaving {
                self.effects.push_back(effect);
            } else if started.is_empty() {
                self.carry_out(effect);
            } else {
                self.unborn.hold(effect, started.clone(), now.mono);
            }
        }
        if let Some(process) = settled {
            self.unborn.settled(process);
            self.answer_held(now.mono);
        }
    }

    /// Sends the answers whose wait for processes is over.
    fn answer_held(&mut self, now: Timestamp) {
        for answer in self.unborn.due(now) {
            self.carry_out(answer);
        }
    }

    /// Carries out the next effects; the rest waits for the next turn. Once the daemon leaves, all of them.
    fn carry_out_some(&mut self) {
        for _ in 0..BATCH {
            let Some(effect) = self.effects.pop_front() else { return };
            self.carry_out(effect);
        }
        while self.departure.is_some() {
            let Some(effect) = self.effects.pop_front() else { return };
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        if let Some(line) = trace::effect(&effect) {
            debug!("{line}");
        }
        self.carried_out = self.carried_out.wrapping_add(1);
        if self.carried_out.is_multiple_of(MANY_EFFECTS) {
            memory::tidy_later();
        }
        match effect {
            Effect::Exit(how) => self.departure = Some(how),
            Effect::Reply { request, reply } if Hooks::is_own(request) => self.reply_to_hook(request, &reply),
            Effect::Reply { request, reply } if self.departure.is_some() => {
                self.farewells.push((request, reply))
            }
            Effect::Spawn { process, spec } => self.os.spawn(process, spec),
            Effect::Signal { process, signal } => self.os.signal(process, signal),
            Effect::SignalMember { member, signal } => self.os.signal_member(member, signal),
            Effect::Survey { processes } => self.os.survey(&processes),
            Effect::RunHook { hook, order } => self.run_hook(hook, *order),
            Effect::CancelHook { hook } => self.cancel_hook(hook),
            Effect::TryHooks { trial, candidates } => self.try_hooks(trial, candidates),
            Effect::Forget { process } => self.forget(process),
            Effect::Release { process } => self.release(process),
            Effect::Stream(order) => self.stream(order),
            Effect::TryStreams { trial, candidates } => self.try_streams(trial, candidates),
            Effect::Reply { request, reply } => self.controller.reply(request, reply),
            Effect::Publish(event) if event.is_own() => {
                if let Some(publisher) = &self.own_publisher {
                    publisher.publish(event);
                }
            }
            Effect::Publish(event) => self.publisher.publish(event),
            Effect::Note(Note { level, text }) => data::note(level, &text),
            Effect::Ask { request, question: Question::Logs(question) } => self.ask_logs(request, question),
            Effect::Ask { request, question } => self.os.ask(request, question),
            Effect::Resolve { request, uid, gid } => self.os.resolve(request, uid, gid),
            Effect::LoadConfig { purpose } => self.load(purpose),
            Effect::ApplySettings(circus) => {
                self.live.apply(&circus);
                self.hooks.configure(&circus);
                self.discover(&circus);
            }
            Effect::ReopenLog => self.live.reopen_log(),
            Effect::Sockets(effect) => {
                if let Some(sockets) = self.os.sockets() {
                    sockets.carry_out(effect);
                }
            }
        }
    }

    /// Reads the configuration on a thread of its own: the disk may be slow.
    fn load(&mut self, purpose: LoadPurpose) {
        let (file, host, answer) = (self.file.clone(), self.host.clone(), self.loads.0.clone());
        let bound = self.bound.clone();
        // Names and groups may have changed with the file.
        self.os.flush_identities();
        tokio::task::spawn_blocking(move || {
            let config = load::load(&file, &host, &bound).map(Box::new);
            memory::tidy_later();
            // The loop ends only after this was taken, or with the daemon.
            let _ = answer.blocking_send(Input::ConfigLoaded { purpose, config });
        });
    }

    fn discover(&mut self, circus: &CircusConfig) {
        // The group's port is freed before it is taken again.
        self.discovery = None;
        let endpoint = self.controller.endpoints().first().map(ToString::to_string).unwrap_or_default();
        match Discovery::start(&circus.multicast_endpoint, &endpoint, circus.allow_remote) {
            Ok(discovery) => self.discovery = discovery,
            Err(reason) => warn!("{reason}"),
        }
    }

    async fn end(mut self, departure: &Departure) -> Live {
        match departure {
            Departure::Quit => self.live.stopping(),
            Departure::Restart(_) => self.live.reloading(),
        }
        drop(self.discovery.take());
        self.os.end_orphans(STRAY_GRACE).await;
        self.end_streams().await;
        for answer in self.unborn.all() {
            self.carry_out(answer);
        }
        for (request, reply) in std::mem::take(&mut self.farewells) {
            self.controller.reply(request, reply);
        }
        // Questions still under way, and requests that came too late for the arbiter.
        self.controller.close(arbiter::refusal(departure)).await;
        self.publisher.close().await;
        if let Some(publisher) = self.own_publisher.take() {
            publisher.close().await;
        }
        let (released, kept) = self.os.close();
        // With what came in meanwhile: a TERM during a restart ends the life that follows.
        self.live.keep(self.signals, released, kept);
        self.live
    }
}

/// Binds the endpoints of events, and of those that Circus does not have where they are asked for.
async fn publishers(
    circus: &CircusConfig,
    granted: Descriptors,
) -> Result<(Publisher, Option<Publisher>), BindError> {
    let subscribers = peers(granted, SUBSCRIBERS_PART);
    let events = controller::Settings::events(circus)?;
    let publisher = Publisher::bind(events.with_peers(subscribers)).await?;
    let own = match controller::Settings::own_events(circus)? {
        Some(settings) => Some(Publisher::bind(settings.with_peers(subscribers)).await?),
        None => None,
    };
    Ok((publisher, own))
}

/// A spawn does not wait for what is only told: whoever reads it reads it a little later, and in the same order.
fn spawns_first(effects: &mut [Effect]) {
    let is_spawn = |effect: &Effect| matches!(effect, Effect::Spawn { .. });
    let is_told = |effect: &Effect| matches!(effect, Effect::Note(_) | Effect::Publish(_));
    let free = effects.iter().take_while(|effect| is_spawn(effect) || is_told(effect)).count();
    effects[..free].sort_by_key(|effect| !is_spawn(effect));
}

/// Ends what a killed circusd left behind, before the first start: said before, since it may take its time.
async fn end_survivors(os: &mut Os) {
    let Some((count, longest)) = os.survivors() else { return };
    let what = if count == 1 { "process" } else { "processes" };
    let longest = longest.as_secs_f64();
    warn!(
        "a killed circusd may have left {count} {what} behind: ending what is there, within {longest:.0} s"
    );
    let ended = os.end_survivors().await;
    let what = if ended == 1 { "process" } else { "processes" };
    warn!("ended {ended} {what} that a killed circusd had left behind");
}

/// Says what an open endpoint means.
fn warn_of_strangers(endpoints: &[Endpoint]) {
    for endpoint in endpoints.iter().filter(|endpoint| !endpoint.is_loopback()) {
        warn!("{endpoint} can be reached from other machines: whoever reaches it controls every process");
    }
}

/// Descriptors a process costs while it is watched: its pidfd and its statistics; and each of its streams a pipe.
const DESCRIPTORS_EACH: u64 = 2;
/// What the daemon needs besides, clients included.
const DESCRIPTORS_BASE: u64 = 256;

/// Clients may take one descriptor in so many, and subscribers of each kind of events: the others are for processes.
const CLIENTS_PART: u64 = 2;
const SUBSCRIBERS_PART: u64 = 8;

/// How many an endpoint may have at one time.
fn peers(granted: Descriptors, part: u64) -> usize {
    usize::try_from(granted.hard / part).map_or(MAX_PEERS, |most| most.min(MAX_PEERS))
}

/// Says at the start, and not in the middle of the night, that the limit is too small for the plan.
fn warn_of_descriptors(config: &Config, granted: Descriptors) {
    let each = |watcher: &WatcherConfig| {
        let pipes = Channel::ALL.into_iter().filter(|channel| watcher.is_piped(*channel)).count();
        u64::from(watcher.numprocesses) * (DESCRIPTORS_EACH + pipes as u64)
    };
    let needed = DESCRIPTORS_BASE + config.watchers.iter().map(each).sum::<u64>();
    if granted.hard < needed {
        warn!("the limit of {} open files is too small: this configuration needs {needed}", granted.hard);
    }
}
