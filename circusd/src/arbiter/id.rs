//! How the core names things: never by a pid, which may be reused.

use std::fmt;

/// A watcher, by order of creation. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatcherId(pub u32);

/// One process from the wish to spawn it to the last of its members' end. Ordered by spawn; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Counts the spawns of the daemon, so that order by it is order of spawn.
    pub generation: u64,
    /// Whose it is.
    pub watcher: WatcherId,
    /// Its slot number, 1 and up.
    pub wid: u32,
}

/// A descendant of a process that `os/` holds by a descriptor. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// A request that awaits its answer. Given out by the controller; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A question to a hook. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId {
    /// Counts the questions of the daemon.
    pub number: u64,
    /// Whose hook it is.
    pub watcher: WatcherId,
}

impl fmt::Display for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hook {}.{}", self.watcher.0, self.number)
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}#{}", self.watcher.0, self.wid, self.generation)
    }
}
