//! What the core says about output streams. Their bytes never come here.
//!
//! Invariant: an outlet is configured before the first process that writes to it is spawned, and nothing is said of a
//! watcher's outlets after their removal.

use circus_common::{
    Channel,
    config::{
        Degree, Mistake, Places,
        stream::{Class, StreamConfig},
    },
};

use super::{
    effect::SpawnSpec,
    id::{RequestId, WatcherId},
};

/// Where one output of a watcher's processes goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlet {
    /// The stream.
    pub config: StreamConfig,
    /// The helper that runs its Python class; the built-in ones have none.
    pub helper: Option<SpawnSpec>,
}

/// Something for the data plane to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamOrder {
    /// From now on this is where a watcher's output goes; `None` drops the stream.
    Configure {
        /// Whose.
        watcher: WatcherId,
        /// Its name, for lines that carry it.
        name: String,
        /// Which output.
        channel: Channel,
        /// Where it goes.
        outlet: Option<Box<Outlet>>,
    },
    /// The watcher starts: an outlet that was closed is opened again.
    Open {
        /// Whose.
        watcher: WatcherId,
    },
    /// The watcher has stopped: its outlets are closed.
    Close {
        /// Whose.
        watcher: WatcherId,
    },
    /// The watcher is gone, and no process will be spawned for it any more.
    Remove {
        /// Whose.
        watcher: WatcherId,
    },
}

impl StreamOrder {
    /// Whom it concerns.
    #[must_use]
    pub const fn watcher(&self) -> WatcherId {
        match self {
            Self::Configure { watcher, .. }
            | Self::Open { watcher }
            | Self::Close { watcher }
            | Self::Remove { watcher } => *watcher,
        }
    }
}

/// What a `logs` request asks.
#[derive(Clone, Debug, PartialEq)]
pub struct LogsQuestion {
    /// Of which watcher.
    pub watcher: WatcherId,
    /// The channels wanted.
    pub channels: Vec<Channel>,
    /// Lines with a greater number only; `None` asks for the last `max`. A number that was not given out yet is one of
    /// another daemon, and then every line is new.
    pub after: Option<u64>,
    /// At most this many lines, the newest when `after` is not given, else the oldest.
    pub max: usize,
    /// How many seconds to wait for the first such line before an empty answer.
    pub wait: f64,
}

/// For what streams are tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// A `set`, named by its request.
    Set(RequestId),
    /// The change of the set of watchers whose turn it is; `adopt` if they are used at once should they be good.
    Admin {
        /// Whether what was made for the trial is taken over.
        adopt: bool,
    },
}

/// One stream to be tried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The watcher's name.
    pub name: String,
    /// Which output.
    pub channel: Channel,
    /// The stream.
    pub outlet: Outlet,
}

impl Candidate {
    /// It cannot be had.
    #[must_use]
    pub fn fault(&self, system: bool, reason: String) -> Fault {
        let keys = match &self.outlet.config.class {
            Class::Python(_) => ["class", "filename"],
            Class::File(_)
            | Class::Stdout(_)
            | Class::FancyStdout { .. }
            | Class::Queue
            | Class::Syslog(_)
            | Class::Journal(_) => ["filename", "class"],
        };
        Fault { name: self.name.clone(), channel: self.channel, system, keys, reason }
    }
}

/// Why a stream cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The watcher's name.
    pub name: String,
    /// Which output.
    pub channel: Channel,
    /// Whether the system refused, as it refuses a file that cannot be written.
    pub system: bool,
    /// The keys of the stream that are to blame, the likeliest first.
    pub keys: [&'static str; 2],
    /// The reason, such as `[Errno 2] No such file or directory: '/nowhere/log'`.
    pub reason: String,
}

impl Fault {
    /// The same as a mistake of the file that is read.
    #[must_use]
    pub fn mistake(&self, places: &Places) -> Mistake {
        let option = self.channel.option();
        let keys = self.keys.map(|key| format!("{option}.{key}"));
        let keys = keys.each_ref().map(String::as_str);
        places.of_watcher(Degree::BrokenSection, &self.name, option, &keys, self.reason.clone())
    }
}
