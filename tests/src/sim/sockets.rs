//! The simulated sockets: numbers, connections that wait, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};

use circus_common::config::{Place, SocketConfig};
use circusd::arbiter::{
    Input,
    effect::{SpawnSpec, Stdin},
    id::{ProcessId, WatcherId},
    socket::{Address, OpenSocket, SocketEffect, SocketPlan},
};

use super::rules::hold;

/// Where managed sockets begin.
const LOWEST: i32 = 64;

/// Every managed socket of the machine.
#[derive(Debug, Default)]
pub struct Sockets {
    open: BTreeMap<String, OpenSocket>,
    /// Connections that nobody has accepted.
    queued: BTreeMap<String, usize>,
    /// Connections that somebody holds.
    held: BTreeMap<String, usize>,
    /// Who accepts what.
    users: BTreeMap<ProcessId, Vec<String>>,
    awaited: BTreeSet<String>,
    prepared: Option<(SocketPlan, Vec<OpenSocket>)>,
    /// Slots that have sockets of their own.
    own: BTreeSet<(WatcherId, u32)>,
    /// Sockets that cannot be opened, with the reason.
    pub refused: BTreeMap<String, String>,
    last: i32,
}

impl Sockets {
    /// Opens the sockets of a start.
    pub(super) fn start(&mut self, configs: &[SocketConfig]) -> Vec<OpenSocket> {
        let opened: Vec<OpenSocket> = configs.iter().map(|config| self.make(config)).collect();
        for socket in &opened {
            self.open.insert(socket.config.name.clone(), socket.clone());
        }
        opened
    }

    fn make(&mut self, config: &SocketConfig) -> OpenSocket {
        self.last += 1;
        let address = match &config.place {
            Place::Inet { host, port, .. } => Address::Inet { host: host.clone(), port: *port },
            Place::Unix { path, .. } => Address::Unix { path: path.clone() },
        };
        OpenSocket { config: config.clone(), fd: LOWEST + self.last, address }
    }

    /// Somebody connects; what the arbiter is to hear of it.
    pub(super) fn connect(&mut self, name: &str) -> Option<Input> {
        let accepted = self.users.values().any(|sockets| sockets.iter().any(|socket| socket == name));
        let place = if accepted { &mut self.held } else { &mut self.queued };
        *place.entry(name.to_owned()).or_default() += 1;
        let socket = name.to_owned();
        self.awaited.remove(name).then_some(Input::Connection { socket, waiting: false })
    }

    /// A process accepts from now on whatever comes to the sockets it has.
    pub(super) fn accept(&mut self, process: ProcessId, sockets: &[String]) {
        for name in sockets {
            let taken = self.queued.remove(name).unwrap_or_default();
            *self.held.entry(name.clone()).or_default() += taken;
        }
        self.users.insert(process, sockets.to_vec());
    }

    /// A process is on its own: its sockets are its own business.
    pub(super) fn released(&mut self, process: ProcessId) {
        self.users.remove(&process);
    }

    /// A process has ended, and with the last of them the connections it held.
    pub(super) fn ended(&mut self, process: ProcessId) {
        for name in self.users.remove(&process).unwrap_or_default() {
            if !self.users.values().any(|sockets| sockets.contains(&name)) {
                self.held.remove(&name);
            }
        }
    }

    /// The sockets a process gets by its order, each of which is open.
    ///
    /// # Panics
    /// When one is not.
    pub(super) fn of(&mut self, process: ProcessId, spec: &SpawnSpec) -> Vec<String> {
        let stdin = if let Stdin::Socket(name) = &spec.stdin { Some(name) } else { None };
        let promised = spec.sockets.named.iter().chain(&spec.sockets.listen).chain(stdin);
        let mut names: BTreeSet<String> = promised.cloned().collect();
        for name in &names {
            let open = self.open.contains_key(name);
            hold!(SocketsOpen, open, "{} is promised {name}, which is closed", spec.watcher);
        }
        if names.iter().any(|name| self.open[name].config.so_reuseport) {
            self.own.insert((process.watcher, process.wid));
        }
        if spec.sockets.all {
            names.extend(self.open.keys().cloned());
        }
        names.into_iter().collect()
    }

