//! What a plugin is: a state machine. Inputs come in, actions go out; it touches nothing outside itself.
//!
//! A plugin has no socket, no file and no clock: [`Plugin::handle`] gets the time with each input, and whatever it
//! wants done leaves as an [`Action`], in order. What an action brings back is an input.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

pub use circus_common::log::Level;
use circus_common::protocol::event::Seen;
use serde_json::{Map, Value, json};

/// A JSON object.
pub type Members = Map<String, Value>;

/// The time since the plugin was started.
pub type Moment = Duration;

/// A plugin.
pub trait Plugin: Send {
    /// Takes in what happened and says what is to be done.
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>);

    /// When it wants [`Input::Deadline`] next.
    fn next_deadline(&self) -> Option<Moment> {
        None
    }

    /// What it needs from the runner besides circusd.
    fn needs(&self) -> Needs {
        Needs::default()
    }
}

/// What a plugin wants to receive besides circusd's events and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Where datagrams are received.
    pub datagrams: Option<(String, u16)>,
    /// Where metrics are asked for by HTTP.
    pub metrics: Option<String>,
    /// Whether the events are wanted that Circus does not have.
    pub own_events: bool,
    /// Where metrics are sent: the statsd server.
    pub statsd: Option<(String, u16)>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// circusd is there, for the first time or again: events may have been missed before.
    Connected,
    /// circusd published something.
    Event(Seen),
    /// The answer to a question.
    Answered {
        /// What was asked.
        question: Question,
        /// What came of it.
        answer: Answer,
        /// How long that took.
        took: Duration,
    },
    /// The way to circusd is lost for ever; only the runner sees this.
    WayLost,
    /// An order that did not reach circusd.
    Untold {
        /// Which.
        order: Order,
        /// Why not.
        reason: String,
    },
    /// The time that [`Plugin::next_deadline`] named has come; it may come early.
    Deadline,
    /// A datagram.
    Datagram(Vec<u8>),
    /// What [`Action::Fetch`] brought.
    Fetched(Result<Duration, FetchError>),
    /// What [`Action::AskRedis`] brought: the fields of INFO, or nothing.
    Redis(Result<BTreeMap<String, String>, String>),
    /// What [`Action::Look`] found.
    Looked {
        /// For which watcher.
        watcher: String,
        /// The files that are there.
        files: Vec<SeenFile>,
    },
    /// Something changed in a directory of [`Action::Watch`].
    Touched,
    /// Changes cannot be told by the kernel: they have to be looked for.
    CannotWatch,
    /// A message was handed over, or was not.
    Delivered {
        /// Which way it went.
        way: &'static str,
        /// Why it did not arrive.
        result: Result<(), String>,
    },
    /// Somebody asks for the metrics; to be answered by [`Action::Serve`].
    Scrape {
        /// Goes back with the answer.
        id: u64,
    },
    /// What [`Action::CountDescriptors`] found, by pid; processes that may not be looked at are left out.
    Descriptors(BTreeMap<i64, u64>),
    /// circusd-stats published how often a managed socket was found readable.
    SocketHits {
        /// Its address.
        address: String,
        /// How often, since the last time.
        reads: u64,
    },
}

/// A file that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenFile {
    /// Its path, links followed.
    pub path: PathBuf,
    /// When it was written, in nanoseconds since the epoch.
    pub modified: u128,
}

/// Why a web server did not answer well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchError {
    /// The status, or 599 when there was no answer at all.
    pub code: u16,
    /// What it was.
    pub reason: String,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A good answer.
    Ok(Members),
    /// circusd refused.
    Refused(String),
    /// circusd did not answer.
    Silent,
}

impl Answer {
    /// The answer, if it is a good one.
    #[must_use]
    pub const fn good(&self) -> Option<&Members> {
        match self {
            Self::Ok(members) => Some(members),
            Self::Refused(_) | Self::Silent => None,
        }
    }
}

/// What circusd can be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Which daemon it is.
    Dstats,
    /// Its settings.
    GlobalOptions,
    /// The names of all watchers.
    List,
    /// The pids of one.
    Pids(String),
    /// All options of one.
    Options(String),
    /// The figures of the processes of all watchers.
    Stats,
    /// The figures of the processes of one.
    StatsOf(String),
    /// The states of all.
    Statuses,
    /// How the processes of one ended.
    Why(String),
    /// The last lines of standard error of one.
    Logs {
        /// Which watcher.
        watcher: String,
        /// How many lines.
        lines: u64,
    },
}

impl Question {
    /// The command's name.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Dstats => "dstats",
            Self::GlobalOptions => "globaloptions",
            Self::List | Self::Pids(_) => "list",
            Self::Options(_) => "options",
            Self::Stats | Self::StatsOf(_) => "stats",
            Self::Statuses => "status",
            Self::Why(_) => "why",
            Self::Logs { .. } => "logs",
        }
    }

    /// The properties of the request.
    #[must_use]
    pub fn properties(&self) -> Members {
        match self {
            Self::Dstats | Self::GlobalOptions | Self::List | Self::Stats | Self::Statuses => Members::new(),
            Self::Pids(name) | Self::Options(name) | Self::StatsOf(name) | Self::Why(name) => {
                members([("name", name.as_str().into())])
            }
            Self::Logs { watcher, lines } => members([
                ("name", watcher.as_str().into()),
                ("stream", "stderr".into()),
                ("max", (*lines).into()),
            ]),
        }
    }
}

