//! The event line: what happened, in words.

use circus_common::{Signal, protocol::event::Seen};
use serde_json::Value;

use super::{At, text::clean};

/// How an event is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Business as usual.
    Calm,
    /// Something came up.
    Good,
    /// Someone may want to look.
    Warning,
    /// Something failed.
    Bad,
}

/// One line of the event list.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// When we heard of it.
    pub at: At,
    /// How to take it.
    pub tone: Tone,
    /// Whose it is.
    pub watcher: String,
    /// What happened.
    pub text: String,
}

/// The pid an event is about.
#[must_use]
pub fn pid(seen: &Seen) -> Option<u32> {
    seen.members.get("process_pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok())
}

/// Whether a `reap` was asked for. Python's circusd does not say; then a stop signal before it counts.
#[must_use]
pub fn was_expected(seen: &Seen, was_ending: bool) -> bool {
    seen.members.get("expected").and_then(Value::as_bool).unwrap_or(was_ending)
}

/// The event in words.
#[must_use]
pub fn describe(seen: &Seen, expected: bool) -> (Tone, String) {
    let pid = pid(seen).map(|pid| pid.to_string()).unwrap_or_default();
    let said = |name: &str| clean(seen.members.get(name).and_then(Value::as_str).unwrap_or_default());
    match seen.event.as_str() {
        "spawn" => (Tone::Calm, format!("{pid} started")),
        "kill" => (Tone::Calm, format!("{pid} told to stop")),
        "reap" => reaped(&pid, seen, expected),
        "start" => (Tone::Good, "is active".to_owned()),
        "stop" => (Tone::Warning, "is stopped".to_owned()),
        "reload" => (Tone::Good, "was reloaded".to_owned()),
        "add" => (Tone::Good, "was added".to_owned()),
        "remove" => (Tone::Warning, "is being removed".to_owned()),
        "updated" => (Tone::Calm, "has a changed option".to_owned()),
        "hook_success" => (Tone::Calm, format!("hook {} returned", said("name"))),
        "hook_failure" => (Tone::Bad, format!("hook {} failed: {}", said("name"), said("error"))),
        "fatal" => (Tone::Bad, format!("cannot be started: {}", said("error"))),
        "undone" => (Tone::Bad, format!("reload undone: {}", said("reason"))),
        "flapping" => (Tone::Bad, "is flapping".to_owned()),
        other => (Tone::Calm, clean(other)),
    }
}

fn reaped(pid: &str, seen: &Seen, expected: bool) -> (Tone, String) {
    let code = seen.members.get("exit_code").and_then(Value::as_i64);
    let how = match code {
        Some(code @ 0..) => format!("exited with {code}"),
        Some(signal) => format!("killed by {}", signal_name(signal.saturating_neg())),
        None => "ended".to_owned(),
    };
    match (expected, code) {
        (true, _) => (Tone::Calm, format!("{pid} {how}, as asked")),
        (false, Some(0)) => (Tone::Warning, format!("{pid} {how}")),
        (false, _) => (Tone::Bad, format!("{pid} {how}")),
    }
}

fn signal_name(number: i64) -> String {
    match i32::try_from(number).ok().and_then(|number| Signal::from_number(number.into()).ok()) {
        Some(signal) => signal.to_string(),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use circus_common::protocol::event::parse;

    use super::*;

    fn words(event: &str, payload: &str) -> String {
        let seen = parse(format!("watcher.web.{event}").as_bytes(), payload.as_bytes()).unwrap();
        let expected = was_expected(&seen, false);
        describe(&seen, expected).1
    }

    #[test]
    fn events_are_told_in_words() {
        for (event, payload, text) in [
            ("spawn", r#"{"process_pid": 7}"#, "7 started"),
            ("reap", r#"{"process_pid": 7, "exit_code": 3}"#, "7 exited with 3"),
            ("reap", r#"{"process_pid": 7, "exit_code": -9}"#, "7 killed by SIGKILL"),
            (
                "reap",
                r#"{"process_pid": 7, "exit_code": -15, "expected": true}"#,
                "7 killed by SIGTERM, as asked",
            ),
            (
                "reap",
                r#"{"process_pid": 7, "exit_code": -9223372036854775808}"#,
                "7 killed by signal 9223372036854775807",
            ),
            ("reap", r#"{"exit_code": "x"}"#, " ended"),
            (
                "hook_failure",
                r#"{"name": "before_start", "error": "no\u001b[2J"}"#,
                "hook before_start failed: no\u{fffd}[2J",
            ),
            ("flapping", "{}", "is flapping"),
            ("\u{1b}c", "{}", "\u{fffd}c"),
        ] {
            assert_eq!(words(event, payload), text);
        }
    }

    #[test]
    fn without_a_word_of_it_a_signalled_process_ended_as_asked() {
        let seen = parse(b"watcher.web.reap", br#"{"process_pid": 7, "exit_code": -15}"#).unwrap();
        assert!(was_expected(&seen, true) && !was_expected(&seen, false));
    }
}
