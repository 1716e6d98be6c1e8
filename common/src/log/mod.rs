//! The log of a daemon or a plugin: `2026-11-21 14:00:00 circus[42] [INFO] message key=value`.
//!
//! An event becomes a line on the log thread (`writer`); whoever logs only hands it over, and neither waits nor
//! writes. So a full disk, a stopped terminal or a slow syslog daemon costs log lines, which are counted, and
//! never a decision.
//!
//! Invariant: once started the log never fails. What its place refuses goes to stderr; settings that cannot be put
//! into force leave the old ones in force and say so.

mod format;
mod layer;
mod level;
mod output;
mod python;
mod record;
mod sink;
mod syslog;
mod writer;

use std::{
    fmt::Display,
    io,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::SigSet;
use tracing_subscriber::prelude::*;

pub use layer::LogLayer;
pub use level::{CRITICAL, Level};
pub use syslog::udp;

use format::Format;
use layer::Shared;
use output::Output;
use sink::Sink;
use writer::{Order, Writer};

/// The name of Circus' logger.
const CIRCUS: &str = "circus";

/// How long [`LogHandle::flush`] waits for a log thread that is stuck.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// What the command line and the file say about the log, the command line first; unset is Circus' default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `loglevel`. Unknown is `info`, as in Circus.
    pub level: Option<String>,
    /// `logoutput`.
    pub output: Option<String>,
    /// `loggerconfig`: `default` or a Python logging configuration.
    pub config: Option<String>,
}

impl Settings {
    /// Whether the log goes somewhere else than to stderr.
    #[must_use]
    pub fn is_file(&self) -> bool {
        let stderr =
            |output: &str| matches!(output.trim(), "" | "-" | "stdout" | "/dev/stderr" | "/dev/stdout");
        self.output.as_deref().is_some_and(|output| !stderr(output))
    }

    /// These settings, with `others` where these say nothing.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        let either =
            |mine: &Option<String>, other: &Option<String>| mine.as_ref().or(other.as_ref()).cloned();
        Self {
            level: either(&self.level, &others.level),
            output: either(&self.output, &others.output),
            config: either(&self.config, &others.config),
        }
    }
}

/// Why the log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `logoutput` makes no sense.
    #[error("cannot log to `{text}`: {why}")]
    Output {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The place of the log cannot be opened.
    #[error("cannot open the log file `{path}`")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("cannot start the log thread")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// Somebody has installed a subscriber before.
    #[error("cannot start the log twice in one process")]
    Twice,
}

/// Settings made into something to work by.
#[derive(Clone, Debug)]
struct Plan {
    level: Level,
    output: Output,
    format: Format,
    warnings: Vec<String>,
}

impl Plan {
    /// Reads the logger configuration too, if there is one; that may wait for a disk.
    fn new(settings: &Settings) -> Result<Self, LogError> {
        let level = settings.level.as_deref().and_then(Level::parse).unwrap_or(Level::Info);
        let output = || Output::parse(settings.output.as_deref().unwrap_or("-"));
        let translated = match settings.config.as_deref().map(str::trim) {
            None | Some("") => python::Translated::default(),
            Some(name) if name.eq_ignore_ascii_case("default") => python::Translated::default(),
            Some(path) => python::read(path),
        };
        let output = match translated.output {
            Some(output) => output,
            None => output()?,
        };
        let format = translated.format.unwrap_or_else(|| match output {
            Output::Syslog { .. } => Format::syslog(),
            Output::Stderr | Output::Stdout | Output::File(_) | Output::Nowhere => Format::line(),
        });
        Ok(Self { level: translated.level.unwrap_or(level), output, format, warnings: translated.warnings })
    }

    fn open(&self) -> Result<Sink, LogError> {
        Sink::open(&self.output).map_err(|source| {
            let path = match &self.output {
                Output::File(path) => path.display().to_string(),
                Output::Stderr | Output::Stdout | Output::Syslog { .. } | Output::Nowhere => String::new(),
            };
            LogError::Open { path, source }
        })
    }
}

/// Steers the running log. Cheap to clone; nothing here waits except [`LogHandle::flush`].
#[derive(Clone, Debug)]
pub struct LogHandle {
    orders: Sender<Order>,
}

impl LogHandle {
    /// Puts other settings into force, for what is logged from now on.
    pub fn apply(&self, settings: Settings) {
        self.order(Order::Apply(settings));
    }

    /// Opens the log file again.
    pub fn reopen(&self) {
        self.order(Order::Reopen);
    }

    /// Waits until what was logged so far is written, or until it is clear that it will not be. For the end of the
    /// process; never on the decision thread while it decides.
    pub fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        self.order(Order::Flush(done));
        // Too late is as good as never: the process must end.
        let _ = wait.recv_timeout(FLUSH_LIMIT);
    }

    fn order(&self, order: Order) {
        // The thread ends only with the process.
        let _ = self.orders.send(order);
    }
}

/// Opens the log and makes it the log of this process. Call it once, after `--daemon` has forked.
///
/// # Errors
/// `logoutput` makes no sense or cannot be opened, or the log runs already.
pub fn start(settings: &Settings) -> Result<LogHandle, LogError> {
    start_as(CIRCUS, settings)
}

/// The same under another name than Circus' own.
///
/// # Errors
/// As for [`start`].
pub fn start_as(name: &'static str, settings: &Settings) -> Result<LogHandle, LogError> {
    let (layer, handle) = open(name, settings)?;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .map_err(|_| LogError::Twice)?;
    Ok(handle)
}

/// Writes a line of a level that is known only now.
pub fn say(level: Level, text: impl Display) {
    match level {
        Level::Debug => tracing::debug!("{text}"),
        Level::Info => tracing::info!("{text}"),
        Level::Warning => tracing::warn!("{text}"),
        Level::Error => tracing::error!("{text}"),
        Level::Critical => tracing::error!(target: CRITICAL, "{text}"),
    }
}

/// Opens the log without making it anybody's.
fn open(name: &'static str, settings: &Settings) -> Result<(LogLayer, LogHandle), LogError> {
    let mut plan = Plan::new(settings)?;
    let sink = plan.open()?;
    let shared = Arc::new(Shared::new(plan.level));
    let warnings = std::mem::take(&mut plan.warnings);
    let (orders, received) = mpsc::channel();
    let writer = Writer::new(name, plan, sink, Arc::clone(&shared));
    spawn(move || writer.run(&received)).map_err(|source| LogError::Thread { source })?;
    for warning in warnings {
        // The channel is new and its thread runs: this cannot fail.
        let _ = orders.send(Order::Say(Level::Warning, warning));
    }
    Ok((LogLayer { shared, orders: orders.clone() }, LogHandle { orders }))
}

/// Starts the thread with every signal blocked, so that it never takes one that is meant for the daemon.
fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let before = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK)?;
    let spawned = thread::Builder::new().name("log".to_owned()).spawn(run);
    before.thread_set_mask()?;
    spawned.map(drop)
}

#[cfg(test)]
mod tests;
