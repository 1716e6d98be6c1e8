//! Runs a built-in plugin: owns its sockets, timers and files, and joins them to the state machine.
//!
//! One loop owns the plugin. Whatever may take its time (circusd's answers, web servers, mail, the disk) happens
//! elsewhere and comes back as an input; every queue between is bounded, and what does not fit is dropped with a
//! line of log.

mod deliver;
mod events;
mod files;
mod link;
mod outside;
mod scrape;
mod statsd;
mod watch;

use std::{error::Error, io, time::Duration};

use circus_common::{
    ErrorChain,
    config::plugin::builtin::Builtin,
    log::{self, LogError, Settings},
};
use tokio::{
    net::UdpSocket,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tracing::{error, info, warn};

use self::{deliver::Ways, link::Link, scrape::Scrapes, statsd::Statsd, watch::Watch};
use crate::{
    cli::Job,
    machine::{Action, Input, Plugin},
    options::OptionError,
    plugins::{self, Setup},
};

/// Inputs that may wait for the plugin.
const INPUTS: usize = 1024;
/// Threads for what blocks.
const THREADS: usize = 8;
/// The largest heartbeat.
const DATAGRAM: usize = 1024;
/// How long the tasks of the end may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a plugin cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An option makes no sense, or the plugin is switched off.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The system refuses what every program needs.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The address for scrapes cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The tunnel was closed with the connection through it, or no new connection can be made.
    #[error("the connection to circusd is lost")]
    WayLost,
    /// An endpoint is none, or cannot be connected to, ever.
    #[error("{0}")]
    Endpoint(String),
}

/// Runs a plugin until a signal ends it.
///
/// # Errors
/// When it cannot be started.
pub fn run(builtin: Builtin, job: &Job) -> Result<(), RunError> {
    let settings = log_settings(job);
    let log = log::start_as(builtin.spec().logger, &settings)?;
    info!("Loading the plugin...");
    info!("Endpoint: '{}'", job.endpoint);
    info!("Pub/sub: '{}'", job.pubsub);
    let done = start(builtin, job);
    if let Err(error) = &done
        && settings.is_file()
    {
        error!("{}", ErrorChain(error));
    }
    log.flush();
    done
}

/// Writes why a plugin cannot run into its log, unless that is stderr.
///
/// # Errors
/// When there is no log.
pub fn log_failure(job: &Job, failure: &dyn Error) -> Result<(), LogError> {
    let settings = log_settings(job);
    if settings.is_file() {
        let log = log::start_as("circus", &settings)?;
        error!("{}", ErrorChain(failure));
        log.flush();
    }
    Ok(())
}

/// As the command line says it. A level nobody knows is `info`, and no place is stderr.
fn log_settings(job: &Job) -> Settings {
    let output = Some(job.log_output.trim()).filter(|output| !output.is_empty());
    Settings { level: Some(job.log_level.clone()), output: output.map(str::to_owned), config: None }
}

