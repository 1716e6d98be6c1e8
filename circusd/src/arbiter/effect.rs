//! What the core wants done: everything it does to the world leaves as one of these, in order.

use std::{collections::BTreeMap, sync::Arc};

use circus_common::{
    Signal,
    config::{Account, CircusConfig, Config},
    protocol::{Event, Reply},
};
use serde_json::Value;

use super::{
    hook::{HookCandidate, HookOrder, HookTrial},
    id::{HookId, MemberId, ProcessId, RequestId},
    input::LoadPurpose,
    socket::SocketEffect,
    stream::{Candidate, LogsQuestion, StreamOrder, Trial},
};

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Spawn a process; answered by `Input::Spawned` or `Input::SpawnFailed`.
    Spawn {
        /// Its name from now on.
        process: ProcessId,
        /// All that is needed for it.
        spec: Box<SpawnSpec>,
    },
    /// Send a signal through the process's descriptor. Without effect when it has just ended.
    Signal {
        /// To whom.
        process: ProcessId,
        /// What.
        signal: Signal,
    },
    /// The same to a member found by a survey.
    SignalMember {
        /// To whom.
        member: MemberId,
        /// What.
        signal: Signal,
    },
    /// Find all members of these processes in one pass over /proc; answered by one `Input::Surveyed`.
    /// Allowed until `Forget`, so also for processes that have exited.
    Survey {
        /// Which.
        processes: Vec<ProcessId>,
    },
    /// Nothing will be asked about this process any more: drop what is kept of it.
    Forget {
        /// Which.
        process: ProcessId,
    },
    /// The process lives on unmanaged: reap it silently, never touch it again (`rm` with `nostop`).
    Release {
        /// Which.
        process: ProcessId,
    },
    /// Ask a hook; answered by at most one `Input::HookDone`.
    RunHook {
        /// The name of the question.
        hook: HookId,
        /// What is asked of whom.
        order: Box<HookOrder>,
    },
    /// Take a question back: whatever works on it is ended, and no answer is wanted.
    CancelHook {
        /// Which.
        hook: HookId,
    },
    /// Find out whether these hooks can be had; answered by one `Input::HooksTried`.
    TryHooks {
        /// For what.
        trial: HookTrial,
        /// Which.
        candidates: Vec<HookCandidate>,
    },
    /// Tell the data plane, before whatever follows.
    Stream(StreamOrder),
    /// Find out whether these streams can be had; answered by one `Input::StreamsTried`.
    TryStreams {
        /// For what.
        trial: Trial,
        /// Which.
        candidates: Vec<Candidate>,
    },
    /// Answer a request.
    Reply {
        /// Which.
        request: RequestId,
        /// With what.
        reply: Reply,
    },
    /// Tell the subscribers.
    Publish(Event),
    /// Write a line to the log.
    Note(Note),
    /// Ask the system on behalf of a request; answered by `Input::Answered`.
    Ask {
        /// Whose question.
        request: RequestId,
        /// What.
        question: Question,
    },
    /// Look up user and group; answered by `Input::Resolved`.
    Resolve {
        /// Whose.
        request: RequestId,
        /// The user, if one is asked for.
        uid: Option<Account>,
        /// The group, if one is asked for.
        gid: Option<Account>,
    },
    /// Read the configuration again; answered by `Input::ConfigLoaded`.
    LoadConfig {
        /// For what.
        purpose: LoadPurpose,
    },
    /// Do something about managed sockets.
    Sockets(SocketEffect),
    /// Put changed `[circus]` settings into force that need no restart.
    ApplySettings(Box<CircusConfig>),
    /// Re-open circusd's own log file.
    ReopenLog,
    /// Every watcher is stopped: end what strays, send the replies that follow this, and leave the loop.
    Exit(Departure),
}

/// How the daemon leaves its loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Departure {
    /// The process ends.
    Quit,
    /// The daemon begins anew in the same process with this configuration, already checked.
    Restart(Box<Config>),
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How grave.
    pub level: Level,
    /// The whole text.
    pub text: String,
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each input and effect.
    Debug,
    /// A watcher changed.
    Info,
    /// Someone may have to act.
    Warning,
    /// Something was not done.
    Error,
}

