//! `listen`: events as they happen, one line each, until interrupted.
//!
//! The stream outlives the daemon: when it is back, so are its events. Only what is missed in between is lost, and
//! a line on stderr says that it may be.
//!
//! As in Circus the endpoint is that of events. Who names the one of commands means that daemon's events: it is asked
//! where they are.

use std::{pin::pin, time::Duration};

use circus_common::{
    client::{CallError, Client},
    consumer::{Consumer, Item},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{
    out::{Outcome, complain, say},
    render::{Reply, json::line},
};

/// How long a publisher has to show itself before its address is taken for one that answers questions.
const HEAD_START: Duration = Duration::from_millis(300);

/// Who waits for a daemon that is not there yet has no limit.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// What the daemon calls its endpoint for events.
const EVENTS: &str = "pubsub_endpoint";

/// What is listened to, and how it is printed.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// What topics begin with; all do if there is none.
    pub topics: Vec<&'a str>,
    /// Whether each event is printed as JSON.
    pub json: bool,
    /// How long it takes until it is said that nobody is there.
    pub patience: Duration,
}

/// Where it is listened.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The endpoint as the user or the daemon says it.
    pub named: &'a str,
    /// The address that is connected to: the endpoint, or this end of a tunnel to it.
    pub reached: &'a str,
    /// Whether it may be an endpoint for commands.
    pub may_be_control: bool,
}

/// How listening ended.
#[derive(Debug)]
pub enum Ended {
    /// For good.
    With(Outcome),
    /// The place takes commands; it says that its events are there.
    Elsewhere(String),
}

/// The endpoint among the arguments, which is the one with `://` in it, and the topics.
pub fn split(args: &[String]) -> (Option<&str>, Vec<&str>) {
    let (endpoints, topics): (Vec<_>, Vec<_>) =
        args.iter().map(String::as_str).partition(|word| word.contains("://"));
    (endpoints.last().copied(), topics)
}

/// Prints events until nobody reads them any more, or until it is known that they are elsewhere.
pub async fn listen(wish: &Wish<'_>, place: Place<'_>) -> Ended {
    events(wish, place).await.unwrap_or_else(|error| {
        complain(&error.to_string());
        Ended::With(Outcome::Failed)
    })
}

async fn events(wish: &Wish<'_>, place: Place<'_>) -> Result<Ended, CallError> {
    let mut consumer = Consumer::connect(place.reached, &wish.topics).await?;
    let mut asked = pin!(asked(place.reached));
    let mut asking = place.may_be_control;
    let mut late = pin!(sleep_until(Instant::now() + wish.patience.max(HEAD_START)));
    let mut waiting = true;
    loop {
        let item = tokio::select! {
            item = consumer.next() => item?,
            answer = &mut asked, if asking => {
                if let Some(events) = answer {
                    return Ok(Ended::Elsewhere(events));
                }
                asking = false;
                continue;
            }
            () = &mut late, if waiting => {
                complain(&format!("circusctl: nobody publishes events at {}, waiting", place.named));
                waiting = false;
                continue;
            }
        };
        match item {
            Item::Event { topic, payload } => {
                if say(&event(&topic, &payload, wish.json)).is_err() {
                    return Ok(Ended::With(Outcome::Failed));
                }
            }
            // It publishes, so there is nothing to ask it.
            Item::Connected => (asking, waiting) = (false, false),
            Item::Disconnected => complain("circusctl: the daemon went away, waiting for it"),
            Item::Reconnected => complain("circusctl: the daemon is back, events may have been missed"),
        }
    }
}

/// Where the daemon that takes commands at this address publishes its events; waits for it.
async fn asked(address: &str) -> Option<String> {
    sleep_until(Instant::now() + HEAD_START).await;
    let mut client = Client::connect(address, FOREVER).ok()?;
    named_in(&client.call("globaloptions", question()).await.ok()?)
}

/// The properties of the question where events are.
pub fn question() -> Map<String, Value> {
    Map::from_iter([("option".to_owned(), EVENTS.into())])
}

/// What the answer to it names.
pub fn named_in(reply: &Reply) -> Option<String> {
    reply.get("options")?.get(EVENTS)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
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
        assert_eq!(given, Some("tcp://127.0.0.1:1"));
    }

    #[test]
    fn only_an_answer_that_names_an_endpoint_is_one() {
        let named = |reply: Value| named_in(reply.as_object().unwrap());
        assert_eq!(named(json!({"options": {"pubsub_endpoint": "ipc:///e"}})), Some("ipc:///e".to_owned()));
        for other in [json!({}), json!({"options": {"pubsub_endpoint": ""}}), json!({"status": "error"})] {
            assert_eq!(named(other), None);
        }
    }
}
