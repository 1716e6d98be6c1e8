//! The streamer: which processes there are, whose they are, and what is to be asked of circusd.
//!
//! Text of events and circusd's answers come in, groups of pids go out; nothing outside is touched. While circusd is
//! asked for everything, events are kept and told again after the answer: an answer may be older than an event that
//! arrived before it, and telling an event twice changes nothing.
//!
//! Invariant: after an answer and the events that follow it, the groups are those of circusd.

pub mod snapshot;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use circus_common::protocol::event::{self, Seen, res_name};

pub use self::snapshot::{Listening, Place, Snapshot};

/// Events that are kept while circusd is asked; with more it is asked again.
pub const MAX_KEPT_EVENTS: usize = 10_000;

/// The group of Circus' own programs.
const CIRCUS: &str = "circus";
/// Watchers whose processes stand in that group only.
const CONSOLE: &str = "circushttpd";
const STATS: &str = "circusd-stats";
const DAEMON: &str = "circusd";

/// What is to be asked of circusd after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// The sockets, which may have changed.
    Sockets,
    /// Everything: what is known may be wrong.
    Everything,
}

/// Processes that are published under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The second part of the topic.
    pub name: String,
    /// In the order in which they are published.
    pub members: Vec<Member>,
    /// How often a process that had ended by itself was replaced.
    pub restarts: u64,
}

/// One process of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub pid: i32,
    /// Distinguishes it from an earlier process of that number.
    pub birth: u64,
    /// Its name, where Circus has one for it.
    pub name: Option<&'static str>,
}

/// What is known of one watcher.
#[derive(Debug, Default)]
struct Watched {
    /// In order of spawn.
    members: Vec<Member>,
    /// Processes that ended by themselves and were not replaced so far.
    lost: u64,
    restarts: u64,
}

/// How much of what is known can be relied on.
#[derive(Debug)]
enum Phase {
    /// circusd is not there; its processes may still be.
    Away,
    /// circusd is asked; these events came since.
    Asking { kept: Vec<Seen> },
    /// Events say everything.
    Following,
}

/// Whether an event is told for the first time: only then it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    First,
    Again,
}

/// The whole state.
#[derive(Debug)]
pub struct Streamer {
    phase: Phase,
    /// This process itself.
    own: Member,
    daemon: Option<Member>,
    console: Vec<Member>,
    watchers: BTreeMap<String, Watched>,
    sockets: Arc<[Listening]>,
    births: u64,
    /// The groups as they were last told; made anew after a change.
    groups: Option<Arc<[Group]>>,
}

impl Streamer {
    /// A streamer that knows nobody but itself.
    #[must_use]
    pub fn new(own: i32) -> Self {
        Self {
            phase: Phase::Away,
            own: Member { pid: own, birth: 0, name: Some(STATS) },
            daemon: None,
            console: Vec::new(),
            watchers: BTreeMap::new(),
            sockets: Arc::from([]),
            births: 0,
            groups: None,
        }
    }

    /// circusd is there, perhaps another than before.
    pub fn connected(&mut self) -> Wish {
        self.phase = Phase::Asking { kept: Vec::new() };
        Wish::Everything
    }

    /// circusd went away. Its processes are still reported, as long as there are any.
    pub fn disconnected(&mut self) {
        self.phase = Phase::Away;
    }

    /// circusd has answered: this holds, and then the events that came since it was asked.
    pub fn answered(&mut self, snapshot: Snapshot) -> Wish {
        let Phase::Asking { kept } = std::mem::replace(&mut self.phase, Phase::Following) else {
            // It is an answer of a circusd that has left.
            self.phase = Phase::Away;
            return Wish::Nothing;
        };
        self.take_over(snapshot);
        let wishes: Vec<Wish> = kept.iter().map(|seen| self.apply(seen, Telling::Again)).collect();
        if wishes.contains(&Wish::Sockets) { Wish::Sockets } else { Wish::Nothing }
    }

    /// circusd was asked for its sockets again.
    pub fn sockets_answered(&mut self, sockets: Vec<Listening>) {
        self.sockets = sockets.into();
    }

    /// circusd has published something.
    pub fn event(&mut self, topic: &str, payload: &str) -> Wish {
        let Some(seen) = event::parse(topic.as_bytes(), payload.as_bytes()) else { return Wish::Nothing };
        match &mut self.phase {
            // Told again with the answer, which may be older.
            Phase::Asking { kept } if kept.len() < MAX_KEPT_EVENTS => {
                kept.push(seen.clone());
                self.apply(&seen, Telling::First);
                Wish::Nothing
            }
            Phase::Asking { .. } => self.connected(),
            Phase::Following | Phase::Away => self.apply(&seen, Telling::First),
        }
    }

    /// Forgets processes that are gone for good though no event has said so.
    pub fn forget(&mut self, gone: &[i32]) {
        for watched in self.watchers.values_mut() {
            watched.members.retain(|member| !gone.contains(&member.pid));
        }
        self.console.retain(|member| !gone.contains(&member.pid));
        self.daemon = self.daemon.take().filter(|member| !gone.contains(&member.pid));
        self.groups = None;
    }

