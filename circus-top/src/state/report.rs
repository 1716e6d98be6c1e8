//! What the connections tell the state, as plain values.

use circus_common::protocol::event::Seen;
use serde_json::{Map, Value};

/// A subscription's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nobody has answered yet.
    #[default]
    Waiting,
    /// It stands.
    Up,
    /// It broke; it is being tried again.
    Lost,
}

/// The way to the control endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// It is looked for.
    #[default]
    Seeking,
    /// It answers.
    Found {
        /// Where.
        endpoint: String,
        /// What circusd says its version is.
        version: Option<String>,
    },
    /// There is none for us.
    Absent {
        /// Why.
        reason: String,
    },
    /// It answered once, and does not now.
    Lost,
}

/// Something a host's connections brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// The statistics channel came or went.
    Stats(Link),
    /// A message of the statistics channel.
    Message {
        /// Its topic.
        topic: String,
        /// Its JSON text.
        payload: String,
    },
    /// The event channel came or went.
    Events(Link),
    /// An event.
    Happened(Seen),
    /// The control endpoint came or went.
    Control(Control),
    /// The answer to `status`: all states by name.
    Statuses(Map<String, Value>),
    /// The answer to `stats`: all processes by watcher and pid.
    Infos(Map<String, Value>),
    /// The answer to `dstats`.
    Daemon(Map<String, Value>),
    /// The answer to `listsockets`.
    Sockets(Vec<Value>),
    /// The whole answer to `options` of a watcher.
    Options {
        /// Its name.
        name: String,
        /// The answer.
        reply: Map<String, Value>,
    },
    /// The whole answer to `why` of a watcher.
    Why {
        /// Its name.
        name: String,
        /// The answer.
        reply: Map<String, Value>,
    },
    /// What became of something the operator asked for.
    Outcome {
        /// Whether it was done.
        done: bool,
        /// In words.
        text: String,
    },
}
