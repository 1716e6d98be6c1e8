//! `stats` with `extended`: the figures of the system, to which the hook `extended_stats` may add.

use std::collections::BTreeSet;

use circus_common::protocol::{ErrorCode, Reply};
use serde_json::{Map, Value};

use crate::arbiter::{
    Arbiter,
    id::{RequestId, WatcherId},
    outbox::Added,
    request::Client,
};

/// A `stats` request that the hook may add to.
#[derive(Debug)]
pub(in crate::arbiter) struct Extended {
    /// Who asked.
    pub client: Client,
    watcher: WatcherId,
    /// The one process asked for.
    process: Option<i64>,
    /// The answer so far, once the system has given it.
    members: Map<String, Value>,
    /// Processes about which the hook has not answered.
    left: BTreeSet<i32>,
}

impl Extended {
    /// The figures of a process.
    fn figures(&mut self, pid: i32) -> Option<&mut Value> {
        let info = self.members.get_mut("info")?;
        match self.process {
            Some(_) => Some(info),
            None => info.get_mut(pid.to_string()),
        }
    }

    /// The processes that have figures.
    fn pids(&self) -> BTreeSet<i32> {
        let info = self.members.get("info").and_then(Value::as_object);
        match (self.process, info) {
            (_, None) => BTreeSet::new(),
            (Some(pid), Some(_)) => i32::try_from(pid).into_iter().collect(),
            (None, Some(info)) => info.keys().filter_map(|pid| pid.parse().ok()).collect(),
        }
    }
}

impl Arbiter {
    /// Remembers that this answer is to be extended, if the watcher has the hook.
    pub(super) fn remember_extended(&mut self, client: Client, name: &str, process: Option<i64>) {
        let Some(watcher) = self.find(name).filter(|watcher| watcher.extends_stats()) else { return };
        let known = process.is_none_or(|pid| watcher.pids().iter().any(|known| i64::from(*known) == pid));
        if known {
            let (watcher, members, left) = (watcher.id, Map::new(), BTreeSet::new());
            self.extended.insert(client.request, Extended { client, watcher, process, members, left });
        }
    }

    /// The system has given the figures: the hook is asked about each process.
    pub(in crate::arbiter) fn extend_figures(&mut self, request: RequestId, reply: Reply) {
        let Some(extended) = self.extended.get_mut(&request) else { return };
        match reply {
            Reply::Ok(members) => extended.members = members,
            Reply::Error { .. } => {
                let client = extended.client;
                self.extended.remove(&request);
                return self.reply(client, reply);
            }
        }
        let watcher = extended.watcher;
        for pid in extended.pids() {
            let stats = extended.figures(pid).and_then(|figures| figures.as_object().cloned());
            let asked = match (self.watchers.get_mut(&watcher), stats) {
                (Some(watcher), Some(stats)) => watcher.ask_figures(request, pid, stats, &mut self.out),
                (Some(_) | None, _) => false,
            };
            if asked {
                extended.left.insert(pid);
            }
        }
        self.touched.insert(watcher);
        self.close_extended(request);
    }

    /// The hook has answered about one process.
    pub(in crate::arbiter) fn figures_extended(&mut self, added: Added) {
        let Added { request, pid, figures: added } = added;
        let Some(extended) = self.extended.get_mut(&request) else { return };
        extended.left.remove(&pid);
        match added {
            Ok(added) => {
                if let Some(Value::Object(figures)) = extended.figures(pid) {
                    figures.extend(added);
                }
            }
            Err(reason) => {
                let client = extended.client;
                self.extended.remove(&request);
                return self.refuse(client, ErrorCode::Command, reason);
            }
        }
        self.close_extended(request);
    }

    fn close_extended(&mut self, request: RequestId) {
        if self.extended.get(&request).is_some_and(|extended| extended.left.is_empty())
            && let Some(extended) = self.extended.remove(&request)
        {
            self.reply(extended.client, Reply::Ok(extended.members));
        }
    }
}
