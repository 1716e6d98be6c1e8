//! Managed sockets: opened before any watcher starts, kept while circusd lives, handed to its processes.
//!
//! The core names a socket by its name; here names become descriptors. What may wait (names looked up, paths
//! knocked at, files removed) happens on the blocking pool: a change is prepared there as a whole, and taken over
//! by the decision thread in one step, or dropped.
//!
//! Invariant: a socket that is replaced stays open until its successor listens.

mod count;
mod grant;
mod inherited;
mod managed;
mod open;
mod path;
mod protocol;
#[cfg(test)]
mod tests;
mod waits;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use circus_common::config::SocketConfig;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{debug, info, warn};

use self::{grant::Granted, managed::Managed, waits::Waits};
pub use self::{
    grant::{Grant, Handover},
    inherited::Inherited,
    open::OpenError,
};
use crate::arbiter::{
    effect::{SpawnSpec, Stdin},
    id::WatcherId,
    input::Input,
    socket::{OpenSocket, SocketEffect, SocketPlan},
};

/// Sockets by name.
type Open = BTreeMap<String, Entry>;

/// An open socket and what its section says of it now.
#[derive(Clone, Debug)]
struct Entry {
    config: Arc<SocketConfig>,
    socket: Arc<Managed>,
}

/// Sockets between two lives of the daemon, and those it was born with.
#[derive(Debug, Default)]
pub struct Kept {
    open: Open,
    inherited: Vec<Inherited>,
}

impl Kept {
    /// Before the first life.
    #[must_use]
    pub fn new(inherited: Vec<Inherited>) -> Self {
        Self { open: Open::new(), inherited }
    }
}

/// A socket of the configuration that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("[socket:{name}]")]
pub struct SocketError {
    /// Which.
    pub name: String,
    /// Why.
    pub source: OpenError,
}

/// Every managed socket, open.
#[derive(Debug)]
pub struct Sockets {
    open: Open,
    prepared: Option<Prepared>,
    waits: Waits,
    sender: UnboundedSender<Notice>,
    notices: UnboundedReceiver<Notice>,
    told: VecDeque<Input>,
}

/// A change that can be taken over in one step.
#[derive(Debug)]
struct Prepared {
    opened: Vec<Entry>,
    adjusted: Vec<SocketConfig>,
    closed: Vec<String>,
}

/// What the blocking pool has done.
#[derive(Debug)]
enum Notice {
    Prepared(Result<Prepared, String>),
    Counted { watcher: WatcherId, connections: usize },
}

impl Sockets {
    /// Opens all sockets in order of their names. Those of an earlier life whose section is the same stay open, and
    /// those that were inherited are taken over. Needs a running runtime.
    ///
    /// # Errors
    /// The first that cannot be opened; then none is.
    pub async fn start(configs: Vec<SocketConfig>, kept: Kept) -> Result<Self, SocketError> {
        let task = tokio::task::spawn_blocking(move || open_all(configs, kept));
        // It neither panics nor is it cancelled.
        let open = task.await.unwrap_or_else(|_| Ok(Open::new()))?;
        let system = |source| SocketError {
            name: String::new(),
            source: OpenError::System { step: "wait for connections", source },
        };
        let (sender, notices) = unbounded_channel();
        let waits = Waits::new().map_err(system)?;
        Ok(Self { open, prepared: None, waits, sender, notices, told: VecDeque::new() })
    }

    /// What the core is told of them.
    #[must_use]
    pub fn facts(&self) -> Vec<OpenSocket> {
        self.open.values().map(|entry| entry.socket.facts(&entry.config)).collect()
    }

