//! What the core says about hooks, and what it hears of them. Nothing of them runs here.
//!
//! Invariant: each question is answered once, by the hook, by its time limit, or by being taken back; what comes later
//! counts for nothing.

use std::{fmt, sync::Arc, time::Duration};

use circus_common::{
    Signal,
    config::{Degree, HookAction, HookName, Mistake, Places},
    protocol::Happening,
};
use serde_json::{Map, Value, json};

use super::{
    effect::SpawnSpec,
    id::{ProcessId, RequestId},
    input::Exit,
    time::Timestamp,
};

/// All that asking one hook needs.
#[derive(Clone, Debug, PartialEq)]
pub struct HookOrder {
    /// The moment.
    pub hook: HookName,
    /// Whom to ask, and as whom.
    pub place: HookPlace,
    /// What the hook is told besides `watcher`, `arbiter` and `hook_name`: `pid`, `signum` and so on.
    pub details: Map<String, Value>,
    /// The watcher as the hook sees it: `name`, `status`, `processes`, `options`.
    pub watcher: Map<String, Value>,
    /// The managed sockets as hooks see them, by name.
    pub sockets: Arc<Map<String, Value>>,
    /// When the arbiter will take the question back; `None` is never.
    pub limit: Option<Duration>,
}

/// Whom to ask, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub struct HookPlace {
    /// The watcher's name, as written.
    pub watcher: String,
    /// Whom.
    pub action: HookAction,
    /// The process that is asked: the program itself, or the Python that calls the callable. It may be shared by all
    /// that name the same one. What is built in needs none.
    pub spawn: Option<Box<SpawnSpec>>,
}

/// What a hook has answered.
#[derive(Clone, Debug, PartialEq)]
pub struct HookAnswer {
    /// What it says.
    pub verdict: Verdict,
    /// Options of the watcher that it has changed.
    pub changes: Map<String, Value>,
    /// The figures of `extended_stats`, with what it has added.
    pub stats: Option<Map<String, Value>>,
}

impl HookAnswer {
    /// An answer that says only this.
    #[must_use]
    pub fn plain(verdict: Verdict) -> Self {
        Self { verdict, changes: Map::new(), stats: None }
    }
}

/// What a hook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Yes,
    /// Do not.
    No,
    /// Ask again a little later.
    NotNow,
    /// It could not say, and why.
    Failed(String),
}

/// For what hooks are looked up before they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookTrial {
    /// A `set`, named by its request.
    Set(RequestId),
    /// The change of the set of watchers whose turn it is.
    Admin,
}

/// One hook to be looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct HookCandidate {
    /// The moment.
    pub hook: HookName,
    /// Whom to ask, and as whom.
    pub place: HookPlace,
}

impl HookCandidate {
    /// It cannot be had.
    #[must_use]
    pub fn fault(&self, reason: String) -> HookFault {
        HookFault { watcher: self.place.watcher.clone(), hook: self.hook, reason }
    }
}

/// Why a hook cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookFault {
    /// The watcher's name.
    pub watcher: String,
    /// The moment.
    pub hook: HookName,
    /// The reason, such as `No module named 'my'`.
    pub reason: String,
}

impl HookFault {
    /// The same as a mistake of the file that is read.
    #[must_use]
    pub fn mistake(&self, places: &Places) -> Mistake {
        let option = format!("hooks.{}", self.hook);
        places.of_watcher(Degree::BrokenSection, &self.watcher, &option, &[&option], self.reason.clone())
    }
}

impl fmt::Display for HookFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hooks.{}: {}", self.hook, self.reason)
    }
}

/// Whether a question that is asked until its answer is not "not now" is with its hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// It is.
    Asked,
    /// It is to be asked at this moment.
    Due(Timestamp),
}

/// Which hooks a signal to a process passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SignalHooks {
    /// Whether one decides before it.
    pub before: bool,
    /// Whether one hears of it afterwards.
    pub after: bool,
}

/// Why a signal is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// The process is being ended, and the answer says how its end goes on.
    End,
    /// It is being ended already, and this signal comes on top.
    Further,
    /// Somebody asked for this signal and nothing else.
    Command,
}

/// What a process wants of its watcher's hooks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// `before_signal` is to be asked.
    MaySignal {
        /// To whom.
        process: ProcessId,
        /// Its number.
        pid: i32,
        /// What.
        signal: Signal,
        /// Why.
        errand: Errand,
    },
    /// Something is to be told of it, after what is told already.
    Tell {
        /// Of whom.
        process: ProcessId,
        /// What.
        telling: Telling,
    },
}

/// Something to be told of a process.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Telling {
    /// To a hook, whose answer is awaited and counts for nothing.
    Hook(HookName, Occasion),
    /// To the subscribers.
    Event(Happening),
}

impl Telling {
    /// Whether it is where the telling of an end begins.
    pub const fn is_end(&self) -> bool {
        match self {
            Self::Hook(hook, _) => matches!(hook, HookName::BeforeReap),
            Self::Event(happening) => matches!(happening, Happening::Reap { .. }),
        }
    }
}

/// What a hook is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// The watcher.
    Watcher,
    /// A process that was spawned.
    Spawned {
        /// Its number.
        pid: i32,
    },
    /// A signal.
    Signal {
        /// To whom.
        pid: i32,
        /// What.
        signal: Signal,
    },
    /// An end that is not told yet.
    Reap {
        /// Of whom.
        pid: i32,
    },
    /// An end that was told.
    Reaped {
        /// Of whom.
        pid: i32,
        /// How.
        exit: Exit,
    },
}

/// What Circus calls the status of a process of which nothing is left.
const GONE: u8 = 2;

impl Occasion {
    /// The hook's own arguments.
    pub fn details(self, time: f64) -> Map<String, Value> {
        let details = match self {
            Self::Watcher => Value::Object(Map::new()),
            Self::Spawned { pid } => json!({"pid": pid}),
            Self::Signal { pid, signal } => json!({"pid": pid, "signum": signal.number()}),
            Self::Reap { pid } => json!({"process_pid": pid, "time": time}),
            Self::Reaped { pid, exit } => {
                json!({"process_pid": pid, "time": time, "exit_code": exit.code(), "process_status": GONE})
            }
        };
        details.as_object().cloned().unwrap_or_default()
    }
}
