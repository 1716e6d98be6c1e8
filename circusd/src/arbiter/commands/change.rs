//! incr, decr, set, kill, signal: changes of one watcher.

use circus_common::{
    Signal,
    config::{
        Account, Change, SetError,
        options::{self, MAX_PROCESSES},
    },
    protocol::{ErrorCode, Happening, Reply, event::Seconds},
};
use serde_json::{Map, Value, json};

use crate::arbiter::{
    Arbiter,
    effect::{Effect, Question, Reach},
    id::{RequestId, WatcherId},
    operation::Kind,
    process::EndOrder,
    request::{Client, Shape},
    time::seconds,
    watcher::Watcher,
};

/// A `set` that waits until user and group are looked up.
#[derive(Debug)]
pub(in crate::arbiter) struct SetOrder {
    /// Who asked.
    pub client: Client,
    name: String,
    options: Map<String, Value>,
    waiting: bool,
}

impl SetOrder {
    /// The watcher's name as given.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What is to be set, in order.
    pub(super) const fn options(&self) -> &Map<String, Value> {
        &self.options
    }
}

/// How far a `signal` reaches; `None` is the processes themselves.
pub(super) fn reach(childpid: Option<i64>, children: bool, recursive: bool) -> Option<Reach> {
    match childpid {
        // Circus takes a child's pid of 0 for none.
        Some(pid) if pid != 0 => Some(Reach::Child(pid)),
        Some(_) | None if children => Some(Reach::Children),
        Some(_) | None if recursive => Some(Reach::Recursive),
        Some(_) | None => None,
    }
}

impl Arbiter {
    /// Publishes what a plugin found out.
    pub(super) fn notify(&mut self, client: Client, name: &str, attempt: i64, retry_in: Option<f64>) {
        let Some(id) = self.known(client, name) else { return };
        self.reply(client, Reply::ok());
        let happening = Happening::Flapping { attempt, retry_in: retry_in.map(Seconds) };
        self.with(id, |watcher, out| out.publish(&watcher.config.name, happening));
    }

    pub(super) fn incr(&mut self, client: Client, name: &str, nb: i64, waiting: bool) {
        let Some(id) = self.known(client, name) else { return };
        let Some(watcher) = self.watchers.get_mut(&id) else { return };
        let old = watcher.config.numprocesses;
        if watcher.config.singleton {
            let reply = Reply::with([("numprocesses", json!(old)), ("singleton", json!(true))]);
            return self.reply(client, reply);
        }
        let new = u32::try_from(i64::from(old).saturating_add(nb).max(0)).unwrap_or(u32::MAX);
        if let Err(reason) = bounded(new) {
            return self.refuse(client, ErrorCode::Message, reason);
        }
        let shape = Shape::Number(watcher.config.name.clone());
        let waiter = self.promise(client, waiting, shape);
        self.with(id, |watcher, _| watcher.set_numprocesses(new, waiter));
    }

    pub(super) fn set(&mut self, client: Client, name: String, changes: Map<String, Value>, waiting: bool) {
        let Some(id) = self.known(client, &name) else { return };
        // All keys are looked at before the first is applied.
        for (key, value) in &changes {
            if let Err(reason) = self.settable(id, key, value) {
                return self.refuse(client, ErrorCode::Message, reason);
            }
        }
        let account = |key: &str| changes.get(key).and_then(as_account);
        let (uid, gid) = (account("uid"), account("gid"));
        let order = SetOrder { client, name, options: changes, waiting };
        if uid.is_none() && gid.is_none() {
            return self.try_hooks_of_set(id, order);
        }
        self.out.push(Effect::Resolve { request: client.request, uid, gid });
        self.resolving.insert(client.request, order);
    }

    fn settable(&self, id: WatcherId, key: &str, value: &Value) -> Result<(), String> {
        if key == "numprocesses"
            && let Some(number) = value.as_i64()
        {
            bounded(u32::try_from(number.max(0)).unwrap_or(u32::MAX))?;
        }
        let free_form = self.watchers.get(&id).is_some_and(|watcher| watcher.config.extra.contains_key(key));
        if free_form { Ok(()) } else { options::check(key, value) }
    }

    /// User and group of a `set` were looked up.
    pub(in crate::arbiter) fn resolved(
        &mut self,
        request: RequestId,
        account: Result<(Option<u32>, Option<u32>), String>,
    ) {
        let Some(mut order) = self.resolving.remove(&request) else { return };
        let (uid, gid) = match account {
            Ok(numbers) => numbers,
            Err(reason) => return self.refuse(order.client, ErrorCode::Command, reason),
        };
        for (key, number) in [("uid", uid), ("gid", gid)] {
            if let (Some(value), Some(number)) = (order.options.get_mut(key), number) {
                *value = json!(number);
            }
        }
        // The watcher may have gone while the look-up went on.
        let name = order.name.clone();
        if let Some(id) = self.known(order.client, &name) {
            self.try_hooks_of_set(id, order);
        }
    }