    /// All groups with a process, Circus' own programs last.
    pub fn groups(&mut self) -> Arc<[Group]> {
        if let Some(groups) = &self.groups {
            return Arc::clone(groups);
        }
        let groups: Arc<[Group]> = self.made_groups().into();
        self.groups = Some(Arc::clone(&groups));
        groups
    }

    /// circusd's sockets, by descriptor.
    #[must_use]
    pub fn sockets(&self) -> Arc<[Listening]> {
        Arc::clone(&self.sockets)
    }

    fn made_groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = self
            .watchers
            .iter()
            .filter(|(_, watched)| !watched.members.is_empty())
            .map(|(name, watched)| Group {
                name: name.clone(),
                members: watched.members.clone(),
                restarts: watched.restarts,
            })
            .collect();
        // Before circusd has answered once, nothing is known of it.
        if self.daemon.is_none() && self.console.is_empty() && groups.is_empty() {
            return groups;
        }
        let own = [self.own].into_iter().chain(self.daemon).chain(self.console.iter().copied());
        match groups.iter_mut().find(|group| group.name == CIRCUS) {
            // A watcher of that name has the same topic; its processes are not to be lost.
            Some(group) => group.members = own.chain(std::mem::take(&mut group.members)).collect(),
            None => groups.push(Group { name: CIRCUS.to_owned(), members: own.collect(), restarts: 0 }),
        }
        groups
    }

    /// What circusd says replaces what was known; processes known before stay the same.
    fn take_over(&mut self, snapshot: Snapshot) {
        let Snapshot { watchers, daemon, console, sockets } = snapshot;
        let same_daemon = self.daemon.map(|member| member.pid) == daemon;
        let mut before = std::mem::take(&mut self.watchers);
        for (name, pids) in watchers {
            let name = res_name(&name);
            if is_own(&name) {
                continue;
            }
            let old = before.remove(&name).unwrap_or_default();
            let entry = self.watchers.entry(name).or_default();
            if same_daemon {
                (entry.lost, entry.restarts) = (old.lost, old.restarts);
            }
            for pid in pids {
                let known = old.members.iter().find(|member| member.pid == pid && same_daemon).copied();
                self.births += 1;
                entry.members.push(known.unwrap_or(Member { pid, birth: self.births, name: None }));
            }
        }
        self.births += 1;
        let birth = self.births;
        let named = |pid, name| Member { pid, birth, name: Some(name) };
        self.daemon = self
            .daemon
            .filter(|_| same_daemon)
            .or(daemon.filter(|pid| *pid != self.own.pid).map(|pid| named(pid, DAEMON)));
        self.console = console.into_iter().map(|pid| named(pid, CONSOLE)).collect();
        self.sockets = sockets.into();
        self.groups = None;
    }

    fn apply(&mut self, seen: &Seen, telling: Telling) -> Wish {
        let pid = seen.members.get("process_pid").and_then(|pid| i32::try_from(pid.as_i64()?).ok());
        match (seen.event.as_str(), pid) {
            ("spawn", Some(pid)) => self.spawned(&seen.watcher, pid, telling),
            ("reap", Some(pid)) => {
                let expected = seen.members.get("expected").and_then(serde_json::Value::as_bool);
                let known = self.removed(&seen.watcher, pid);
                // The end of a process that nobody had asked for will be followed by a restart.
                if known && expected != Some(true) && telling == Telling::First {
                    self.watchers.entry(seen.watcher.clone()).or_default().lost += 1;
                }
            }
            ("kill", Some(pid)) => drop(self.removed(&seen.watcher, pid)),
            ("stop", _) => self.stopped(&seen.watcher),
            // Sockets come and go with a new configuration, which shows in its watchers.
            ("add" | "remove" | "start" | "reload", _) => return Wish::Sockets,
            _ => {}
        }
        Wish::Nothing
    }

    fn spawned(&mut self, watcher: &str, pid: i32, telling: Telling) {
        self.births += 1;
        let mut member = Member { pid, birth: self.births, name: None };
        self.groups = None;
        if watcher == CONSOLE {
            member.name = Some(CONSOLE);
            self.console.retain(|known| known.pid != pid);
            self.console.push(member);
        } else if !is_own(watcher) {
            let watched = self.watchers.entry(watcher.to_owned()).or_default();
            if watched.members.iter().any(|known| known.pid == pid) {
                return;
            }
            watched.members.push(member);
            if watched.lost > 0 && telling == Telling::First {
                watched.lost -= 1;
                watched.restarts += 1;
            }
        }
    }

    /// Whether it was known, and no program of Circus' own.
    fn removed(&mut self, watcher: &str, pid: i32) -> bool {
        self.groups = None;
        if watcher == CONSOLE {
            self.console.retain(|known| known.pid != pid);
        }
        let Some(watched) = self.watchers.get_mut(watcher) else { return false };
        let before = watched.members.len();
        watched.members.retain(|known| known.pid != pid);
        watched.members.len() < before
    }

    fn stopped(&mut self, watcher: &str) {
        self.groups = None;
        if watcher == CONSOLE {
            self.console.clear();
        }
        if let Some(watched) = self.watchers.get_mut(watcher) {
            watched.members.clear();
            watched.lost = 0;
        }
    }
}

/// Whether it is a watcher whose processes stand in the group of Circus' own programs.
fn is_own(watcher: &str) -> bool {
    matches!(watcher, DAEMON | CONSOLE | STATS)
}
