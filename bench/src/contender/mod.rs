//! Who is measured, one file each, and what a scenario may ask of them.
//!
//! Every contender is driven as its own users drive it: the ZeroMQ protocol, XML-RPC, or for the limits a plain line
//! over a socket. What runs is observed elsewhere (`board`), alike for all.

mod circus;
mod limit;
mod ours;
mod supervisor;
mod venv;
mod wire;

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Pid;

use crate::{failure::Failure, place::Place};

pub use venv::Venv;

/// Which one. The order is that of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Name {
    /// This project's circusd.
    Circusd,
    /// Python's Circus.
    Circus,
    /// Supervisor.
    Supervisor,
    /// The bare posix_spawn loop with a raw ZeroMQ echo beside it.
    Limit,
}

impl Name {
    /// The head of its column.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Circusd => "circusd",
            Self::Circus => "Circus",
            Self::Supervisor => "Supervisor",
            Self::Limit => "limit",
        }
    }
}

/// How the processes are spread over watchers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layout {
    /// One watcher has them all.
    One,
    /// Each has its own.
    Each,
    /// One watcher has them all, and statistics are published.
    Statistics,
    /// There is one program instead, `flood`, whose output is kept in files that are rotated.
    Capture,
}

impl Layout {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 4] = [Self::One, Self::Each, Self::Statistics, Self::Capture];

    /// As it stands in the table.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::One => "one watcher",
            Self::Each => "a watcher each",
            Self::Statistics => "one watcher",
            Self::Capture => "one program",
        }
    }
}

/// A question that changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The watchers' names; of Supervisor, its state.
    List,
    /// How many processes there are.
    NumProcesses,
}

/// A contender that can be launched.
pub trait Contender {
    /// Which one it is.
    fn name(&self) -> Name;

    /// Its version, as it says itself.
    ///
    /// # Errors
    /// It cannot be run.
    fn version(&self) -> Result<String, Failure>;

    /// Whether it has such a thing.
    fn can(&self, _layout: Layout) -> bool {
        true
    }

    /// Launches it with all processes to be started at once. Does not wait for them.
    ///
    /// # Errors
    /// It cannot be run.
    fn launch(&self, place: &Place, layout: Layout) -> Result<Launched, Failure>;
}

/// A contender that was launched.
pub struct Launched {
    /// The daemon, or what stands for it.
    pub pid: Pid,
    /// Where it publishes events, if it does.
    pub events: Option<String>,
    /// Where it publishes statistics, if it does.
    pub statistics: Option<String>,
    connect: Box<dyn Fn() -> Result<Box<dyn Control>, Failure>>,
}

impl Launched {
    fn new(pid: Pid, connect: impl Fn() -> Result<Box<dyn Control>, Failure> + 'static) -> Self {
        Self { pid, events: None, statistics: None, connect: Box::new(connect) }
    }

    fn with_events(self, endpoint: String) -> Self {
        Self { events: Some(endpoint), ..self }
    }

    fn with_statistics(self, endpoint: Option<String>) -> Self {
        Self { statistics: endpoint, ..self }
    }

    /// A new client of it.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn connect(&self) -> Result<Box<dyn Control>, Failure> {
        (self.connect)()
    }
}

/// A client of a running contender.
pub trait Control: Send {
    /// Starts all processes; returns when that is answered.
    ///
    /// # Errors
    /// It is refused, or takes too long.
    fn start(&mut self) -> Result<(), Failure>;

    /// Stops all processes; returns when that is answered.
    ///
    /// # Errors
    /// It is refused, or takes too long.
    fn stop(&mut self) -> Result<(), Failure>;

    /// Whether it has an answer to this.
    fn knows(&self, _question: Question) -> bool {
        true
    }

    /// Does something small of which one event tells, and waits for the answer.
    ///
    /// # Errors
    /// It is refused, or takes too long, or there are no events.
    fn make_event(&mut self) -> Result<(), Failure> {
        Err(Failure::Broken("nobody publishes events here".to_owned()))
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// It is refused, or takes too long.
    fn ask(&mut self, question: Question) -> Result<(), Failure>;
}

/// Those of the list that are there; a line on stderr says why one is not.
#[must_use]
pub fn available(names: &[Name], place: &Place) -> Vec<Box<dyn Contender>> {
    let python = names.iter().any(|name| matches!(name, Name::Circus | Name::Supervisor));
    let venv = if python { Venv::prepare(&place.target) } else { None };
    let make = |name: &Name| -> Option<Box<dyn Contender>> {
        match name {
            Name::Circusd => Some(Box::new(ours::Ours::new(place))),
            Name::Circus => Some(Box::new(circus::Circus::new(venv.clone()?))),
            Name::Supervisor => Some(Box::new(supervisor::Supervisor::new(venv.clone()?))),
            Name::Limit => Some(Box::new(limit::Limit)),
        }
    };
    names.iter().filter_map(make).collect()
}

/// Runs a daemon in the background; what it says goes to a file in the run folder.
#[expect(clippy::disallowed_methods, reason = "a benchmark runs programs; `tree` ends and reaps them")]
fn run(command: &mut Command, place: &Place, log: &str) -> Result<Pid, Failure> {
    let output = File::create(place.run.join(log))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .current_dir(&place.run)
        .spawn();
    let child = child.map_err(|error| Failure::Broken(format!("cannot run {command:?}: {error}")))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Failure::Broken("a process without a pid".to_owned()))
}

/// The first line a program prints.
#[expect(clippy::disallowed_methods, reason = "a benchmark runs programs")]
fn first_line(command: &mut Command) -> Result<String, Failure> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.trim().to_owned()),
        Some(_) | None => Err(Failure::Broken(format!("{command:?} does not say its version"))),
    }
}

/// A port nobody listens on just now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write(path, text)?)
}
