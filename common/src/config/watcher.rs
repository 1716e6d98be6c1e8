//! One watcher's options as typed values.
//!
//! The fields are plain; what an option is called, how its text is read, whether `set` may change it and what
//! that change means stands in the option table.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde_json::Value;

use super::hook::{HookConfig, HookName};
use crate::Signal;

/// Everything one `[watcher:NAME]` section, or one `add` command, says.
#[derive(Clone, Debug, PartialEq)]
pub struct WatcherConfig {
    /// The name as written; looked up lower-cased.
    pub name: String,
    /// The command, after expansion of `circus.env.*` only.
    pub cmd: String,
    /// What is appended to the command.
    pub args: Args,
    /// How many processes are wanted.
    pub numprocesses: u32,
    /// The pause between the starts of two processes.
    pub warmup_delay: Seconds,
    /// Where the processes start; resolved.
    pub working_dir: String,
    /// Whether the command goes to `/bin/sh -c`.
    pub shell: bool,
    /// Further arguments of that shell.
    pub shell_args: Option<String>,
    /// The file to execute when it is not the command's first word.
    pub executable: Option<String>,
    /// The user the processes run as.
    pub uid: Option<Account>,
    /// The group the processes run as.
    pub gid: Option<Account>,
    /// Whether the environment starts from circusd's own.
    pub copy_env: bool,
    /// Whether circusd's PYTHONPATH is handed on.
    pub copy_path: bool,
    /// A Python virtual environment to put in front of the path.
    pub virtualenv: Option<String>,
    /// Its Python version, such as `3.11`.
    pub virtualenv_py_ver: Option<String>,
    /// The complete final environment of the processes; `None` when nothing was said (then it is empty).
    pub env: Option<BTreeMap<String, String>>,
    /// Whether a reload sends SIGHUP instead of replacing the processes.
    pub send_hup: bool,
    /// The signal that asks a process to end.
    pub stop_signal: Signal,
    /// Whether that signal also goes to the direct children.
    pub stop_children: bool,
    /// How many failed spawns in a row are borne; `None` is for ever (written -1).
    pub max_retry: Option<u32>,
    /// Seconds from the stop signal to SIGKILL.
    pub graceful_timeout: f64,
    /// Higher starts first.
    pub priority: i64,
    /// At most one process, ever.
    pub singleton: bool,
    /// Whether every managed socket is inherited.
    pub use_sockets: bool,
    /// Whether the start waits for a connection.
    pub on_demand: bool,
    /// Seconds after which a process is replaced; 0 is never.
    pub max_age: u64,
    /// The width of the random addition to it, in seconds.
    pub max_age_variance: u64,
    /// Whether a process that ended is replaced.
    pub respawn: bool,
    /// Whether circusd starts it by itself.
    pub autostart: bool,
    /// Whether stdin is /dev/null.
    pub close_child_stdin: bool,
    /// Whether stdout is /dev/null.
    pub close_child_stdout: bool,
    /// Whether stderr is /dev/null.
    pub close_child_stderr: bool,
    /// The managed socket that becomes stdin.
    pub stdin_socket: Option<String>,
    /// Own option: the interpreter of its Python stream classes and hooks; `None` is that of `[circus]`.
    pub python: Option<String>,
    /// Own option: managed sockets handed over as descriptors 3 and up with `LISTEN_FDS`, in this order.
    pub listen_fds: Vec<String>,
    /// Own option: seconds without a connection after which an `on_demand` watcher is stopped; 0 is never.
    pub idle_timeout: f64,
    /// `stdout_stream.*`, `class` included; `None` when there is no such key.
    pub stdout_stream: Option<IndexMap<String, Value>>,
    /// `stderr_stream.*` likewise.
    pub stderr_stream: Option<IndexMap<String, Value>>,
    /// `rlimit_NAME` by lower-case NAME in the order written; `None` is infinity.
    pub rlimits: IndexMap<String, Option<u64>>,
    /// `hooks.NAME`: whom to ask at that moment.
    pub hooks: BTreeMap<HookName, HookConfig>,
    /// Own option: seconds after which a hook that has not answered counts as failed; 0 is never.
    pub hook_timeout: f64,
    /// Own option: the age in seconds from which an exit counts as the end of a healthy life (0: never back off).
    pub respawn_healthy: f64,
    /// Own option: how long a reload candidate must have lived before an old process is stopped, in seconds.
    pub reload_settle: f64,
    /// Own option: whether a reload whose candidates die is undone; `None` follows from the use of sockets.
    pub reload_undo: Option<bool>,
    /// Own option: what happens to the descendants a stopped process leaves behind.
    pub orphans: Orphans,
    /// Free-form options, kept for plugins, `options`, `get` and `$(circus.KEY)`.
    pub extra: BTreeMap<String, Value>,
    /// Whether it came from a file, which `options` shows in the shape of a few values (`args` `""` against null).
    pub from_file: bool,
    /// Whether circusd brings it along, for a plugin or for statistics: then a stream that nobody gave is null.
    pub brought_along: bool,
}

impl WatcherConfig {
    /// Whether its processes get a managed socket in any way.
    #[must_use]
    pub fn uses_managed_sockets(&self) -> bool {
        self.use_sockets || !self.sockets().is_empty()
    }

    /// The sockets it uses by name, lower-cased: in cmd and args, `stdin_socket` and `listen_fds`.
    #[must_use]
    pub fn sockets(&self) -> BTreeSet<String> {
        let named = super::expand::sockets_named(self).into_iter();
        let stdin = self.stdin_socket.iter().map(|name| name.to_lowercase());
        let listen = self.listen_fds.iter().map(|name| name.to_lowercase());
        named.chain(stdin).chain(listen).collect()
    }

    /// Whether a reload whose candidates die is undone. Without a shared socket the default is no: such a program
    /// may hold its port itself, and then the new one can live only after the old one.
    #[must_use]
    pub fn undoes_reload(&self) -> bool {
        self.reload_undo.unwrap_or_else(|| self.uses_managed_sockets())
    }
}

/// What is appended to a watcher's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Args {
    /// Nothing was said.
    None,
    /// One text, split like a shell does.
    Text(String),
    /// Separate words, never split (only by `add` and `set`).
    List(Vec<String>),
}

/// A user or group as configured.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// By number.
    Id(u32),
    /// By name, or by number written as text; looked up when a process is spawned.
    Name(String),
}

/// A duration in seconds that remembers how it was written: `options` shows `1` from a file and `0.0` from `add`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Seconds {
    /// Written as an integer.
    Whole(u64),
    /// Written as a number with a fraction; finite and not negative.
    Fraction(f64),
}

impl Seconds {
    /// The value in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no delay is longer than 2^52 seconds")]
    pub const fn value(self) -> f64 {
        match self {
            Self::Whole(seconds) => seconds as f64,
            Self::Fraction(seconds) => seconds,
        }
    }
}

/// What becomes of descendants that outlive their process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orphans {
    /// They get the stop signal, then SIGKILL (default).
    End,
    /// They are left alone, as Circus does.
    Keep,
}