    pub(super) fn apply_set(&mut self, id: WatcherId, order: SetOrder) {
        let SetOrder { client, options, waiting, .. } = order;
        let mut change = Change::None;
        for (key, value) in &options {
            match self.set_one(id, key, value) {
                Ok(one) => change = change.max(one),
                Err(error) => {
                    let code = match &error {
                        SetError::Message(_) => ErrorCode::Message,
                        SetError::Command(_) => ErrorCode::Command,
                    };
                    self.with(id, Watcher::tell_streams);
                    return self.refuse(client, code, error.to_string());
                }
            }
        }
        self.with(id, Watcher::tell_streams);
        let stopped = self.watchers.get(&id).is_none_or(|watcher| watcher.is_stopped());
        let waiter = self.promise(client, waiting, Shape::Bare);
        if change == Change::Reload && !stopped {
            let kind = Kind::Reload { graceful: true, sequential: false };
            return self.ask_watcher(id, kind, waiter);
        }
        self.with(id, |watcher, _| {
            let wanted = watcher.config.numprocesses;
            watcher.set_numprocesses(wanted, waiter);
        });
    }

    fn set_one(&mut self, id: WatcherId, key: &str, value: &Value) -> Result<Change, SetError> {
        let Some(watcher) = self.watchers.get_mut(&id) else { return Ok(Change::None) };
        let before = watcher.config.numprocesses;
        let change = watcher.options_mut().set(key, value)?;
        match key {
            "copy_env" => watcher.options_mut().recopy_env(&self.host.env),
            "working_dir" => watcher.options_mut().stay_in(&self.host.cwd),
            _ => {}
        }
        watcher.number_changed(before);
        watcher.options_changed();
        for _ in 0..options_in(key, value) {
            self.out.publish(&watcher.config.name, Happening::Updated);
        }
        Ok(change)
    }

    pub(super) fn kill(
        &mut self,
        client: Client,
        name: &str,
        pid: Option<i64>,
        signum: Option<Signal>,
        graceful_timeout: Option<f64>,
        waiting: bool,
    ) {
        let Some(id) = self.known(client, name) else { return };
        let waiter = self.promise(client, waiting, Shape::Bare);
        self.with(id, |watcher, out| {
            let order = EndOrder {
                signal: signum.unwrap_or(watcher.config.stop_signal),
                grace: seconds(graceful_timeout.unwrap_or(watcher.config.graceful_timeout)),
                refill: true,
            };
            watcher.kill(pid, order, waiter, out);
        });
    }

    pub(super) fn signal(
        &mut self,
        client: Client,
        name: &str,
        signum: i64,
        pid: Option<i64>,
        reach: Option<Reach>,
    ) {
        let Some(id) = self.known(client, name) else { return };
        let Ok(signal) = Signal::from_number(signum) else {
            return self.refuse(client, ErrorCode::Os, "[Errno 22] Invalid argument");
        };
        let alive = self.watchers.get(&id).map(|watcher| watcher.alive()).unwrap_or_default();
        let processes: Vec<_> = alive
            .into_iter()
            .filter(|(_, number)| pid.is_none_or(|pid| i64::from(*number) == pid))
            .map(|(process, _)| process)
            .collect();
        match (reach, pid) {
            (Some(Reach::Children | Reach::Child(_)), Some(pid)) if processes.is_empty() => {
                self.refuse(client, ErrorCode::Command, format!("process {pid} not found in {name}"));
            }
            (Some(Reach::Recursive), _)
                if self.watchers.get(&id).is_some_and(|watcher| watcher.has_signal_hooks()) =>
            {
                self.with(id, |watcher, out| {
                    processes.iter().for_each(|process| watcher.signal(*process, signal, out));
                });
                self.inquire(client, Question::SignalTree { processes, signal, reach: Reach::Descendants });
            }
            (Some(reach), _) if !processes.is_empty() => {
                self.inquire(client, Question::SignalTree { processes, signal, reach });
            }
            (Some(_) | None, _) => {
                self.reply(client, Reply::ok());
                self.with(id, |watcher, out| {
                    processes.into_iter().for_each(|process| watcher.signal(process, signal, out));
                });
            }
        }
    }
}

fn bounded(number: u32) -> Result<(), String> {
    if number <= MAX_PROCESSES { Ok(()) } else { Err(format!("'numprocesses' is more than {MAX_PROCESSES}")) }
}

/// How many options a key of `set` stands for: each is told as `updated`, also those that come as one object.
fn options_in(key: &str, value: &Value) -> usize {
    value.as_object().filter(|_| key == "hooks").map_or(1, Map::len)
}

fn as_account(value: &Value) -> Option<Account> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|id| u32::try_from(id).ok()).map(Account::Id),
        Value::String(name) => Some(Account::Name(name.clone())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
