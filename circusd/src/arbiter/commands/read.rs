//! Commands that only answer.

use circus_common::protocol::{ErrorCode, GivenPid, Reply};
use serde_json::{Map, Value, json};

use crate::arbiter::{
    Arbiter,
    effect::{Question, StatsQuestion},
    request::Client,
};

impl Arbiter {
    pub(super) fn list(&mut self, client: Client, name: Option<&str>) {
        let reply = match name {
            None => Reply::with([("watchers", json!(self.names.keys().collect::<Vec<_>>()))]),
            Some(name) => match self.find(name) {
                Some(watcher) => Reply::with([("pids", json!(watcher.pids()))]),
                None => Reply::not_found(name),
            },
        };
        self.reply(client, reply);
    }

    pub(super) fn status(&mut self, client: Client, name: Option<&str>) {
        let reply = match name {
            None => {
                let listed = self.watchers.values().filter(|watcher| watcher.listed);
                let states: Map<String, Value> =
                    listed.map(|watcher| (watcher.config.name.clone(), json!(watcher.state()))).collect();
                Reply::with([("statuses", Value::Object(states))])
            }
            Some(name) => match self.find(name) {
                // The state takes the place of "ok": that is how Circus answers.
                Some(watcher) => Reply::with([("status", json!(watcher.state()))]),
                None => Reply::not_found(name),
            },
        };
        self.reply(client, reply);
    }

    pub(super) fn numprocesses(&mut self, client: Client, name: Option<String>) {
        let reply = match name {
            None => {
                let listed = self.watchers.values().filter(|watcher| watcher.listed);
                Reply::with([("numprocesses", json!(listed.map(|watcher| watcher.count()).sum::<usize>()))])
            }
            Some(name) => match self.find(&name) {
                Some(watcher) => {
                    Reply::with([("numprocesses", json!(watcher.count())), ("watcher_name", json!(name))])
                }
                None => Reply::not_found(&name),
            },
        };
        self.reply(client, reply);
    }

    pub(super) fn numwatchers(&mut self, client: Client) {
        let count = self.names.len();
        self.reply(client, Reply::with([("numwatchers", json!(count))]));
    }

    pub(super) fn list_sockets(&mut self, client: Client) {
        let sockets = self.sockets.report();
        self.reply(client, Reply::with([("sockets", sockets)]));
    }

    pub(super) fn ipython(&mut self, client: Client) {
        self.reply(client, Reply::with([("shell", json!(false)), ("msg", json!("not supported"))]));
    }

    pub(super) fn options(&mut self, client: Client, name: &str) {
        let reply = match self.find(name) {
            Some(watcher) => Reply::with([("options", Value::Object(watcher.config.report()))]),
            None => Reply::not_found(name),
        };
        self.reply(client, reply);
    }

    pub(super) fn get(&mut self, client: Client, name: &str, keys: &[String]) {
        let Some(watcher) = self.find(name) else {
            return self.reply(client, Reply::not_found(name));
        };
        let mut options = Map::new();
        for key in keys {
            match watcher.config.option(key) {
                Some(value) => options.insert(key.clone(), value),
                None => {
                    let reason = format!("{} option not found", repr(key));
                    return self.refuse(client, ErrorCode::Message, reason);
                }
            };
        }
        self.reply(client, Reply::with([("options", Value::Object(options))]));
    }

    pub(super) fn global_options(&mut self, client: Client, option: Option<&str>) {
        let circus = &self.config.circus;
        let all = [
            ("endpoint", json!(circus.endpoint)),
            ("stats_endpoint", json!(circus.stats_endpoint)),
            ("pubsub_endpoint", json!(circus.pubsub_endpoint)),
            ("check_delay", json!(circus.check_delay)),
            ("multicast_endpoint", json!(circus.multicast_endpoint)),
        ];
        let asked: Map<String, Value> = all
            .into_iter()
            .filter(|(key, _)| option.is_none_or(|wanted| wanted == *key))
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let reply = match option {
            Some(option) if asked.is_empty() => {
                Reply::error(ErrorCode::Message, format!("{} not an existing option", repr(option)))
            }
            // Beside the options, not among them: circusctl prints every one of those, and Circus has five.
            Some(_) | None => Reply::with([
                ("options", Value::Object(asked)),
                ("version", json!(env!("CARGO_PKG_VERSION"))),
            ]),
        };
        self.reply(client, reply);
    }

    pub(super) fn dstats(&mut self, client: Client) {
        self.inquire(client, Question::Dstats);
    }

    pub(super) fn stats(
        &mut self,
        client: Client,
        name: Option<String>,
        process: Option<GivenPid>,
        extended: bool,
    ) {
        if let (true, Some(name)) = (extended, &name) {
            self.remember_extended(client, name, process.as_ref().map(|process| process.pid));
        }
        let question = match name {
            None => {
                let listed = self.watchers.values().filter(|watcher| watcher.listed);
                StatsQuestion::All(listed.map(|w| (w.config.name.clone(), w.subjects())).collect())
            }
            Some(name) => {
                let Some(watcher) = self.find(&name) else {
                    return self.reply(client, Reply::not_found(&name));
                };
                let mut subjects = watcher.subjects();
                match process {
                    None => StatsQuestion::Watcher { name, processes: subjects },
                    Some(GivenPid { pid, given }) => {
                        subjects.retain(|subject| i64::from(subject.pid) == pid);
                        let Some(subject) = subjects.first() else {
                            let reason = format!("process {pid} not found in {}", repr(&name));
                            return self.refuse(client, ErrorCode::Message, reason);
                        };
                        StatsQuestion::Process { process: given, subject: *subject }
                    }
                }
            }
        };
        self.inquire(client, Question::Stats(question));
    }
}

/// A text as Python's `repr` shows it, which is what clients see in Circus' reasons.
pub(super) fn repr(text: &str) -> String {
    circus_common::config::python_text::repr_text(text)
}