    /// What a process gets by its order.
    ///
    /// # Errors
    /// When it names a socket that is not open.
    pub fn grant(&self, spec: &SpawnSpec) -> Result<Grant, String> {
        let granted = |name: &String| {
            let entry = self.open.get(name).ok_or_else(|| format!("there is no socket '{name}'"))?;
            Ok::<_, String>(Granted { config: Arc::clone(&entry.config), socket: Arc::clone(&entry.socket) })
        };
        let stdin = match &spec.stdin {
            Stdin::Socket(name) => Some(granted(name)?),
            Stdin::Null | Stdin::Inherit => None,
        };
        let all = self.open.keys().filter(|_| spec.sockets.all);
        let inherited = all
            .map(|name| Ok((granted(name)?, spec.sockets.named.contains(name))))
            .collect::<Result<_, String>>()?;
        let listen = spec.sockets.listen.iter().map(granted).collect::<Result<_, _>>()?;
        Ok(Grant { stdin, inherited, listen, helper: None })
    }

    /// Carries out `Effect::Sockets`.
    pub fn carry_out(&mut self, effect: SocketEffect) {
        match effect {
            SocketEffect::Prepare(plan) => self.prepare(plan),
            SocketEffect::Commit => self.commit(),
            SocketEffect::Await(sockets) => self.await_connections(&sockets),
            SocketEffect::Count { watcher, sockets } => self.count(watcher, &sockets),
            SocketEffect::CloseOwn { watcher, keep } => self.close_own(watcher, &keep),
        }
    }

    fn close_own(&self, watcher: WatcherId, keep: &BTreeSet<u32>) {
        for entry in self.open.values() {
            entry.socket.close_slots(watcher.0, |wid| keep.contains(&wid));
        }
    }

    fn prepare(&self, plan: SocketPlan) {
        let (open, sender) = (self.open.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let prepared = prepare(&open, plan);
            // Only a daemon that is gone does not listen.
            let _closed = sender.send(Notice::Prepared(prepared));
        });
    }

    fn commit(&mut self) {
        let Some(prepared) = self.prepared.take() else { return };
        let mut gone = Vec::new();
        for name in &prepared.closed {
            gone.extend(self.open.remove(name));
        }
        for config in prepared.adjusted {
            if let Some(entry) = self.open.get_mut(&config.name) {
                entry.config = Arc::new(config);
            }
        }
        let mut placed = Vec::new();
        for entry in prepared.opened {
            placed.push(Arc::clone(&entry.socket));
            gone.extend(self.open.insert(entry.config.name.clone(), entry));
        }
        let changed: BTreeSet<String> = gone.iter().map(|entry| entry.config.name.clone()).collect();
        self.waits.retain(|name| !changed.contains(name));
        // Files are moved and removed where nobody waits for it. The new one takes its place before the old one goes.
        tokio::task::spawn_blocking(move || {
            for socket in placed {
                if let Err(error) = socket.take_place() {
                    warn!(%error, "cannot move a socket to its path");
                }
            }
            gone.iter().for_each(|entry| entry.socket.close_all_slots());
            drop(gone);
        });
    }

    /// Waits for these and no others, each until its next connection.
    fn await_connections(&mut self, sockets: &BTreeSet<String>) {
        self.waits.retain(|name| sockets.contains(name));
        for name in sockets {
            let Some(entry) = self.open.get(name).filter(|entry| !entry.socket.is_per_slot()) else {
                continue;
            };
            if self.waits.has(name) {
                continue;
            }
            match self.waits.add(name, &entry.socket) {
                Ok(true) => self.told.push_back(Input::Connection { socket: name.clone(), waiting: true }),
                Ok(false) => {}
                Err(error) => warn!(socket = %name, %error, "cannot wait for connections"),
            }
        }
    }

    fn count(&self, watcher: WatcherId, sockets: &[String]) {
        let named = sockets.iter().filter_map(|name| self.open.get(name));
        let sockets: Vec<Arc<Managed>> = named.map(|entry| Arc::clone(&entry.socket)).collect();
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let connections = count::open_connections(&sockets);
            // As above.
            let _closed = sender.send(Notice::Counted { watcher, connections });
        });
    }

    /// The next thing that happened. Cancel-safe.
    pub async fn next(&mut self) -> Input {
        loop {
            if let Some(input) = self.told.pop_front() {
                return input;
            }
            tokio::select! {
                Some(notice) = self.notices.recv() => return self.take_in(notice),
                ready = self.waits.ready() => {
                    let connections =
                        ready.into_iter().map(|socket| Input::Connection { socket, waiting: false });
                    self.told.extend(connections);
                }
            }
        }
    }

    fn take_in(&mut self, notice: Notice) -> Input {
        match notice {
            Notice::Prepared(Ok(prepared)) => {
                let facts = |entry: &Entry| entry.socket.facts(&entry.config);
                let opened = prepared.opened.iter().map(facts).collect();
                self.prepared = Some(prepared);
                Input::SocketsPrepared(Ok(opened))
            }
            Notice::Prepared(Err(reason)) => Input::SocketsPrepared(Err(reason)),
            Notice::Counted { watcher, connections } => Input::ConnectionsCounted { watcher, connections },
        }
    }

    /// What the next life may go on with.
    #[must_use]
    pub fn into_kept(self) -> Kept {
        self.open.values().for_each(|entry| entry.socket.close_all_slots());
        Kept { open: self.open, inherited: Vec::new() }
    }
}

