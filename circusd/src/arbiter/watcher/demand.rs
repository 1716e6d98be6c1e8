//! `on_demand`: started by a connection, stopped when there was none for `idle_timeout`.
//!
//! circusd cannot see what its processes accept. It is told of a connection that nobody has accepted yet, once each
//! time it asks, and it can have the open ones counted. So a watcher counts as idle when, for `idle_timeout`, nobody
//! was seen to connect and no connection was open at the end of that time.

use std::{collections::BTreeSet, time::Duration};

use super::{Phase, Watcher};
use crate::arbiter::{
    effect::{Effect, Level},
    operation::Kind,
    outbox::Outbox,
    slot::life_pause,
    socket::{SocketEffect, Sockets},
    time::{Timestamp, seconds},
};

/// After a connection was seen, this part of `idle_timeout` passes before the next is looked for: a busy service
/// costs few wake-ups, and an idle one is found out not much too late.
const GRAIN: u32 = 8;

/// What makes a watcher start by itself, and what of it is seen while it runs.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// Whether a connection starts it: it was started and not stopped.
    armed: bool,
    /// A connection has come: the start in hand is a real one.
    called: bool,
    /// Lives in a row that were too short.
    failures: u32,
    /// Where a connection was waiting already, nobody accepted it: no start for it before this.
    not_before: Timestamp,
    /// Connections are not looked for before this.
    look_at: Timestamp,
    /// Since when nobody was seen to connect.
    quiet_since: Timestamp,
    /// Whether the open connections are being counted.
    count: Count,
}

/// How far the counting of open connections is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Count {
    /// Nobody wants to know.
    #[default]
    None,
    /// To be asked.
    Wanted,
    /// Asked.
    Awaited,
}

impl Demand {
    /// From now on a connection starts it.
    pub fn arm(&mut self) {
        self.armed = true;
        self.called = false;
        self.failures = 0;
        self.not_before = Timestamp::default();
        self.look_at = Timestamp::default();
    }

    /// Connections leave it alone.
    pub fn disarm(&mut self) {
        self.armed = false;
        self.called = false;
    }

    /// Whether a connection has asked for the start in hand.
    pub fn take_call(&mut self) -> bool {
        std::mem::take(&mut self.called)
    }

    /// It runs.
    pub fn running(&mut self, now: Timestamp) {
        self.quiet_since = now;
        self.look_at = now;
        self.count = Count::None;
    }

    /// A process has ended by itself; `early` if it lived too short to be a healthy one.
    pub fn ended(&mut self, early: bool, now: Timestamp, cap: Duration) {
        self.failures = if early { self.failures.saturating_add(1) } else { 0 };
        self.not_before = now + life_pause(self.failures, cap);
        self.look_at = now;
    }
}

impl Watcher {
    /// Whether a process that ended is replaced without further ado.
    pub(super) fn refills(&self) -> bool {
        self.config.respawn && !self.config.on_demand
    }

    /// Whether the next connection to one of its sockets matters at this moment.
    fn awaits(&self, now: Timestamp) -> bool {
        // With no process wanted a start is the next stop, and who waits would start it again.
        let due = now >= self.demand.look_at && self.config.numprocesses > 0;
        match self.phase {
            Phase::Stopped => due && self.demand.armed && self.operations.is_idle(),
            Phase::Active(_) => due && (self.lost > 0 || self.config.idle_timeout > 0.0),
            Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => false,
            Phase::Leaving | Phase::Stopping | Phase::Parting => false,
        }
    }

    /// The sockets whose next connection matters at this moment.
    pub fn awaited(&self, sockets: &Sockets, now: Timestamp) -> BTreeSet<String> {
        if self.config.on_demand && self.awaits(now) {
            sockets.of_demand(&self.config).into_iter().collect()
        } else {
            BTreeSet::new()
        }
    }

