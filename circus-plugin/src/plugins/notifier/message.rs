//! What is said of a trouble: to people in sentences, to programs in members.

use circus_common::Signal;
use serde_json::Value;

use crate::machine::{Members, Message};

/// Something that happened and is to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// What.
    pub kind: &'static str,
    /// How often the same was not told since the last time.
    pub held_back: u64,
    /// The payload of the event.
    pub members: Members,
}

impl Trouble {
    /// The message.
    pub fn message(&self, host: &str, watcher: &str, lines: &[String]) -> Message {
        let subject = format!("{watcher} on {host}: {}", self.sentence());
        let mut text = format!("{subject}\n");
        if self.held_back > 0 {
            text.push_str(&format!(
                "({} more of these were not told since the last message)\n",
                self.held_back
            ));
        }
        if !lines.is_empty() {
            text.push_str(&format!("\nThe last lines of its standard error:\n\n{}\n", lines.join("\n")));
        }
        let mut members = Members::new();
        for (key, value) in [
            ("watcher", Value::from(watcher)),
            ("event", self.kind.into()),
            ("host", host.into()),
            ("subject", subject.as_str().into()),
            ("held_back", self.held_back.into()),
            ("lines", lines.to_vec().into()),
        ] {
            members.insert(key.to_owned(), value);
        }
        for (key, value) in &self.members {
            members.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Message { watcher: watcher.to_owned(), event: self.kind.to_owned(), subject, text, members }
    }

    fn sentence(&self) -> String {
        match self.kind {
            "exit" => format!("process {} ended unexpectedly {}", self.shown("process_pid"), self.exit()),
            "flapping" => match self.members.get("retry_in").and_then(Value::as_f64) {
                Some(seconds) => format!("keeps dying; it is started again in {seconds:.0} s"),
                None => "keeps dying; it stays stopped".to_owned(),
            },
            "fatal" => format!("cannot be started: {}", self.shown("error")),
            "undone" => format!("a reload was undone: {}", self.shown("reason")),
            "hook_failure" => format!("hook {} failed: {}", self.shown("name"), self.shown("error")),
            "stop" => "stopped".to_owned(),
            "start" => "started".to_owned(),
            other => other.to_owned(),
        }
    }

    fn exit(&self) -> String {
        match self.members.get("exit_code").and_then(Value::as_i64) {
            Some(code) if code < 0 => match Signal::from_number(-code) {
                Ok(signal) => format!("by {signal}"),
                Err(_) => format!("by signal {}", -code),
            },
            Some(code) => format!("with code {code}"),
            None => "for reasons unknown".to_owned(),
        }
    }

    /// A member as text; one line, since it stands in a subject.
    fn shown(&self, key: &str) -> String {
        let text = match self.members.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "?".to_owned(),
        };
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_trouble_has_its_sentence() {
        for (kind, members, sentence) in [
            ("exit", json!({"process_pid": 7, "exit_code": -9}), "process 7 ended unexpectedly by SIGKILL"),
            ("exit", json!({"process_pid": 7}), "process 7 ended unexpectedly for reasons unknown"),
            ("flapping", json!({"retry_in": null}), "keeps dying; it stays stopped"),
            ("flapping", json!({"retry_in": 7.0}), "keeps dying; it is started again in 7 s"),
            ("fatal", json!({"error": "a\nb"}), "cannot be started: a b"),
            ("undone", json!({"reason": "pid 7 exited"}), "a reload was undone: pid 7 exited"),
            ("hook_failure", json!({"name": "before_start", "error": "no"}), "hook before_start failed: no"),
            ("start", json!({}), "started"),
        ] {
            let trouble = Trouble { kind, held_back: 0, members: members.as_object().unwrap().clone() };
            assert_eq!(trouble.message("h", "w", &[]).subject, format!("w on h: {sentence}"));
        }
    }
}
