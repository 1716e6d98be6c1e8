//! addsocket, rmsocket, and the sockets of a reloadconfig: prepared outside as a whole, then taken over or not.

use std::collections::BTreeSet;

use circus_common::{
    config::{Config, SocketConfig},
    protocol::{ErrorCode, Reply},
};
use serde_json::{Map, Value};

use super::{admin::AdminRun, read::repr};
use crate::arbiter::{
    Arbiter,
    effect::{Effect, Level},
    id::WatcherId,
    plan::Plan,
    request::Client,
    socket::{OpenSocket, SocketEffect, SocketPlan},
};

/// A change of sockets that is being prepared.
#[derive(Debug)]
pub(in crate::arbiter) struct Preparing {
    /// Who asked.
    pub client: Client,
    plan: SocketPlan,
    then: Then,
}

/// What follows when the sockets are open.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing but the answer.
    Answer,
    /// The rest of a `reloadconfig`.
    Apply { plan: Box<Plan>, config: Box<Config>, waiting: bool },
    /// The restart of the daemon in place, which goes on with these sockets.
    Restart { config: Box<Config> },
}

impl Arbiter {
    pub(super) fn do_add_socket(&mut self, client: Client, name: &str, options: &Map<String, Value>) {
        // It would be bound with circusd's rights, not with the owner's.
        if self.config.circus.owner().is_some() {
            let reason = "sockets are not added where `endpoint_owner` is set";
            return self.refuse(client, ErrorCode::Message, reason);
        }
        let config = match SocketConfig::from_options(name, options) {
            Ok(config) => config,
            Err(reason) => return self.refuse(client, ErrorCode::Message, reason),
        };
        if self.sockets.get(&config.name).is_some() {
            let reason = format!("command 'addsocket': {} already exist", repr(&config.name));
            return self.refuse(client, ErrorCode::Command, reason);
        }
        self.prepare(client, SocketPlan { open: vec![config], ..SocketPlan::default() }, Then::Answer);
    }

    pub(super) fn do_rm_socket(&mut self, client: Client, name: &str) {
        let name = name.to_lowercase();
        if self.sockets.get(&name).is_none() {
            return self.refuse(client, ErrorCode::Message, format!("socket {name} not found"));
        }
        let used = self.watchers.values().filter(|watcher| watcher.listed);
        let used = used.filter(|watcher| watcher.config.sockets().contains(&name));
        let users: Vec<&str> = used.map(|watcher| watcher.config.name.as_str()).collect();
        if !users.is_empty() {
            let reason = format!("socket {name} is used by {}", users.join(", "));
            return self.refuse(client, ErrorCode::Command, reason);
        }
        self.prepare(client, SocketPlan { close: vec![name], ..SocketPlan::default() }, Then::Answer);
    }

    /// Carries a plan out, its sockets first: if one of them cannot be had, nothing of it happens.
    pub(super) fn apply_with_sockets(
        &mut self,
        client: Client,
        plan: Plan,
        config: Box<Config>,
        waiting: bool,
    ) {
        if plan.sockets.is_empty() {
            return self.apply(plan, config, client, waiting);
        }
        let sockets = plan.sockets.clone();
        self.prepare(client, sockets, Then::Apply { plan: Box::new(plan), config, waiting });
    }

    /// The same before a restart in place: what cannot be had afterwards must be known before anything stops.
    pub(super) fn restart_with_sockets(&mut self, client: Client, sockets: SocketPlan, config: Box<Config>) {
        if sockets.is_empty() {
            return self.restart_in_place(client, config);
        }
        self.prepare(client, sockets, Then::Restart { config });
    }

    fn prepare(&mut self, client: Client, plan: SocketPlan, then: Then) {
        self.out.push(Effect::Sockets(SocketEffect::Prepare(plan.clone())));
        self.admin_running = Some(AdminRun::Preparing(Preparing { client, plan, then }));
    }

    /// The sockets were prepared.
    pub(in crate::arbiter) fn sockets_prepared(&mut self, opened: Result<Vec<OpenSocket>, String>) {
        let preparing = match self.admin_running.take() {
            Some(AdminRun::Preparing(preparing)) => preparing,
            // The daemon leaves: what was prepared is dropped with the rest.
            other => {
                self.admin_running = other;
                return;
            }
        };
        let Preparing { client, plan, then } = preparing;
        match opened {
            Ok(opened) => {
                let report = opened.first().map(OpenSocket::report);
                self.take_sockets(plan, opened);
                self.go_on(client, then, report);
            }
            Err(reason) => {
                self.out.note(Level::Error, format!("no socket is changed: {reason}"));
                self.refuse(client, ErrorCode::Command, reason);
            }
        }
    }

    fn take_sockets(&mut self, plan: SocketPlan, opened: Vec<OpenSocket>) {
        self.out.push(Effect::Sockets(SocketEffect::Commit));
        let gone: Vec<String> =
            plan.open.iter().map(|config| config.name.clone()).chain(plan.close.clone()).collect();
        self.sockets.apply(plan, opened);
        self.out.sockets = self.sockets.portraits();
        self.awaited.replaced(&gone);
        let waiting = self.watchers.values().filter(|watcher| watcher.config.on_demand);
        self.touched.extend(waiting.map(|watcher| watcher.id).collect::<Vec<WatcherId>>());
    }

    fn go_on(&mut self, client: Client, then: Then, report: Option<Value>) {
        match then {
            Then::Answer => {
                let reply = report.map_or_else(Reply::ok, |socket| Reply::with([("socket", socket)]));
                self.reply(client, reply);
            }
            Then::Apply { plan, config, waiting } => self.apply(*plan, config, client, waiting),
            Then::Restart { config } => self.restart_in_place(client, config),
        }
    }

    /// Why a configuration cannot be taken over: it takes a socket away from a watcher that it keeps.
    pub(super) fn misses_sockets(&self, wanted: &Config) -> Option<String> {
        let closing: BTreeSet<&str> = self
            .sockets
            .configs()
            .map(|socket| socket.name.as_str())
            .filter(|name| wanted.sockets.iter().all(|socket| socket.name != *name))
            .collect();
        let lines: Vec<String> = wanted
            .watchers
            .iter()
            .flat_map(|watcher| {
                let used = watcher.sockets();
                let missing = used.into_iter().filter(|name| closing.contains(name.as_str()));
                missing
                    .map(|name| format!("[watcher:{}] uses [socket:{name}], which is gone", watcher.name))
                    .collect::<Vec<_>>()
            })
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}