/// What circusd is told, without an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Start a watcher.
    Start(String),
    /// Stop a watcher.
    Stop(String),
    /// Restart a watcher.
    Restart(String),
    /// End a process; it is replaced.
    Kill {
        /// Of which watcher.
        watcher: String,
        /// Which.
        pid: i64,
        /// The signal to begin with.
        signal: Option<i32>,
        /// Seconds until SIGKILL.
        grace: Option<f64>,
    },
    /// Send a signal to a child of a process.
    SignalChild {
        /// Of which watcher.
        watcher: String,
        /// The process.
        pid: i64,
        /// Its child.
        child: i64,
        /// The signal.
        signal: i32,
    },
    /// Publish that a watcher is flapping.
    Flapping {
        /// Which.
        watcher: String,
        /// How often so far.
        attempt: i64,
        /// Seconds until it is started again.
        retry_in: Option<f64>,
    },
}

impl Order {
    /// The command's name and the properties of the request.
    #[must_use]
    pub fn request(&self) -> (&'static str, Members) {
        match self {
            Self::Start(name) => ("start", exactly(name)),
            Self::Stop(name) => ("stop", exactly(name)),
            Self::Restart(name) => ("restart", exactly(name)),
            Self::Kill { watcher, pid, signal, grace } => {
                let mut members = members([("name", watcher.as_str().into()), ("pid", (*pid).into())]);
                members.extend(signal.map(|signal| ("signum".to_owned(), signal.into())));
                members.extend(grace.map(|grace| ("graceful_timeout".to_owned(), grace.into())));
                ("kill", members)
            }
            Self::SignalChild { watcher, pid, child, signal } => {
                let request = [
                    ("name", watcher.as_str().into()),
                    ("signum", (*signal).into()),
                    ("pid", (*pid).into()),
                    ("childpid", (*child).into()),
                ];
                ("signal", members(request))
            }
            Self::Flapping { watcher, attempt, retry_in } => {
                let mut members = members([
                    ("name", watcher.as_str().into()),
                    ("event", "flapping".into()),
                    ("attempt", (*attempt).into()),
                ]);
                members.extend(retry_in.map(|seconds| ("retry_in".to_owned(), seconds.into())));
                ("notify", members)
            }
        }
    }
}

/// This one watcher: without the word its name would be taken for a pattern.
fn exactly(name: &str) -> Members {
    members([("name", name.into()), ("match", json!("simple"))])
}

fn members<const N: usize>(pairs: [(&str, Value); N]) -> Members {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ask circusd; answered by [`Input::Answered`]. Questions and orders reach it in their order.
    Ask(Question),
    /// Tell circusd.
    Tell(Order),
    /// Send a datagram to the statsd server.
    Metric(String),
    /// Write a line of log.
    Log(Level, String),
    /// Ask a web server.
    Fetch {
        /// What.
        url: String,
        /// For how long.
        timeout: Duration,
    },
    /// Ask a redis server for INFO.
    AskRedis {
        /// Which.
        url: String,
        /// For how long.
        timeout: Duration,
    },
    /// Look at files.
    Look(Look),
    /// Watch these directories for changes, and no others.
    Watch {
        /// These for themselves.
        flat: Vec<PathBuf>,
        /// These with all below them.
        deep: Vec<PathBuf>,
    },
    /// Hand over a message.
    Deliver {
        /// Which way.
        way: Way,
        /// What it says.
        message: Box<Message>,
        /// How long that may take.
        timeout: Duration,
    },
    /// Count the open files of these processes.
    CountDescriptors(Vec<i64>),
    /// Follow what circusd-stats says of sockets, at that endpoint.
    FollowSockets(String),
    /// Answer an [`Input::Scrape`].
    Serve {
        /// Which.
        id: u64,
        /// The metrics.
        body: String,
    },
}

/// The files of one watcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Which watcher.
    pub watcher: String,
    /// Of these the first that is there.
    pub program: Vec<PathBuf>,
    /// Of these all that are there.
    pub files: Vec<PathBuf>,
    /// All files that match.
    pub patterns: Vec<String>,
}

/// How a message is handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Posted to a URL.
    Webhook {
        /// Which.
        url: String,
    },
    /// To a program, on its standard input.
    Command {
        /// Its words.
        words: Vec<String>,
    },
    /// By mail.
    Mail(Box<Mail>),
}

/// A mail server and the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `smtp://`, `smtps://` or `smtp+starttls://` and the host.
    pub server: String,
    /// Who we are there.
    pub user: Option<String>,
    /// Where our password is.
    pub password_file: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// The receivers.
    pub to: Vec<String>,
}

/// Something to tell people.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The watcher.
    pub watcher: String,
    /// What happened to it.
    pub event: String,
    /// One line.
    pub subject: String,
    /// Several.
    pub text: String,
    /// The same for programs.
    pub members: Members,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_one_watcher_and_no_pattern() {
        let (command, members) = Order::Stop("a*".to_owned()).request();
        assert_eq!((command, Value::from(members)), ("stop", json!({"name": "a*", "match": "simple"})));
    }

    #[test]
    fn what_was_not_said_is_not_sent() {
        let kill = |signal, grace| Order::Kill { watcher: "w".to_owned(), pid: 7, signal, grace }.request().1;
        assert_eq!(Value::from(kill(None, None)), json!({"name": "w", "pid": 7}));
        assert_eq!(
            Value::from(kill(Some(9), Some(1.5))),
            json!({"name": "w", "pid": 7, "signum": 9, "graceful_timeout": 1.5})
        );
    }
}
