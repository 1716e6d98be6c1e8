//! What the core is told: everything that happens outside arrives as one of these.

use std::fmt;

use circus_common::{
    Signal,
    config::Config,
    protocol::{Command, Reply},
};

use super::{
    hook::{HookAnswer, HookFault, HookTrial},
    id::{HookId, MemberId, ProcessId, RequestId, WatcherId},
    socket::OpenSocket,
    stream::{Fault, Trial},
};

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// The endpoints are bound: begin the start-up sequence.
    Boot,
    /// A client asks. A cast arrives with `reply: false` and is never answered.
    Request {
        /// Names the answer.
        request: RequestId,
        /// What is asked.
        command: Box<Command>,
        /// Whether an answer is wanted.
        reply: bool,
    },
    /// A spawn succeeded: the program runs.
    Spawned {
        /// Which.
        process: ProcessId,
        /// Its number, for messages only.
        pid: i32,
        /// Wall time just before the fork.
        started: f64,
    },
    /// A spawn failed; nothing of it is left.
    SpawnFailed {
        /// Which.
        process: ProcessId,
        /// Why.
        failure: SpawnFailure,
    },
    /// A process ended and was reaped. Comes exactly once for each `Spawned`, after it.
    Exited {
        /// Which.
        process: ProcessId,
        /// How.
        exit: Exit,
        /// Whether somebody is left in the process group it led.
        group_alive: bool,
    },
    /// The answer to one `Effect::Survey`: for each process asked for, the members found besides itself.
    Surveyed {
        /// By process; each one asked for is present, with an empty list if it is alone.
        found: Vec<(ProcessId, Vec<Member>)>,
    },
    /// A member found by a survey has ended.
    MemberGone {
        /// Whose it was.
        process: ProcessId,
        /// Which.
        member: MemberId,
    },
    /// A question to the system was answered.
    Answered {
        /// Whose question.
        request: RequestId,
        /// The answer as it is to be sent.
        reply: Reply,
    },
    /// User and group of a `set` were looked up.
    Resolved {
        /// Whose `set`.
        request: RequestId,
        /// The numbers found for `(uid, gid)`, or why there are none.
        account: Result<(Option<u32>, Option<u32>), String>,
    },
    /// A hook has answered. What was taken back meanwhile is passed over.
    HookDone {
        /// The question.
        hook: HookId,
        /// The answer.
        answer: Box<HookAnswer>,
    },
    /// Hooks were looked up.
    HooksTried {
        /// For what.
        trial: HookTrial,
        /// Those that cannot be had; none if all can.
        faults: Vec<HookFault>,
    },
    /// The configuration was read again.
    ConfigLoaded {
        /// What it is for.
        purpose: LoadPurpose,
        /// The configuration, or every mistake of the file, one a line.
        config: Result<Box<Config>, String>,
    },
    /// Streams were tried out.
    StreamsTried {
        /// For what.
        trial: Trial,
        /// What is wrong with them; nothing if all can be had.
        faults: Vec<Fault>,
    },
    /// Sockets were prepared: those that are open now, or why nothing has changed.
    SocketsPrepared(Result<Vec<OpenSocket>, String>),
    /// Somebody connects to a socket that is awaited; it is not awaited any more.
    Connection {
        /// The socket's name.
        socket: String,
        /// Whether the connection was waiting already when the socket began to be awaited.
        waiting: bool,
    },
    /// The connections on a watcher's sockets were counted.
    ConnectionsCounted {
        /// Whose.
        watcher: WatcherId,
        /// How many are open, those nobody has accepted yet included.
        connections: usize,
    },
    /// A signal to circusd itself.
    Signalled(DaemonSignal),
    /// The moment `next_deadline` named has come. Too early or too often is harmless.
    Deadline,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The wire's number: the status, or minus the signal.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => -number,
        }
    }
}

/// `exited with 1`, `was ended by SIGKILL`.
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with {code}"),
            Self::Signal(number) => match Signal::from_number(i64::from(*number)) {
                Ok(signal) => write!(f, "was ended by {signal}"),
                Err(_) => write!(f, "was ended by signal {number}"),
            },
        }
    }
}

/// A descendant of a process, held by a descriptor in `os/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub id: MemberId,
    /// Its number, for messages only.
    pub pid: i32,
    /// Whether the process itself is its parent.
    pub direct: bool,
}

/// Why a spawn failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnFailure {
    /// The message, such as `[Errno 2] No such file or directory: 'nope'`.
    pub text: String,
    /// Whether the machine was at fault (EAGAIN, ENOMEM, EMFILE, ENFILE): such a failure is no try.
    pub machine: bool,
}

/// A signal that circusd handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonSignal {
    /// Reload all watchers.
    Hup,
    /// Quit; a second one shortens the grace.
    Int,
    /// Quit; a second one shortens the grace.
    Term,
    /// Quit.
    Quit,
}

/// Why the configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadPurpose {
    /// `reloadconfig`.
    Reload,
    /// `restart` of the daemon in place.
    Restart,
}