fn start(builtin: Builtin, job: &Job) -> Result<(), RunError> {
    let setup = Setup {
        options: job.options.clone(),
        check_delay: job.check_delay,
        host: outside::host_name(),
        own_events: job.events.is_some(),
    };
    let plugin = plugins::build(builtin, &setup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .map_err(|source| RunError::System { what: "start the runtime", source })?;
    info!("Starting");
    let done = runtime.block_on(async { Runner::begin(plugin, job).await?.work().await });
    // What still waits for a server must not hold up the end.
    runtime.shutdown_timeout(Duration::ZERO);
    info!("Stopping");
    done
}

/// A plugin and everything it acts by.
struct Runner {
    plugin: Box<dyn Plugin>,
    began: Instant,
    inputs: mpsc::Receiver<Input>,
    answers: mpsc::Sender<Input>,
    signals: Signals,
    link: Link,
    statsd: Option<Statsd>,
    datagrams: Option<UdpSocket>,
    scrapes: Option<Scrapes>,
    watch: Watch,
    ways: Ways,
    /// Whether the statistics are followed already.
    follows_sockets: bool,
}

impl Runner {
    async fn begin(plugin: Box<dyn Plugin>, job: &Job) -> Result<Self, RunError> {
        let signals =
            Signals::new().map_err(|source| RunError::System { what: "listen to signals", source })?;
        let (answers, inputs) = mpsc::channel(INPUTS);
        let needs = plugin.needs();
        let (endpoint, pubsub) = outside::ways(job).map_err(RunError::Endpoint)?;
        let main = events::Main { is_tunnel: job.ssh.is_some() };
        events::follow(&pubsub, &["watcher."], Some(main), answers.clone())
            .await
            .map_err(RunError::Endpoint)?;
        if let Some(own) = job.events.as_ref().filter(|_| needs.own_events) {
            events::follow(own, &["circus."], None, answers.clone()).await.map_err(RunError::Endpoint)?;
        }
        let datagrams = match &needs.datagrams {
            Some((ip, port)) => bind(ip, *port).await,
            None => None,
        };
        let scrapes = match &needs.metrics {
            Some(address) => {
                let scrapes = Scrapes::listen(address, answers.clone()).await;
                let scrapes =
                    scrapes.map_err(|source| RunError::Listen { address: address.clone(), source })?;
                info!("metrics on http://{}/metrics", scrapes.address());
                Some(scrapes)
            }
            None => None,
        };
        Ok(Self {
            plugin,
            began: Instant::now(),
            inputs,
            link: Link::new(&endpoint, answers.clone()).map_err(RunError::Endpoint)?,
            watch: Watch::new(answers.clone()),
            ways: Ways::new(answers.clone()),
            answers,
            signals,
            statsd: needs.statsd.map(|(host, port)| Statsd::start(host, port)),
            datagrams,
            scrapes,
            follows_sockets: false,
        })
    }

    async fn work(mut self) -> Result<(), RunError> {
        let mut actions = Vec::new();
        let mut buffer = [0; DATAGRAM];
        loop {
            let deadline = self.plugin.next_deadline().map(|moment| self.began + moment);
            let input = tokio::select! {
                () = self.signals.next() => break,
                Some(input) = self.inputs.recv() => input,
                Some(length) = received(self.datagrams.as_ref(), &mut buffer) => {
                    Input::Datagram(buffer[..length].to_vec())
                }
                () = until(deadline) => Input::Deadline,
            };
            if input == Input::WayLost {
                return Err(RunError::WayLost);
            }
            if let Input::Untold { order, reason } = &input {
                warn!("cannot tell circusd {order:?}: {reason}");
            }
            self.plugin.handle(self.began.elapsed(), input, &mut actions);
            for action in actions.drain(..) {
                self.carry_out(action);
            }
        }
        // Orders that were given are carried out before the end, if circusd is there to take them.
        let _ = tokio::time::timeout(FAREWELL, self.link.close()).await;
        if let Some(statsd) = self.statsd.take() {
            let _ = tokio::time::timeout(FAREWELL, statsd.close()).await;
        }
        Ok(())
    }

    fn carry_out(&mut self, action: Action) {
        let answers = self.answers.clone();
        match action {
            Action::Log(level, text) => log::say(level, text),
            Action::Ask(question) => sent(self.link.ask(question)),
            Action::Tell(order) => sent(self.link.tell(order)),
            Action::Metric(line) => {
                if let Some(statsd) = &self.statsd {
                    statsd.send(line);
                }
            }
            Action::Fetch { url, timeout } => {
                elsewhere(answers, move || Input::Fetched(outside::fetch(&url, timeout)));
            }
            Action::AskRedis { url, timeout } => {
                elsewhere(answers, move || Input::Redis(outside::redis_info(&url, timeout)));
            }
            Action::Look(look) => elsewhere(answers, move || files::look(look)),
            Action::Watch { flat, deep } => self.watch.set(&flat, &deep),
            Action::Deliver { way, message, timeout } => sent(self.ways.hand_over(way, message, timeout)),
            Action::CountDescriptors(pids) => {
                elsewhere(answers, move || Input::Descriptors(files::descriptors(&pids)));
            }
            Action::Serve { id, body } => {
                if let Some(scrapes) = &self.scrapes {
                    scrapes.serve(id, body);
                }
            }
            Action::FollowSockets(endpoint) => {
                if !std::mem::replace(&mut self.follows_sockets, true) {
                    tokio::spawn(events::follow_sockets(endpoint, answers));
                }
            }
        }
    }
}

fn sent(sent: Result<(), &'static str>) {
    if let Err(reason) = sent {
        warn!("{reason}");
    }
}

/// Does what may block on a thread for that.
fn elsewhere(answers: mpsc::Sender<Input>, work: impl FnOnce() -> Input + Send + 'static) {
    tokio::task::spawn_blocking(move || {
        // The plugin may have ended meanwhile.
        let _ = answers.blocking_send(work());
    });
}

async fn bind(ip: &str, port: u16) -> Option<UdpSocket> {
    match UdpSocket::bind((ip, port)).await {
        Ok(socket) => {
            let port = socket.local_addr().map_or(port, |address| address.port());
            info!("Watchdog listening UDP on {ip}:{port}");
            Some(socket)
        }
        Err(error) => {
            error!("Problem while binding watchdog socket on {ip}:{port} (err {error}");
            None
        }
    }
}

/// The length of the next datagram; `None` when there is nothing to receive by, or it cannot be received.
async fn received(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> Option<usize> {
    match socket {
        Some(socket) => socket.recv(buffer).await.ok(),
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The signals that end a plugin.
struct Signals([Signal; 2]);

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