/// A question to the system.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// `stats`: figures of these processes.
    Stats(StatsQuestion),
    /// `dstats`: figures of circusd itself.
    Dstats,
    /// `logs`, or the last words that `why` shows: what was printed.
    Logs(LogsQuestion),
    /// `signal` with `children`, `recursive` or `childpid`.
    SignalTree {
        /// To whose children.
        processes: Vec<ProcessId>,
        /// What.
        signal: Signal,
        /// To which of them.
        reach: Reach,
    },
}

/// Which processes of a tree a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All direct children, not the process.
    Children,
    /// The process first, then all descendants.
    Recursive,
    /// All descendants, not the process: it has hooks that are asked about it.
    Descendants,
    /// The one direct child with this pid; else errno 5 `process no longer exists (pid=N)`.
    Child(i64),
}

/// The shape of a `stats` answer.
#[derive(Clone, Debug, PartialEq)]
pub enum StatsQuestion {
    /// Everything: `infos` by watcher name.
    All(Vec<(String, Vec<StatsSubject>)>),
    /// One watcher: `name` as given, `info` by pid.
    Watcher {
        /// As the client gave it.
        name: String,
        /// Its processes.
        processes: Vec<StatsSubject>,
    },
    /// One process: `process` as given, `info`.
    Process {
        /// As the client gave it: a number, or a text with it.
        process: Value,
        /// The process.
        subject: StatsSubject,
    },
}

/// One process in a `stats` answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatsSubject {
    /// Which.
    pub process: ProcessId,
    /// Its number.
    pub pid: i32,
    /// Its slot.
    pub wid: u32,
    /// When it was spawned, seconds since the epoch.
    pub started: f64,
}

/// All that spawning one process needs. Text throughout; what the system cannot take (a NUL byte) fails the spawn.
#[derive(Clone, Debug, PartialEq)]
pub struct SpawnSpec {
    /// The watcher's name, for messages and the slot table.
    pub watcher: String,
    /// The argument vector; never empty.
    pub argv: Vec<String>,
    /// The file to execute if it is not `argv[0]`. Looked up in the child's PATH when it has no slash.
    pub executable: Option<String>,
    /// The exact environment.
    pub env: Arc<BTreeMap<String, String>>,
    /// Where it starts.
    pub working_dir: String,
    /// The user to become.
    pub uid: Option<Account>,
    /// The group to become.
    pub gid: Option<Account>,
    /// Limits by lower-case name in order; `None` is infinity. Unknown names fail the spawn.
    pub rlimits: Vec<(String, Option<u64>)>,
    /// Descriptor 0.
    pub stdin: Stdin,
    /// The managed sockets it gets.
    pub sockets: SocketOrder,
    /// Descriptor 1.
    pub stdout: Output,
    /// Descriptor 2.
    pub stderr: Output,
    /// For the slot table: how the next circusd ends it if this one dies.
    pub stop_signal: Signal,
    /// For the slot table, in seconds.
    pub graceful_timeout: f64,
    /// Whether what it leaves behind is to be left alone for good.
    pub keeps_orphans: bool,
}

/// What descriptor 0 of a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// /dev/null.
    Null,
    /// circusd's own.
    Inherit,
    /// The managed socket of that name.
    Socket(String),
}

/// The managed sockets a process gets, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOrder {
    /// Whether it inherits every one of them under its own number (`use_sockets`).
    pub all: bool,
    /// Those its options name: of one with `so_reuseport` it gets the slot's own.
    pub named: Vec<String>,
    /// Those it gets as descriptors 3 and up, announced by `LISTEN_FDS`.
    pub listen: Vec<String>,
}

/// What descriptor 1 or 2 of a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// circusd's own.
    Inherit,
    /// /dev/null.
    Null,
    /// A pipe of its own to the watcher's stream.
    Stream,
}
