//! start, stop, restart, reload: of one watcher, of those that match, of all.

use circus_common::{
    config::fnmatch::fnmatch,
    pattern::Pattern,
    protocol::{ErrorCode, Match, Reply, Target},
};

use super::admin::Task;
use crate::arbiter::{
    Arbiter,
    campaign::Campaign,
    id::WatcherId,
    operation::{Kind, Waiter},
    request::{Client, Shape},
};

impl Arbiter {
    pub(super) fn start(&mut self, client: Client, target: Option<Target>, waiting: bool) {
        match self.targets(client, target) {
            None => {}
            Some(Found::One(id)) => self.operate(client, id, Kind::Start, waiting, Shape::Start),
            Some(Found::Several(_)) if self.has_many_campaigns() => self.refuse_campaign(client),
            Some(Found::Several(ids)) => {
                let order = self.autostarting(ids);
                let pending = self.promise_all(client, waiting, Shape::Bare, order.len());
                let campaign = Campaign::new(Kind::Start, order, pending);
                if campaign.is_over() {
                    return self.close_if_empty(pending);
                }
                self.begin_campaign(campaign);
            }
        }
    }

    pub(super) fn stop(&mut self, client: Client, target: Option<Target>, waiting: bool) {
        match self.targets(client, target) {
            None => {}
            Some(Found::One(id)) => {
                self.count_stop(id);
                self.operate(client, id, Kind::Stop, waiting, Shape::Stop);
            }
            Some(Found::Several(mut ids)) => {
                let pending = self.promise_all(client, waiting, Shape::Bare, ids.len());
                // Stops begin in the opposite order of starts.
                ids = self.by_priority(false).into_iter().filter(|id| ids.contains(id)).collect();
                for id in &ids {
                    self.count_stop(*id);
                    self.ask_watcher(*id, Kind::Stop, pending.map(Waiter::Pending));
                    // At once: settled together later, their signals would leave in order of creation.
                    self.settle(*id);
                }
                self.close_if_empty(pending);
            }
        }
    }

    fn count_stop(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.stops += 1;
        }
    }

    pub(super) fn restart(&mut self, client: Client, target: Option<Target>, waiting: bool) {
        if target.is_none() {
            return self.admin(client, Task::Restart, waiting);
        }
        match self.targets(client, target) {
            None => {}
            Some(Found::One(id)) => self.operate(client, id, Kind::Restart, waiting, Shape::Replace),
            Some(Found::Several(_)) if self.has_many_campaigns() => self.refuse_campaign(client),
            Some(Found::Several(ids)) => {
                // Each is stopped, and some are started again.
                let parts = ids.len() + self.autostarting(ids.clone()).len();
                let pending = self.promise_all(client, waiting, Shape::Bare, parts);
                self.begin_restart(&ids, pending);
                self.close_if_empty(pending);
            }
        }
    }

    pub(super) fn reload(
        &mut self,
        client: Client,
        name: Option<&str>,
        graceful: bool,
        sequential: bool,
        waiting: bool,
    ) {
        let kind = Kind::Reload { graceful, sequential: sequential && graceful };
        match name {
            Some(name) => {
                if let Some(id) = self.known(client, name) {
                    self.operate(client, id, kind, waiting, Shape::Replace);
                }
            }
            None if self.has_many_campaigns() => self.refuse_campaign(client),
            None => {
                let pending = self.promise_all(client, waiting, Shape::Bare, usize::MAX);
                self.reload_all(kind, pending);
            }
        }
    }

    /// An operation on one watcher.
    fn operate(&mut self, client: Client, id: WatcherId, kind: Kind, waiting: bool, shape: Shape) {
        let full = self.watchers.get(&id).is_some_and(|watcher| watcher.is_full(kind));
        if full {
            let name = self.watchers.get(&id).map_or("", |watcher| watcher.config.name.as_str());
            let reason = format!("too many requests for {name}");
            return self.refuse(client, ErrorCode::Command, reason);
        }
        let waiter = self.promise(client, waiting, shape);
        self.ask_watcher(id, kind, waiter);
    }

    fn refuse_campaign(&mut self, client: Client) {
        self.refuse(client, ErrorCode::Command, "too many requests for the arbiter");
    }

    /// Answers a request that has turned out to have no part.
    fn close_if_empty(&mut self, pending: Option<u64>) {
        if let Some(number) = pending
            && self.pending.get(&number).is_some_and(|pending| pending.left == 0)
            && let Some(pending) = self.pending.remove(&number)
            && let Some(client) = pending.client
        {
            self.reply(client, Reply::ok());
        }
    }

    /// The watchers meant, by descending priority; a refusal is sent where there are none.
    fn targets(&mut self, client: Client, target: Option<Target>) -> Option<Found> {
        let Some(Target { pattern, method }) = target else {
            return Some(Found::Several(self.by_priority(true)));
        };
        let lower = pattern.to_lowercase();
        let matches: Box<dyn Fn(&str) -> bool> = match method {
            Match::Simple => Box::new(move |name: &str| name == lower),
            Match::Glob => Box::new(move |name: &str| fnmatch(&lower, name)),
            Match::Regex => match Pattern::new(&lower) {
                Ok(pattern) => Box::new(move |name: &str| pattern.matches(name)),
                Err(error) => {
                    self.refuse(client, ErrorCode::Command, error);
                    return None;
                }
            },
        };
        let order = self.by_priority(true);
        let found: Vec<WatcherId> = order
            .into_iter()
            .filter(|id| self.watchers.get(id).is_some_and(|w| matches(&w.config.name.to_lowercase())))
            .collect();
        match found.as_slice() {
            [] => {
                self.reply(client, Reply::not_found(&pattern));
                None
            }
            [one] => Some(Found::One(*one)),
            [_, ..] => Some(Found::Several(found)),
        }
    }
}

/// What a target means.
enum Found {
    /// Exactly one watcher: acted on whatever its autostart says.
    One(WatcherId),
    /// None named, or several that match.
    Several(Vec<WatcherId>),
}