    /// Somebody connects. `waiting` says that the connection was there before it was looked for.
    pub fn connection(&mut self, waiting: bool, out: &mut Outbox) {
        let now = out.now.mono;
        if !self.config.on_demand || !self.awaits(now) {
            return;
        }
        if waiting && now < self.demand.not_before {
            self.demand.look_at = self.demand.not_before;
            return;
        }
        if !waiting {
            self.demand.failures = 0;
        }
        match self.phase {
            Phase::Stopped => {
                self.demand.called = true;
                // Nothing runs or waits, so there is room.
                let _admitted = self.ask(Kind::Start, None, out);
            }
            Phase::Active(_) => {
                self.lost = 0;
                let grain = seconds(self.config.idle_timeout) / GRAIN;
                self.demand.look_at = now + grain;
                self.demand.quiet_since = now + grain;
            }
            Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => {}
            Phase::Leaving | Phase::Stopping | Phase::Parting => {}
        }
    }

    /// Wants its connections counted when nobody was seen to connect for long.
    pub(super) fn watch_idleness(&mut self, now: Timestamp) {
        if self.idle_at().is_some_and(|at| at <= now) && self.demand.count == Count::None {
            self.demand.count = Count::Wanted;
        }
    }

    /// When it is idle, unless somebody connects before.
    fn idle_at(&self) -> Option<Timestamp> {
        let limit = seconds(self.config.idle_timeout);
        let watched = self.config.on_demand && !limit.is_zero() && matches!(self.phase, Phase::Active(_));
        watched.then(|| self.demand.quiet_since + limit)
    }

    /// Asks for the count that is wanted.
    pub fn count_connections(&mut self, sockets: &Sockets, out: &mut Outbox) {
        if self.demand.count == Count::Wanted {
            self.demand.count = Count::Awaited;
            let sockets = sockets.of_demand(&self.config);
            out.push(Effect::Sockets(SocketEffect::Count { watcher: self.id, sockets }));
        }
    }

    /// The open connections were counted: none is the end, for now.
    pub fn connections_counted(&mut self, connections: usize, out: &mut Outbox) {
        let now = out.now.mono;
        if self.demand.count != Count::Awaited {
            return;
        }
        self.demand.count = Count::None;
        if self.idle_at().is_none_or(|at| at > now) {
            return;
        }
        if connections > 0 || !self.operations.is_idle() {
            self.demand.quiet_since = now;
            return;
        }
        let (name, limit) = (&self.config.name, self.config.idle_timeout);
        out.note(
            Level::Info,
            format!("{name} had no connection for {limit} s and is stopped until the next"),
        );
        self.demand.arm();
        self.enter_stopping(out);
    }

    /// When time alone lets it look at its connections again.
    pub(super) fn demand_wake(&self, now: Timestamp) -> Option<Timestamp> {
        if !self.config.on_demand {
            return None;
        }
        let looks = match self.phase {
            Phase::Stopped => self.demand.armed,
            Phase::Active(_) => true,
            Phase::Preparing(_) | Phase::Starting(_) | Phase::Confirming(_) => false,
            Phase::Leaving | Phase::Stopping | Phase::Parting => false,
        };
        let idle = self.idle_at().filter(|_| self.demand.count == Count::None);
        looks.then_some(self.demand.look_at).into_iter().chain(idle).filter(|at| *at > now).min()
    }

    /// Closes the sockets of slots that nobody will use again (`so_reuseport`).
    pub(super) fn close_listeners(&mut self, out: &mut Outbox) {
        if self.listening.is_empty() {
            return;
        }
        let returning = self.operations.running().is_some_and(|operation| match operation.kind {
            Kind::Start | Kind::Restart | Kind::Reload { .. } | Kind::Replace => true,
            Kind::Stop | Kind::Remove => false,
        });
        let mut used: BTreeSet<u32> = self.processes.ids().map(|process| process.wid).collect();
        used.extend(self.waiting.keys());
        let down = returning && !self.may_spawn();
        let keep: BTreeSet<u32> =
            self.listening.iter().copied().filter(|wid| down || used.contains(wid)).collect();
        if keep != self.listening {
            out.push(Effect::Sockets(SocketEffect::CloseOwn { watcher: self.id, keep: keep.clone() }));
            self.listening = keep;
        }
    }
}
