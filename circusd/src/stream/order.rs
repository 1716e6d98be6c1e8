//! What the data plane is told, and what it answers.

use std::os::fd::OwnedFd;

pub use circus_common::Channel;
use circus_common::config::stream::StreamConfig;

use crate::arbiter::id::{ProcessId, RequestId, WatcherId};
pub use crate::arbiter::stream::LogsQuestion;

/// Something to do, in the order given.
#[derive(Debug)]
pub enum Order {
    /// From now on this is where a watcher's output goes; `None` drops the stream. What is unwritten goes to the old
    /// sink first. Comes before the first `Attach` of that watcher, and again when an option of the stream changes.
    Configure {
        /// Whose.
        watcher: WatcherId,
        /// Its name, for lines that carry it.
        name: String,
        /// Which output.
        channel: Channel,
        /// Where it goes.
        config: Option<Box<StreamConfig>>,
    },
    /// A process was spawned: read its pipe. Sent by the spawner thread, before anybody is told of the process.
    Attach {
        /// Whose output it is.
        process: ProcessId,
        /// Its number, for lines that carry it.
        pid: i32,
        /// Which output.
        channel: Channel,
        /// The end to read.
        pipe: OwnedFd,
    },
    /// The process and all its members are gone, or nobody waits for them: take what is in its pipes, and let go.
    Forget {
        /// Whose pipes.
        process: ProcessId,
    },
    /// The process lives on unmanaged: its pipes are read until their end, into the sink they have now.
    Release {
        /// Whose pipes.
        process: ProcessId,
    },
    /// The watcher starts: a sink that was closed is opened again.
    Open {
        /// Whose.
        watcher: WatcherId,
    },
    /// The watcher has stopped: its sinks are closed once its pipes are drained.
    Close {
        /// Whose.
        watcher: WatcherId,
    },
    /// The watcher is gone: drop its sinks once its pipes are drained, and what is remembered of its output.
    Remove {
        /// Whose.
        watcher: WatcherId,
    },
    /// A helper for a Python class stands ready: its frames go into this socket, in place of any it had.
    Bridge {
        /// Whose stream.
        watcher: WatcherId,
        /// Which output.
        channel: Channel,
        /// Our end, which need not be non-blocking.
        fd: OwnedFd,
    },
    /// Answer a `logs` request.
    Logs {
        /// Whose question.
        request: RequestId,
        /// Which output is asked for.
        question: LogsQuestion,
    },
    /// Drain every pipe as far as it is filled, flush and close every sink, and end.
    End,
}