/// Opens what is not open yet.
fn open_all(configs: Vec<SocketConfig>, kept: Kept) -> Result<Open, SocketError> {
    let Kept { open: mut before, mut inherited } = kept;
    before.retain(|_, entry| configs.iter().any(|config| *config == *entry.config));
    let mut open = Open::new();
    for config in configs {
        let name = config.name.clone();
        let socket = match before.remove(&name) {
            Some(entry) => entry.socket,
            None => {
                let socket = first_open(&config, &mut inherited);
                Arc::new(socket.map_err(|source| SocketError { name: name.clone(), source })?)
            }
        };
        debug!(socket = %name, fd = socket.number(), "socket open");
        open.insert(name, Entry { config: Arc::new(config), socket });
    }
    for unused in inherited {
        let address = unused.address();
        warn!("no [socket:NAME] is for the inherited socket '{}' at {address}: it is closed", unused.name);
    }
    Ok(open)
}

fn first_open(config: &SocketConfig, inherited: &mut Vec<Inherited>) -> Result<Managed, OpenError> {
    match inherited.iter().position(|inherited| inherited.is(config)) {
        Some(at) => {
            let inherited = inherited.remove(at);
            info!("[socket:{}] is the inherited socket at {}", config.name, inherited.address());
            inherited.into_managed(config)
        }
        None => open::open(config, &[]),
    }
}

/// Opens and adjusts all that a plan asks for; after an error nothing has changed.
fn prepare(open: &Open, plan: SocketPlan) -> Result<Prepared, String> {
    let SocketPlan { open: wanted, adjust, close } = plan;
    let mut opened = Vec::new();
    let going = wanted.iter().map(|config| &config.name).chain(&close).filter_map(|name| open.get(name));
    let going: Vec<Arc<Managed>> = going.map(|entry| Arc::clone(&entry.socket)).collect();
    for config in wanted {
        let socket = open::open(&config, &going)
            .map_err(|error| format!("[socket:{}]: {}", config.name, error.in_full()))?;
        opened.push(Entry { config: Arc::new(config), socket: Arc::new(socket) });
    }
    let mut done: Vec<&Entry> = Vec::new();
    for config in &adjust {
        let Some(entry) = open.get(&config.name) else { continue };
        if let Err(error) = entry.socket.adjust(config) {
            undo(&done);
            return Err(format!("[socket:{}]: {error}", config.name));
        }
        done.push(entry);
    }
    Ok(Prepared { opened, adjusted: adjust, closed: close })
}

fn undo(adjusted: &[&Entry]) {
    for entry in adjusted {
        if let Err(error) = entry.socket.adjust(&entry.config) {
            warn!(socket = %entry.config.name, %error, "cannot set back what was adjusted");
        }
    }
}
