//! The commands as typed values.

use serde_json::{Map, Value};

use crate::{Channel, Signal, config::Args};

/// One request, validated as far as that is possible without knowing the watchers.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Adds a watcher at run time. `options` were checked for known keys and types.
    Add {
        /// The watcher, as given.
        name: String,
        /// The program and its arguments.
        cmd: String,
        /// Further arguments.
        args: Args,
        /// Values by option, in the order given.
        options: Map<String, Value>,
        /// Whether to start it at once.
        start: bool,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Opens a managed socket at run time. New; Circus has no such command.
    AddSocket {
        /// The socket, as given.
        name: String,
        /// Values by key, as in a `[socket:NAME]` section.
        options: Map<String, Value>,
    },
    /// Takes processes away; negative adds.
    Decr {
        /// The watcher, as given.
        name: String,
        /// How many.
        nb: i64,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Figures of the daemon itself.
    Dstats,
    /// Values of some options of a watcher.
    Get {
        /// The watcher, as given.
        name: String,
        /// The options asked for.
        keys: Vec<String>,
    },
    /// Values of the daemon's own options.
    GlobalOptions {
        /// The one asked for.
        option: Option<String>,
    },
    /// Adds processes; negative takes away.
    Incr {
        /// The watcher, as given.
        name: String,
        /// How many.
        nb: i64,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// A shell inside the daemon: not supported, answered as Circus does without IPython.
    Ipython,
    /// Ends processes, which are then replaced.
    Kill {
        /// The watcher, as given.
        name: String,
        /// The process; all of them if none is named.
        pid: Option<i64>,
        /// The signal.
        signum: Option<Signal>,
        /// Seconds until SIGKILL, instead of the watcher's own.
        graceful_timeout: Option<f64>,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Watcher names, or the pids of one watcher.
    List {
        /// The watcher, as given.
        name: Option<String>,
    },
    /// Managed sockets.
    ListSockets,
    /// The last output of a watcher, or what comes next. New; Circus has no such command.
    Logs {
        /// The watcher, as given.
        name: String,
        /// The one output asked for; whatever has a stream if none is named.
        channel: Option<Channel>,
        /// Only lines with a greater number; the last ones if there is none.
        after: Option<u64>,
        /// At most so many lines.
        max: usize,
        /// Seconds to wait for the first.
        wait: f64,
    },
    /// Publishes that a plugin found a watcher flapping. New; Circus has no such command.
    Notify {
        /// The watcher, as given.
        name: String,
        /// How often it has been stopped for that.
        attempt: i64,
        /// Seconds until it is started again; none when it stays stopped.
        retry_in: Option<f64>,
    },
    /// How many processes there are.
    NumProcesses {
        /// The watcher, as given.
        name: Option<String>,
    },
    /// How many watchers there are.
    NumWatchers,
    /// Every option of a watcher.
    Options {
        /// The watcher, as given.
        name: String,
    },
    /// Stops everything and ends the daemon.
    Quit {
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Replaces processes gracefully.
    Reload {
        /// The watcher, as given.
        name: Option<String>,
        /// False restarts instead.
        graceful: bool,
        /// One process after the other.
        sequential: bool,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Applies the configuration file again; with `dry_run` only says what it would do.
    ReloadConfig {
        /// Whether the answer comes when the work has ended.
        waiting: bool,
        /// Whether only the plan is wanted.
        dry_run: bool,
    },
    /// Restarts watchers; without target the daemon, in place.
    Restart {
        /// Which watchers.
        target: Option<Target>,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Forgets a watcher.
    Rm {
        /// The watcher, as given.
        name: String,
        /// Whether its processes run on.
        nostop: bool,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Closes a managed socket that no watcher uses. New; Circus has no such command.
    RmSocket {
        /// The socket, as given.
        name: String,
    },
    /// Changes options, in order. Keys and types were checked.
    Set {
        /// The watcher, as given.
        name: String,
        /// Values by option, in the order given.
        options: Map<String, Value>,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Sends a signal. `signum` may be out of the kernel's range (then errno 4).
    Signal {
        /// The watcher, as given.
        name: String,
        /// The signal.
        signum: i64,
        /// The process; all of them if none is named.
        pid: Option<i64>,
        /// Only this direct child of it.
        childpid: Option<i64>,
        /// The direct children instead.
        children: bool,
        /// All descendants too.
        recursive: bool,
    },
    /// Starts watchers; without target all with autostart.
    Start {
        /// Which watchers.
        target: Option<Target>,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// Figures of processes.
    Stats {
        /// The watcher, as given.
        name: Option<String>,
        /// The one process asked for.
        process: Option<GivenPid>,
        /// Also what the `extended_stats` hook says.
        extended: bool,
    },
    /// States.
    Status {
        /// The watcher, as given.
        name: Option<String>,
    },
    /// Stops watchers; without target all.
    Stop {
        /// Which watchers.
        target: Option<Target>,
        /// Whether the answer comes when the work has ended.
        waiting: bool,
    },
    /// The last exits of each slot. New; Circus has no such command.
    Why {
        /// The watcher, as given.
        name: String,
    },
}

/// A pid, and how the client wrote it: the answer names it the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenPid {
    /// The number.
    pub pid: i64,
    /// The number, or a text with it.
    pub given: Value,
}

/// Which watchers a `start`, `stop` or `restart` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name or pattern as given.
    pub pattern: String,
    /// How it is compared with the lower-cased watcher names.
    pub method: Match,
}

/// How a [`Target`] is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Match {
    /// Equality of the lower-cased names.
    Simple,
    /// Python's `fnmatch`, the whole name.
    #[default]
    Glob,
    /// A regular expression, anchored at the start only.
    Regex,
}
