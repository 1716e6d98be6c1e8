//! How the daemon leaves: quit, and the restart in place.
//!
//! Everything that waits is refused, every watcher is stopped, and when the last one is, the answers of those who
//! asked for the end follow the exit.

use circus_common::protocol::{ErrorCode, Reply};

use super::{
    Arbiter,
    effect::{Departure, Effect, Level},
    operation::Kind,
    request::Client,
};

/// Whether the daemon stays.
#[derive(Debug)]
pub(super) enum Course {
    /// It does.
    Staying,
    /// Everything is being stopped; then it leaves so, and these are answered before.
    Leaving { departure: Departure, quitters: Vec<Client>, signals: u32 },
    /// It has left.
    Left,
}

impl Arbiter {
    /// Stops everything, then leaves. A second signal takes away every grace.
    pub(super) fn leave(&mut self, departure: Departure, client: Option<Client>, signal: bool) {
        if let Course::Leaving { departure: planned, quitters, signals } = &mut self.course {
            // A quit during an in-place restart wins.
            if departure == Departure::Quit {
                *planned = Departure::Quit;
            }
            quitters.extend(client);
            *signals += u32::from(signal);
            if signal && *signals > 1 {
                self.hurry();
            }
            return;
        }
        self.refuse_waiting(&departure);
        let quitters = client.into_iter().collect();
        self.course = Course::Leaving { departure, quitters, signals: u32::from(signal) };
        for id in self.by_priority(false) {
            self.ask_watcher(id, Kind::Stop, None);
            // At once: settled together later, their signals would leave in order of creation.
            self.settle(id);
        }
    }

    /// Answers everything that still waits: it will not be done.
    pub(super) fn refuse_waiting(&mut self, departure: &Departure) {
        let reply = refusal(departure);
        self.campaigns.clear();
        let pending = std::mem::take(&mut self.pending).into_values().filter_map(|pending| pending.client);
        let (resolving, trying) = (std::mem::take(&mut self.resolving), std::mem::take(&mut self.trying));
        let orders = resolving.into_values().chain(trying.into_values()).map(|order| order.client);
        let admin = std::mem::take(&mut self.admin).into_iter().map(|admin| admin.client);
        let running = self.admin_running.take().and_then(|run| run.client());
        let clients: Vec<Client> = pending.chain(orders).chain(admin).chain(running).collect();
        for client in clients {
            self.reply(client, reply.clone());
        }
    }

    pub(super) fn hurry(&mut self) {
        for watcher in self.watchers.values_mut() {
            watcher.hurry(&mut self.out);
        }
        self.touched.extend(self.watchers.keys());
    }

    pub(super) fn leave_if_stopped(&mut self) {
        // What is given away while it is being spawned is given away when it has come.
        let settled = self.released.is_empty() && self.watchers.values().all(|watcher| watcher.is_stopped());
        if !matches!(self.course, Course::Leaving { .. }) || !settled {
            return;
        }
        let Course::Leaving { departure, quitters, .. } = std::mem::replace(&mut self.course, Course::Left)
        else {
            return;
        };
        // Questions that were asked meanwhile and have no answer yet.
        self.refuse_waiting(&departure);
        let extended = std::mem::take(&mut self.extended).into_values().map(|extended| extended.client);
        let extended = extended.map(|client| (client, refusal(&departure)));
        let asked = std::mem::take(&mut self.asked).into_values();
        let asked = asked.map(|asker| (asker.client, asker.farewell(&departure)));
        for (client, reply) in asked.chain(extended).collect::<Vec<_>>() {
            self.reply(client, reply);
        }
        self.out.note(Level::Info, "Arbiter exiting");
        self.out.push(Effect::Exit(departure));
        // What is answered after the exit is answered when strays are gone too.
        for client in quitters {
            self.reply(client, Reply::ok());
        }
    }
}

/// Why a changing request is refused while the daemon leaves, and every request once it has left.
#[must_use]
pub fn refusal(departure: &Departure) -> Reply {
    let text = match departure {
        Departure::Quit => "arbiter is stopping...",
        Departure::Restart(_) => "arbiter is restarting...",
    };
    Reply::error(ErrorCode::Command, text)
}
