//! What `why` and `options` tell of a watcher, as typed values.
//!
//! Only what is shown is kept: an environment, which `options` also holds, may carry secrets.

use serde_json::{Map, Value};

use super::{
    sample::{amount, count, text},
    text::clean,
};

/// Exits kept of each watcher, the latest first.
const MOST_EXITS: usize = 20;

/// How the processes of a watcher ended lately, and what is tried next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Why {
    /// Processes that ended unasked and were replaced.
    pub restarts: Option<u64>,
    /// The last exits, the latest first.
    pub exits: Vec<Exit>,
    /// Slots that wait for their next try.
    pub backoff: Vec<Backoff>,
    /// The latest error of a spawn that failed.
    pub error: Option<String>,
}

/// One exit.
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// The slot.
    pub slot: String,
    /// The process.
    pub pid: String,
    /// Seconds between the exit and the answer that told of it.
    pub ago: f64,
    /// Seconds it lived.
    pub lifespan: Option<f64>,
    /// In which way it ended.
    pub how: String,
    /// Whether circusd had asked for it.
    pub expected: bool,
}

/// A slot that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The slot.
    pub slot: String,
    /// Failures in a row.
    pub failures: u64,
    /// Seconds to the next try, when the answer was given.
    pub retry_in: Option<f64>,
}

/// What a watcher runs, from `options`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// The command with its arguments.
    pub command: String,
    /// Where it runs.
    pub directory: String,
    /// As whom.
    pub user: String,
    /// How many processes there should be.
    pub wanted: Option<u64>,
}

impl Why {
    /// Reads an answer to `why`.
    #[must_use]
    pub fn read(reply: &Map<String, Value>) -> Self {
        let now = amount(reply, "time").unwrap_or_default();
        let mut exits: Vec<_> = objects(reply, "slots")
            .flat_map(|(slot, exits)| {
                let exits = exits.as_array().map_or(&[][..], Vec::as_slice);
                exits.iter().filter_map(Value::as_object).map(move |exit| Exit::read(slot, exit, now))
            })
            .collect();
        exits.sort_by(|one, other| one.ago.total_cmp(&other.ago));
        exits.truncate(MOST_EXITS);
        let backoff = objects(reply, "backoff").filter_map(|(slot, wait)| {
            let wait = wait.as_object()?;
            let failures = count(wait, "failures").unwrap_or_default();
            Some(Backoff { slot: clean(slot), failures, retry_in: amount(wait, "retry_in") })
        });
        let errors = reply.get("errors").and_then(Value::as_array);
        Self {
            restarts: count(reply, "restarts"),
            exits,
            backoff: backoff.take(MOST_EXITS).collect(),
            error: errors.and_then(|all| all.last()).and_then(Value::as_str).map(clean),
        }
    }
}

impl Exit {
    fn read(slot: &str, exit: &Map<String, Value>, now: f64) -> Self {
        let how = match (exit.get("signal").and_then(Value::as_str), exit.get("exit_code")) {
            (Some(signal), _) => format!("killed by {}", clean(signal)),
            (None, Some(Value::Number(code))) => format!("exited with {code}"),
            (None, _) => text(exit, "text"),
        };
        Self {
            slot: clean(slot),
            pid: text(exit, "pid"),
            ago: (now - amount(exit, "time").unwrap_or(now)).max(0.0),
            lifespan: amount(exit, "lifespan"),
            how,
            expected: exit.get("expected").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}

impl About {
    /// Reads an answer to `options`.
    #[must_use]
    pub fn read(reply: &Map<String, Value>) -> Self {
        let Some(options) = reply.get("options").and_then(Value::as_object) else { return Self::default() };
        let arguments = match options.get("args") {
            Some(Value::Array(words)) => {
                clean(&words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
            }
            Some(_) | None => text(options, "args"),
        };
        Self {
            command: format!("{} {arguments}", text(options, "cmd")).trim_end().to_owned(),
            directory: text(options, "working_dir"),
            user: text(options, "uid"),
            wanted: count(options, "numprocesses"),
        }
    }
}

fn objects<'a>(reply: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    reply.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn exits_are_read_latest_first() {
        let reply = json!({"time": 100.0, "restarts": 2, "errors": ["a", "b\u{7}"],
            "slots": {"1": [{"pid": 7, "time": 10.0, "lifespan": 3.0, "exit_code": 3, "signal": null},
                            {"pid": 8, "time": 98.5, "lifespan": 1.0, "signal": "SIGKILL", "expected": true}],
                      "2": "nonsense"},
            "backoff": {"1": {"failures": 4, "retry_in": 0.8}, "2": 5}});
        let why = Why::read(reply.as_object().unwrap());
        let exits: Vec<_> =
            why.exits.iter().map(|exit| (exit.pid.as_str(), exit.how.as_str(), exit.ago)).collect();
        assert_eq!(exits, [("8", "killed by SIGKILL", 1.5), ("7", "exited with 3", 90.0)]);
        assert_eq!(why.restarts, Some(2));
        assert_eq!(why.error.as_deref(), Some("b\u{fffd}"));
        assert_eq!(why.backoff, [Backoff { slot: "1".to_owned(), failures: 4, retry_in: Some(0.8) }]);
    }

    #[test]
    fn an_environment_is_not_kept() {
        let reply = json!({"options": {"cmd": "sh -c", "args": ["a", "b c"], "env": {"TOKEN": "secret"},
                                       "numprocesses": 3, "uid": null, "working_dir": "/srv"}});
        let about = About::read(reply.as_object().unwrap());
        assert_eq!(about.command, "sh -c a b c");
        assert_eq!((about.wanted, about.directory.as_str()), (Some(3), "/srv"));
        assert!(!format!("{about:?}").contains("secret"));
    }

    #[test]
    fn an_empty_answer_is_no_knowledge() {
        assert_eq!(Why::read(&Map::new()), Why::default());
        assert_eq!(About::read(&Map::new()), About::default());
    }
}
