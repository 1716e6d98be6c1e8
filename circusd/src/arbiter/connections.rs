//! At which sockets circusd waits for a connection, and for whom: the sum of what `on_demand` watchers want to know.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arbiter, effect::Effect, id::WatcherId, socket::SocketEffect};

/// What is awaited.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// Sockets by watcher; none without any.
    wanted: BTreeMap<WatcherId, BTreeSet<String>>,
    /// What was asked for and has not come.
    asked: BTreeSet<String>,
    /// Whether the two may differ.
    changed: bool,
}

impl Awaited {
    /// A watcher wants to know of these, and of no others.
    pub fn set(&mut self, watcher: WatcherId, sockets: BTreeSet<String>) {
        let known = self.wanted.get(&watcher);
        if known.map_or(sockets.is_empty(), |known| *known == sockets) {
            return;
        }
        self.changed = true;
        if sockets.is_empty() {
            self.wanted.remove(&watcher);
        } else {
            self.wanted.insert(watcher, sockets);
        }
    }

    /// These sockets are others now, or gone: they are not waited at any more.
    pub fn replaced(&mut self, sockets: &[String]) {
        self.asked.retain(|name| !sockets.contains(name));
        self.changed = true;
    }

    /// A connection has come: who wanted to know of it?
    fn come(&mut self, socket: &str) -> Vec<WatcherId> {
        self.asked.remove(socket);
        self.changed = true;
        self.wanted.iter().filter(|(_, sockets)| sockets.contains(socket)).map(|(id, _)| *id).collect()
    }

    /// What is to be awaited now, if that is something else than before.
    fn next_to_ask(&mut self) -> Option<BTreeSet<String>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let sum: BTreeSet<String> = self.wanted.values().flatten().cloned().collect();
        (sum != self.asked).then(|| {
            self.asked.clone_from(&sum);
            sum
        })
    }
}

impl Arbiter {
    /// Somebody connects.
    pub(super) fn connection(&mut self, socket: &str, waiting: bool) {
        for id in self.awaited.come(socket) {
            self.with(id, |watcher, out| watcher.connection(waiting, out));
        }
    }

    /// A watcher has settled: what does it want to know now?
    pub(super) fn update_awaited(&mut self, id: WatcherId) {
        let Some(watcher) = self.watchers.get_mut(&id) else { return self.awaited.set(id, BTreeSet::new()) };
        watcher.count_connections(&self.sockets, &mut self.out);
        let sockets = watcher.awaited(&self.sockets, self.out.now.mono);
        self.awaited.set(id, sockets);
    }

    /// Says what is awaited, if that has changed.
    pub(super) fn await_connections(&mut self) {
        if let Some(sockets) = self.awaited.next_to_ask() {
            self.out.push(Effect::Sockets(SocketEffect::Await(sockets)));
        }
    }
}
