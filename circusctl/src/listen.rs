//! `listen`: events as they happen, one line each, until interrupted.
//!
//! The stream outlives the daemon: when it is back, so are its events. Only what is missed in between is lost, and
//! a line on stderr says that it may be.

use circus_common::consumer::{Consumer, Item};
use serde_json::{Value, json};

use crate::{
    cli::DEFAULT_PUBSUB_ENDPOINT,
    out::{Outcome, complain, say},
    render::json::line,
};

/// The endpoint among the arguments, which is the one with `://` in it, and the topics.
pub fn split(args: &[String]) -> (Option<&str>, Vec<&str>) {
    let (endpoints, topics): (Vec<_>, Vec<_>) =
        args.iter().map(String::as_str).partition(|word| word.contains("://"));
    (endpoints.last().copied(), topics)
}

/// Where events come from. The environment names the control endpoint, so it does not count.
pub fn endpoint<'a>(argument: Option<&'a str>, option: Option<&'a str>) -> &'a str {
    argument.or(option).unwrap_or(DEFAULT_PUBSUB_ENDPOINT)
}

/// Prints events until nobody reads them any more.
pub async fn listen(endpoint: &str, topics: &[&str], json: bool) -> Outcome {
    let mut consumer = match Consumer::connect(endpoint, topics).await {
        Ok(consumer) => consumer,
        Err(error) => {
            complain(&error.to_string());
            return Outcome::Failed;
        }
    };
    loop {
        match consumer.next().await {
            Ok(Item::Event { topic, payload }) => {
                if say(&event(&topic, &payload, json)).is_err() {
                    return Outcome::Failed;
                }
            }
            Ok(Item::Connected) => {}
            Ok(Item::Disconnected) => complain("circusctl: the daemon went away, waiting for it"),
            Ok(Item::Reconnected) => complain("circusctl: the daemon is back, events may have been missed"),
            Err(error) => {
                complain(&error.to_string());
                return Outcome::Failed;
            }
        }
    }
}

/// `topic: payload`, or both in one object.
fn event(topic: &str, payload: &str, json: bool) -> String {
    if !json {
        return format!("{topic}: {payload}");
    }
    let payload = serde_json::from_str(payload).unwrap_or_else(|_| Value::from(payload));
    line(&json!({"topic": topic, "payload": payload}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let payload = r#"{"process_pid": 7, "time": 1.5}"#;
        assert_eq!(event("watcher.web.spawn", payload, false), format!("watcher.web.spawn: {payload}"));
        assert_eq!(
            event("watcher.web.spawn", payload, true),
            r#"{"topic": "watcher.web.spawn", "payload": {"process_pid": 7, "time": 1.5}}"#
        );
        assert_eq!(event("t", "no\njson", true), r#"{"topic": "t", "payload": "no\njson"}"#);
    }

    #[test]
    fn an_argument_with_a_scheme_is_the_endpoint() {
        let args = ["watcher.web".to_owned(), "tcp://127.0.0.1:1".to_owned()];
        let (given, topics) = split(&args);
        assert_eq!(topics, ["watcher.web"]);
        assert_eq!(endpoint(given, Some("tcp://h:2")), "tcp://127.0.0.1:1");
        assert_eq!(endpoint(None, Some("tcp://h:2")), "tcp://h:2");
        assert_eq!(endpoint(None, None), "tcp://127.0.0.1:5556");
    }
}
