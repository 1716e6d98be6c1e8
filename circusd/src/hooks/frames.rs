//! What circusd and a Python that calls hooks say to each other, one line of JSON each.

use circus_common::{
    config::{CircusConfig, HookName},
    log::Level,
    protocol::{Echo, Reply},
};
use serde_json::{Map, Value, json};

use crate::arbiter::hook::{HookAnswer, HookOrder, Verdict};

/// The longest line that is taken from a Python.
pub(super) const LONGEST_LINE: usize = 1 << 20;

/// What a Python says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// A hook has answered.
    Done { call: u64, answer: Box<HookAnswer> },
    /// A callable was looked up: what is wrong with it, if anything.
    Found { look: u64, error: Option<String> },
    /// A hook asks: a request as a client would write it, and the number of the question.
    Ask { question: u64, call: u64, command: String, properties: Map<String, Value> },
    /// A hook publishes.
    Event { watcher: String, word: String, members: Map<String, Value> },
    /// A hook logs.
    Log { level: Level, text: String },
}

impl Said {
    /// Reads a line; `None` when it means nothing.
    pub fn read(line: &[u8]) -> Option<Self> {
        let Ok(Value::Object(mut frame)) = serde_json::from_slice(line) else { return None };
        let number = |frame: &Map<String, Value>, key: &str| frame.get(key).and_then(Value::as_u64);
        let object = |value: Option<Value>| match value {
            Some(Value::Object(members)) => Some(members),
            Some(_) | None => None,
        };
        if let Some(call) = number(&frame, "done") {
            let stats = object(frame.remove("stats"));
            let changes = object(frame.remove("changes")).unwrap_or_default();
            let verdict = match (frame.get("error").and_then(Value::as_str), frame.get("result")) {
                (Some(error), _) => Verdict::Failed(error.to_owned()),
                (None, Some(Value::Bool(true))) => Verdict::Yes,
                (None, _) => Verdict::No,
            };
            return Some(Self::Done { call, answer: Box::new(HookAnswer { verdict, changes, stats }) });
        }
        if let Some(look) = number(&frame, "found") {
            let error = frame.get("error").and_then(Value::as_str).map(str::to_owned);
            return Some(Self::Found { look, error });
        }
        if let Some(question) = number(&frame, "ask") {
            let call = number(&frame, "for")?;
            let command = frame.get("command")?.as_str()?.to_owned();
            let properties = object(frame.remove("properties"))?;
            return Some(Self::Ask { question, call, command, properties });
        }
        if let Some(level) = frame.get("log").and_then(Value::as_str) {
            let text = frame.get("text")?.as_str()?.to_owned();
            return Some(Self::Log { level: level_of(level), text });
        }
        let word = frame.get("event")?.as_str()?.to_owned();
        let watcher = frame.get("watcher")?.as_str()?.to_owned();
        let members = object(frame.remove("message")).unwrap_or_default();
        Some(Self::Event { watcher, word, members })
    }
}

/// Python's levels by their names. One that somebody made up is somewhere between.
fn level_of(name: &str) -> Level {
    match name {
        "DEBUG" => Level::Debug,
        "WARNING" => Level::Warning,
        "ERROR" => Level::Error,
        "CRITICAL" => Level::Critical,
        _ => Level::Info,
    }
}

/// The question to a callable.
pub(super) fn call(number: u64, callable: &str, order: HookOrder, daemon: &Value) -> Vec<u8> {
    let HookOrder { hook, details, watcher, sockets, .. } = order;
    line(&json!({
        "do": "call", "id": number, "function": callable, "hook": hook.as_str(), "details": details,
        "watcher": watcher, "arbiter": daemon, "sockets": *sockets,
    }))
}

/// Nobody waits for that answer any more.
pub(super) fn forget(number: u64) -> Vec<u8> {
    line(&json!({"do": "forget", "id": number}))
}

/// Whether there is such a callable; `anew` if its module may have changed since it was imported.
pub(super) fn look(number: u64, callable: &str, anew: bool) -> Vec<u8> {
    line(&json!({"do": "look", "look": number, "function": callable, "anew": anew}))
}

/// The answer to a question of a hook.
pub(super) fn reply(question: u64, reply: &Reply, time: f64) -> Vec<u8> {
    let reply: Value = serde_json::from_slice(&reply.encode(&Echo::null(), time)).unwrap_or(Value::Null);
    line(&json!({"do": "reply", "id": question, "reply": reply}))
}

/// What a program gets on its standard input.
pub(super) fn context(hook: HookName, order: HookOrder, daemon: &Value) -> Vec<u8> {
    let mut members = order.details;
    members.insert("hook_name".to_owned(), hook.as_str().into());
    members.insert("watcher".to_owned(), order.watcher.into());
    members.insert("arbiter".to_owned(), daemon.clone());
    members.insert("sockets".to_owned(), Value::Object(Map::clone(&order.sockets)));
    line(&members.into())
}

/// What hooks see of the daemon.
pub(super) fn daemon(circus: &CircusConfig) -> Value {
    json!({
        "endpoint": circus.endpoint, "pubsub_endpoint": circus.pubsub_endpoint,
        "stats_endpoint": circus.stats_endpoint, "check_delay": circus.check_delay,
        "warmup_delay": circus.warmup_delay,
    })
}

fn line(frame: &Value) -> Vec<u8> {
    let mut bytes = frame.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_verdict_with_what_was_changed() {
        let line = br#"{"done": 7, "result": true, "error": null, "changes": {"cmd": "x"}, "stats": null}"#;
        let changes = Map::from_iter([("cmd".to_owned(), "x".into())]);
        let answer = Box::new(HookAnswer { changes, ..HookAnswer::plain(Verdict::Yes) });
        assert_eq!(Said::read(line), Some(Said::Done { call: 7, answer }));
    }

    #[test]
    fn an_error_counts_more_than_a_result() {
        let said = Said::read(br#"{"done": 1, "result": true, "error": "boom"}"#);
        let answer = Box::new(HookAnswer::plain(Verdict::Failed("boom".to_owned())));
        assert_eq!(said, Some(Said::Done { call: 1, answer }));
    }

    #[test]
    fn what_a_hook_logs_keeps_its_level_where_we_have_it() {
        for (name, level) in [("ERROR", Level::Error), ("DEBUG", Level::Debug), ("NOTICE", Level::Info)] {
            let said = Said::read(format!(r#"{{"log": "{name}", "text": "x"}}"#).as_bytes());
            assert_eq!(said, Some(Said::Log { level, text: "x".to_owned() }));
        }
    }

    #[test]
    fn what_means_nothing_is_nothing() {
        for line in
            [&b""[..], b"[]", b"{}", b"\xff", br#"{"ask": 1}"#, br#"{"event": 1}"#, br#"{"done": -1}"#]
        {
            assert_eq!(Said::read(line), None);
        }
    }

    #[test]
    fn a_reply_is_told_as_a_client_would_see_it() {
        let text = String::from_utf8(reply(3, &Reply::not_found("x"), 1.0)).expect("text");
        let frame: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&frame["id"], &frame["reply"]["errno"]), (&json!(3), &json!(3)));
        assert!(text.ends_with('\n'));
    }
}
