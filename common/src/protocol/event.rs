//! Events: what happened to a watcher, as topic and payload, both ways.

use serde_json::{Map, Value};

use super::json;

/// Something that happened to one watcher.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The watcher's name as written; the topic carries it lower-cased with `_` for blanks.
    pub watcher: String,
    /// What happened.
    pub happening: Happening,
    /// When, in seconds since the epoch.
    pub time: f64,
}

/// What can happen to a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It was added by the `add` command.
    Add,
    /// It is being removed by `rm`.
    Remove,
    /// A process was started; the event's time is its start time.
    Spawn {
        /// Which.
        pid: i32,
    },
    /// A stop signal or SIGKILL was sent.
    Kill {
        /// Which.
        pid: i32,
    },
    /// A process ended: exit status, or minus the signal number.
    Reap {
        /// Which.
        pid: i32,
        /// How.
        exit_code: i32,
        /// Whether circusd had asked for this end (own member; Circus clients ignore it).
        expected: bool,
    },
    /// It became active.
    Start,
    /// It stopped.
    Stop,
    /// A graceful reload ended.
    Reload,
    /// An option was changed.
    Updated,
    /// A hook returned.
    HookSuccess {
        /// Which.
        name: String,
    },
    /// A hook failed.
    HookFailure {
        /// Which.
        name: String,
        /// What it said.
        error: String,
    },
    /// Something that a hook tells of its watcher.
    Custom {
        /// The last part of the topic.
        word: String,
        /// The whole payload.
        members: Map<String, Value>,
    },
    /// A start was given up, or the last process could not be replaced (own event).
    Fatal {
        /// Why the last spawn failed.
        error: String,
    },
    /// Its processes keep dying, so a plugin stopped it (own event, published by the command `notify`).
    Flapping {
        /// How often that has happened.
        attempt: i64,
        /// Seconds until it is started again; none when it stays stopped.
        retry_in: Option<Seconds>,
    },
    /// A reload was undone: the old processes stayed (own event).
    Undone {
        /// What became of the new ones.
        reason: String,
    },
}

/// Seconds that came with a request: finite, so that they can be compared.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub f64);

impl PartialEq for Seconds {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl Eq for Seconds {}

impl Event {
    /// `watcher.NAME.EVENT`: the name in lower case with `_` for every blank, nothing else changed. Events that
    /// Circus does not have are under `circus.NAME.EVENT`.
    #[must_use]
    pub fn topic(&self) -> String {
        let root = if self.is_own() { "circus" } else { "watcher" };
        format!("{root}.{}.{}", res_name(&self.watcher), self.happening.word())
    }

    /// Whether it is one that Circus does not have: those go to `events_endpoint` only.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(
            self.happening,
            Happening::Fatal { .. } | Happening::Flapping { .. } | Happening::Undone { .. }
        )
    }

    /// The JSON object that goes with it, as one line.
    #[must_use]
    pub fn payload(&self) -> String {
        json::to_text(&self.members().into())
    }

    /// The members in the order Circus writes them.
    fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut member = |key: &str, value: Value| members.insert(key.to_owned(), value);
        let time = json::number(self.time);
        match &self.happening {
            Happening::Spawn { pid } | Happening::Kill { pid } => {
                member("process_pid", (*pid).into());
                member("time", time);
            }
            Happening::Reap { pid, exit_code, expected } => {
                member("process_pid", (*pid).into());
                member("time", time);
                member("exit_code", (*exit_code).into());
                member("expected", (*expected).into());
            }
            Happening::HookSuccess { name } => {
                member("name", name.as_str().into());
                member("time", time);
            }
            Happening::HookFailure { name, error } => {
                member("name", name.as_str().into());
                member("time", time);
                member("error", error.as_str().into());
            }
            Happening::Custom { members, .. } => return members.clone(),
            Happening::Fatal { error } => {
                member("time", time);
                member("error", error.as_str().into());
            }
            Happening::Flapping { attempt, retry_in } => {
                member("time", time);
                member("attempt", (*attempt).into());
                member("retry_in", retry_in.map_or(Value::Null, |seconds| json::number(seconds.0)));
            }
            Happening::Undone { reason } => {
                member("time", time);
                member("reason", reason.as_str().into());
            }
            Happening::Add
            | Happening::Remove
            | Happening::Start
            | Happening::Stop
            | Happening::Reload
            | Happening::Updated => {
                member("time", time);
            }
        }
        members
    }
}

impl Happening {
    /// The last part of the topic.
    #[must_use]
    pub const fn word(&self) -> &str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Spawn { .. } => "spawn",
            Self::Kill { .. } => "kill",
            Self::Reap { .. } => "reap",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reload => "reload",
            Self::Updated => "updated",
            Self::HookSuccess { .. } => "hook_success",
            Self::HookFailure { .. } => "hook_failure",
            Self::Custom { word, .. } => word.as_str(),
            Self::Fatal { .. } => "fatal",
            Self::Flapping { .. } => "flapping",
            Self::Undone { .. } => "undone",
        }
    }
}

/// A watcher's name as topics carry it.
#[must_use]
pub fn res_name(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}

/// An event as a subscriber gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The watcher's name as topics carry it; see [`res_name`].
    pub watcher: String,
    /// What happened.
    pub event: String,
    /// The payload.
    pub members: Map<String, Value>,
}