    /// Clients close what is open on a socket.
    pub fn hang_up(&mut self, name: &str) {
        self.held.remove(name);
    }

    /// Connections to a socket that nobody has accepted.
    #[must_use]
    pub fn queued(&self, name: &str) -> usize {
        self.queued.get(name).copied().unwrap_or_default()
    }

    /// The number of a socket.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i32> {
        self.open.get(name).map(|socket| socket.fd)
    }

    /// Slots that have sockets of their own.
    #[must_use]
    pub fn own(&self) -> &BTreeSet<(WatcherId, u32)> {
        &self.own
    }

    /// Whether the arbiter wants to know of a connection to it.
    #[must_use]
    pub fn is_awaited(&self, name: &str) -> bool {
        self.awaited.contains(name)
    }

    /// What the arbiter is to hear of an effect.
    pub(super) fn carry_out(&mut self, effect: SocketEffect) -> Vec<Input> {
        match effect {
            SocketEffect::Prepare(plan) => vec![Input::SocketsPrepared(self.prepare(plan))],
            SocketEffect::Commit => {
                self.commit();
                Vec::new()
            }
            SocketEffect::Await(sockets) => self.wait_for(sockets),
            SocketEffect::Count { watcher, sockets } => {
                let of = |counts: &BTreeMap<String, usize>| -> usize {
                    sockets.iter().filter_map(|name| counts.get(name)).sum()
                };
                vec![Input::ConnectionsCounted { watcher, connections: of(&self.queued) + of(&self.held) }]
            }
            SocketEffect::CloseOwn { watcher, keep } => {
                for process in self.users.keys().filter(|process| process.watcher == watcher) {
                    let has = self.own.contains(&(watcher, process.wid));
                    hold!(OwnSockets, !has || keep.contains(&process.wid), "{process} loses its socket");
                }
                self.own.retain(|(of, wid)| *of != watcher || keep.contains(wid));
                Vec::new()
            }
        }
    }

    fn prepare(&mut self, plan: SocketPlan) -> Result<Vec<OpenSocket>, String> {
        if let Some(reason) = plan.open.iter().find_map(|config| self.refused.get(&config.name)) {
            return Err(reason.clone());
        }
        let opened: Vec<OpenSocket> = plan.open.iter().map(|config| self.make(config)).collect();
        self.prepared = Some((plan, opened.clone()));
        Ok(opened)
    }

    fn commit(&mut self) {
        let prepared = self.prepared.take();
        hold!(SocketsOpen, prepared.is_some(), "what was not prepared is taken over");
        let Some((plan, opened)) = prepared else { return };
        for name in plan.close.iter().chain(opened.iter().map(|socket| &socket.config.name)) {
            self.open.remove(name);
            self.queued.remove(name);
            self.held.remove(name);
            self.awaited.remove(name);
        }
        for config in plan.adjust {
            let socket = self.open.get_mut(&config.name);
            hold!(SocketsOpen, socket.is_some(), "{} is adjusted but not open", config.name);
            if let Some(socket) = socket {
                socket.config = config;
            }
        }
        for socket in opened {
            self.open.insert(socket.config.name.clone(), socket);
        }
    }

    fn wait_for(&mut self, sockets: BTreeSet<String>) -> Vec<Input> {
        for name in &sockets {
            hold!(SocketsOpen, self.open.contains_key(name), "{name} is awaited but not open");
        }
        let new: Vec<String> = sockets.difference(&self.awaited).cloned().collect();
        self.awaited = sockets;
        let waiting: Vec<String> = new.into_iter().filter(|name| self.queued(name) > 0).collect();
        for name in &waiting {
            self.awaited.remove(name);
        }
        waiting.into_iter().map(|socket| Input::Connection { socket, waiting: true }).collect()
    }
}
