//! Managed sockets as the core knows them: by name, number and address. Opening them is the business of `os/`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use circus_common::config::{Place, SocketConfig, WatcherConfig, expand::Descriptors};
use serde_json::{Map, Value, json};

use super::{effect::SocketOrder, id::WatcherId};

/// A socket that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSocket {
    /// Its section.
    pub config: SocketConfig,
    /// Its number, the same in circusd and in whoever inherits it.
    pub fd: i32,
    /// Where it is bound.
    pub address: Address,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An internet address.
    Inet {
        /// The address, looked up.
        host: String,
        /// The real port.
        port: u16,
    },
    /// A file.
    Unix {
        /// Its path.
        path: String,
    },
}

/// What is to become of the sockets: all of it, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketPlan {
    /// To be opened; one of the same name is closed then.
    pub open: Vec<SocketConfig>,
    /// To be adjusted while they stay open.
    pub adjust: Vec<SocketConfig>,
    /// To be closed.
    pub close: Vec<String>,
}

/// Something to do about managed sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketEffect {
    /// Open, adjust and close sockets as far as that can be taken back; answered by `Input::SocketsPrepared`.
    Prepare(SocketPlan),
    /// Take over what was prepared last.
    Commit,
    /// Tell of the next connection to each of these, and of no others (`Input::Connection`).
    Await(BTreeSet<String>),
    /// Count the connections that are open on these; answered by `Input::ConnectionsCounted`.
    Count {
        /// For whom.
        watcher: WatcherId,
        /// By name.
        sockets: Vec<String>,
    },
    /// Close the sockets that slots of this watcher have of their own (`so_reuseport`), but for these slots.
    CloseOwn {
        /// Whose.
        watcher: WatcherId,
        /// Slots that keep theirs.
        keep: BTreeSet<u32>,
    },
}

impl SocketPlan {
    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.adjust.is_empty() && self.close.is_empty()
    }
}

impl OpenSocket {
    /// As `listsockets` shows it.
    pub(super) fn report(&self) -> Value {
        let mut members = Map::new();
        members.insert("fd".to_owned(), json!(self.fd));
        members.insert("name".to_owned(), json!(self.config.name));
        members.insert("backlog".to_owned(), json!(self.config.backlog));
        match &self.address {
            Address::Inet { host, port } => {
                members.insert("host".to_owned(), json!(host));
                members.insert("port".to_owned(), json!(port));
            }
            Address::Unix { path } => {
                members.insert("path".to_owned(), json!(path));
            }
        }
        Value::Object(members)
    }

    /// As hooks see it: what Circus' own object of a socket has, numbers of the system by their names.
    fn portrait(&self) -> Value {
        let config = &self.config;
        let (family, umask, replace) = match &config.place {
            Place::Inet { v6: false, .. } => ("AF_INET", None, false),
            Place::Inet { v6: true, .. } => ("AF_INET6", None, false),
            Place::Unix { umask, replace, .. } => ("AF_UNIX", *umask, *replace),
        };
        let (host, port, path) = match &self.address {
            Address::Inet { host, port } => (Some(host), Some(*port), None),
            Address::Unix { path } => (None, None, Some(path)),
        };
        json!({
            "fd": self.fd, "family": family, "type": config.kind.name(), "proto": config.proto,
            "host": host, "port": port, "path": path, "umask": umask, "replace": replace,
            "backlog": config.backlog, "interface": config.interface,
            "so_reuseport": config.so_reuseport, "blocking": config.blocking,
        })
    }
}

/// All that are open, by name.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: BTreeMap<String, OpenSocket>,
    numbers: Descriptors,
}

impl Sockets {
    /// These.
    pub fn new(open: Vec<OpenSocket>) -> Self {
        let mut sockets = Self::default();
        open.into_iter().for_each(|socket| sockets.add(socket));
        sockets
    }

    fn add(&mut self, socket: OpenSocket) {
        self.numbers.insert(socket.config.name.clone(), socket.fd);
        self.open.insert(socket.config.name.clone(), socket);
    }

    /// Takes a plan over that was carried out.
    pub fn apply(&mut self, plan: SocketPlan, opened: Vec<OpenSocket>) {
        for name in &plan.close {
            self.open.remove(name);
            self.numbers.remove(name);
        }
        for config in plan.adjust {
            if let Some(socket) = self.open.get_mut(&config.name) {
                socket.config = config;
            }
        }
        opened.into_iter().for_each(|socket| self.add(socket));
    }

    /// The numbers by name.
    pub const fn numbers(&self) -> &Descriptors {
        &self.numbers
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&OpenSocket> {
        self.open.get(name)
    }

    /// Whether one of those named is opened for each slot.
    pub fn has_per_slot(&self, order: &SocketOrder) -> bool {
        order.named.iter().any(|name| self.get(name).is_some_and(|socket| socket.config.so_reuseport))
    }

    /// The sections by name.
    pub fn configs(&self) -> impl Iterator<Item = &SocketConfig> {
        self.open.values().map(|socket| &socket.config)
    }

    /// As `listsockets` shows them: by number.
    pub fn report(&self) -> Value {
        let mut all: Vec<&OpenSocket> = self.open.values().collect();
        all.sort_by_key(|socket| socket.fd);
        all.into_iter().map(OpenSocket::report).collect()
    }

    /// As hooks see them: by name.
    pub fn portraits(&self) -> Arc<Map<String, Value>> {
        Arc::new(self.open.iter().map(|(name, socket)| (name.clone(), socket.portrait())).collect())
    }

    /// The sockets whose connections start an `on_demand` watcher: those it uses by name, else all of them.
    pub fn of_demand(&self, watcher: &WatcherConfig) -> Vec<String> {
        let used = watcher.sockets();
        let known: Vec<String> = used.into_iter().filter(|name| self.open.contains_key(name)).collect();
        let names = if known.is_empty() { self.open.keys().cloned().collect() } else { known };
        // One that is opened for each slot has no connection before there is a process.
        let shared = |name: &String| self.open.get(name).is_some_and(|socket| !socket.config.so_reuseport);
        names.into_iter().filter(shared).collect()
    }
}

/// What a watcher's options say about the sockets of its processes.
pub(super) fn order(watcher: &WatcherConfig, sockets: &Sockets) -> SocketOrder {
    let named = watcher.sockets().into_iter().filter(|name| sockets.get(name).is_some());
    SocketOrder {
        all: watcher.use_sockets,
        named: named.collect(),
        listen: watcher.listen_fds.iter().map(|name| name.to_lowercase()).collect(),
    }
}