/// Reads both frames; `None` when they are no event.
#[must_use]
pub fn parse(topic: &[u8], payload: &[u8]) -> Option<Seen> {
    let topic = str::from_utf8(topic).ok()?;
    // A name may hold dots, so the event is the last part.
    let named = topic.strip_prefix("watcher.").or_else(|| topic.strip_prefix("circus."))?;
    let (watcher, event) = named.rsplit_once('.')?;
    let Ok(Value::Object(members)) = serde_json::from_slice(payload) else { return None };
    Some(Seen { watcher: watcher.to_owned(), event: event.to_owned(), members })
}

/// One kind of event, for the reference.
pub(super) struct EventSpec {
    /// The last part of the topic.
    pub(super) name: &'static str,
    /// The members of the payload.
    pub(super) members: &'static [&'static str],
    /// When it is published.
    pub(super) doc: &'static str,
}

const fn spec(name: &'static str, members: &'static [&'static str], doc: &'static str) -> EventSpec {
    EventSpec { name, members, doc }
}

/// Every kind of event.
pub(super) const TABLE: &[EventSpec] = &[
    spec("add", &["time"], "The watcher was added by `add`."),
    spec("remove", &["time"], "It is being removed by `rm`; before the events of its stop."),
    spec("spawn", &["process_pid", "time"], "A process was started; `time` is its start."),
    spec(
        "kill",
        &["process_pid", "time"],
        "circusd sent the stop signal or SIGKILL: one event for each signal and process, descendants included. Not for the command `signal`.",
    ),
    spec(
        "reap",
        &["process_pid", "time", "exit_code", "expected"],
        "A process ended. Exactly one for each process.",
    ),
    spec("start", &["time"], "The watcher became active."),
    spec("stop", &["time"], "The watcher stopped, or a start of it was given up."),
    spec("reload", &["time"], "A graceful reload ended."),
    spec("updated", &["time"], "An option was changed by `set`; one event for each."),
    spec("hook_success", &["name", "time"], "A hook returned, whatever it said."),
    spec("hook_failure", &["name", "time", "error"], "A hook failed."),
];

/// Every kind of event that Circus does not have.
pub(super) const OWN_TABLE: &[EventSpec] = &[
    spec("fatal", &["time", "error"], "A start was given up, or no process is left and none can be spawned."),
    spec(
        "flapping",
        &["time", "attempt", "retry_in"],
        "The plugin Flapping stopped the watcher, whose processes keep dying; it is started again after `retry_in` seconds, or never if that is null.",
    ),
    spec(
        "undone",
        &["time", "reason"],
        "A reload was undone: the new processes did not settle, the old ones stayed.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn event(watcher: &str, happening: Happening) -> Event {
        Event { watcher: watcher.to_owned(), happening, time: 1_795_244_753.78 }
    }

    fn every_happening() -> Vec<Happening> {
        let name = || "before_start".to_owned();
        vec![
            Happening::Add,
            Happening::Remove,
            Happening::Spawn { pid: 7 },
            Happening::Kill { pid: 7 },
            Happening::Reap { pid: 7, exit_code: -15, expected: true },
            Happening::Start,
            Happening::Stop,
            Happening::Reload,
            Happening::Updated,
            Happening::HookSuccess { name: name() },
            Happening::HookFailure { name: name(), error: "no".to_owned() },
        ]
    }

    #[test]
    fn topics_carry_the_name_in_lower_case_with_underscores_for_blanks() {
        for (watcher, topic) in [
            ("Sleep er", "watcher.sleep_er.start"),
            ("plugin:p", "watcher.plugin:p.start"),
            ("dotted.name", "watcher.dotted.name.start"),
        ] {
            assert_eq!(event(watcher, Happening::Start).topic(), topic);
        }
    }

    #[test]
    fn payloads_are_written_as_circus_writes_them() {
        for (happening, payload) in [
            (Happening::Spawn { pid: 27894 }, r#"{"process_pid": 27894, "time": 1795244753.78}"#),
            (
                Happening::Reap { pid: 7, exit_code: -15, expected: true },
                r#"{"process_pid": 7, "time": 1795244753.78, "exit_code": -15, "expected": true}"#,
            ),
            (Happening::Start, r#"{"time": 1795244753.78}"#),
            (
                Happening::HookFailure { name: "before_start".to_owned(), error: "a \"b\"".to_owned() },
                r#"{"name": "before_start", "time": 1795244753.78, "error": "a \"b\""}"#,
            ),
        ] {
            assert_eq!(event("web", happening).payload(), payload);
        }
    }

    #[test]
    fn every_event_reads_back_and_has_the_members_of_the_table() {
        for (happening, spec) in every_happening().into_iter().zip(TABLE) {
            let event = event("dotted.Na me", happening);
            let seen = parse(event.topic().as_bytes(), event.payload().as_bytes()).expect("an event");
            assert_eq!((seen.watcher.as_str(), seen.event.as_str()), ("dotted.na_me", spec.name));
            assert_eq!(seen.members.keys().collect::<Vec<_>>(), spec.members);
        }
    }

    #[test]
    fn what_is_no_event_is_none() {
        for (topic, payload) in [
            (&b"stat.web.1"[..], &b"{}"[..]),
            (b"watcher.web", b"{}"),
            (b"watcher.web.spawn", b"[]"),
            (b"watcher.web.spawn", b"{"),
            (b"watcher.\xff.spawn", b"{}"),
        ] {
            assert_eq!(parse(topic, payload), None);
        }
    }
}
