//! Notifier: tells somebody when a watcher is in trouble: by a web request, a program, or mail.
//!
//! The same trouble of the same watcher is told once in a while, and never more than so many messages leave in an
//! hour: what was held back is counted in the next one.

mod limit;
mod message;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use circus_common::{
    config::{expand::words, plugin::builtin::Builtin},
    pattern::Pattern,
    protocol::event::Seen,
};
use serde_json::Value;

use self::{limit::Limit, message::Trouble};
use super::Setup;
use crate::{
    machine::{Action, Answer, Input, Level, Mail, Moment, Needs, Plugin, Question, Way},
    names::Names,
    options::{OptionError, Options, pattern, wrong},
};

/// What may be told.
const EVENTS: [&str; 7] = ["exit", "flapping", "fatal", "undone", "hook_failure", "stop", "start"];
/// Those that only `events_endpoint` carries.
const OWN_EVENTS: [&str; 3] = ["flapping", "fatal", "undone"];
/// Messages that wait for the last lines of output.
const MOST_WAITING: usize = 100;

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct Notifier {
    host: String,
    events: Vec<&'static str>,
    watchers: Pattern,
    ways: Vec<Way>,
    lines: u64,
    timeout: Duration,
    limit: Limit,
    names: Names,
    /// Troubles by watcher, until its last lines are known.
    waiting: BTreeMap<String, Vec<Trouble>>,
    /// What is to be said at the beginning.
    remark: Option<String>,
}

impl Notifier {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        let options = &setup.options;
        let events = events(options)?;
        let deaf: Vec<&str> = events.iter().copied().filter(|event| OWN_EVENTS.contains(event)).collect();
        let remark = (!setup.own_events && !deaf.is_empty())
            .then(|| format!("{} cannot be told: set `events_endpoint` in [circus]", deaf.join(" and ")));
        Ok(Self {
            host: setup.host.clone(),
            events,
            watchers: pattern("watchers_regex", &options.text("watchers_regex", ".*"))?,
            ways: ways(options)?,
            lines: u64::try_from(options.integer("lines", 20)?.clamp(0, 1000)).unwrap_or_default(),
            timeout: options.seconds("timeout", 10.0)?,
            limit: Limit::new(options.seconds("interval", 60.0)?, options.integer("max_per_hour", 60)?),
            names: Names::default(),
            waiting: BTreeMap::new(),
            remark,
        })
    }

    fn event(&mut self, now: Moment, seen: Seen, out: &mut Vec<Action>) {
        let Some(kind) = kind(&seen).filter(|kind| self.events.contains(kind)) else { return };
        if !self.watchers.matches(&seen.watcher) {
            return;
        }
        let watcher = self.names.best(&seen.watcher);
        let Some(held_back) = self.limit.may_tell(now, &watcher, kind) else { return };
        let trouble = Trouble { kind, held_back, members: seen.members };
        let waiting = self.waiting.entry(watcher.clone()).or_default();
        if waiting.len() < MOST_WAITING {
            waiting.push(trouble);
        }
        if waiting.len() == 1 {
            out.push(Action::Ask(Question::Logs { watcher, lines: self.lines }));
        }
    }

    /// Tells all that waited for these lines.
    fn tell(&mut self, watcher: &str, lines: &[String], out: &mut Vec<Action>) {
        for trouble in self.waiting.remove(watcher).unwrap_or_default() {
            let message = trouble.message(&self.host, watcher, lines);
            out.push(Action::Log(Level::Info, message.subject.clone()));
            for way in &self.ways {
                let message = Box::new(message.clone());
                out.push(Action::Deliver { way: way.clone(), message, timeout: self.timeout });
            }
        }
    }
}

/// What an event is called here; most are no trouble.
fn kind(seen: &Seen) -> Option<&'static str> {
    if seen.event == "reap" {
        // What does not say so comes from a daemon that does not know: then a clean exit is no trouble.
        let clean = seen.members.get("exit_code").and_then(Value::as_i64).is_some_and(|code| code == 0);
        let expected = seen.members.get("expected").and_then(Value::as_bool).unwrap_or(clean);
        return (!expected).then_some("exit");
    }
    EVENTS.into_iter().find(|event| *event == seen.event && *event != "exit")
}

fn events(options: &Options) -> Result<Vec<&'static str>, OptionError> {
    let text = options.text("events", default_of("events"));
    let known = |word: &str| EVENTS.into_iter().find(|event| *event == word);
    let read = |word: &str| {
        known(word).ok_or_else(|| wrong("events", word, &format!("known are {}", EVENTS.join(" "))))
    };
    text.replace(',', " ").split_whitespace().map(read).collect()
}

fn default_of(key: &str) -> &'static str {
    Builtin::Notifier.spec().all_options().find(|spec| spec.name == key).map_or("", |spec| spec.default)
}

fn ways(options: &Options) -> Result<Vec<Way>, OptionError> {
    let mut ways = Vec::new();
    if let Some(url) = options.given("webhook") {
        ways.push(Way::Webhook { url: url.to_owned() });
    }
    if let Some(command) = options.given("command") {
        let words = words::split(command).map_err(|reason| wrong("command", command, &reason))?;
        ways.push(Way::Command { words });
    }
    let to: Vec<String> =
        options.text("mail_to", "").replace(',', " ").split_whitespace().map(str::to_owned).collect();
    if !to.is_empty() {
        ways.push(Way::Mail(Box::new(Mail {
            server: options
                .given("smtp")
                .ok_or(OptionError::Missing("`mail_to` needs `smtp`, the mail server"))?
                .to_owned(),
            user: options.given("smtp_user").map(str::to_owned),
            password_file: options.given("smtp_password_file").map(PathBuf::from),
            from: options.text("mail_from", default_of("mail_from")),
            to,
        })));
    }
    if ways.is_empty() {
        return Err(OptionError::Missing(
            "nobody is told: set `webhook`, `command`, or `smtp` and `mail_to`",
        ));
    }
    Ok(ways)
}

/// The lines of an answer to `logs`, whatever shape each has.
fn lines(answer: &Answer) -> Vec<String> {
    let lines = answer.good().and_then(|answer| answer.get("lines")?.as_array());
    let text = |line: &Value| match line {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => {
            ["message", "text"].iter().find_map(|key| Some(members.get(*key)?.as_str()?.to_owned()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    };
    lines.into_iter().flatten().filter_map(text).collect()
}

impl Plugin for Notifier {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        out.extend(self.remark.take().map(|text| Action::Log(Level::Warning, text)));
        match input {
            Input::Connected => out.push(Action::Ask(Question::List)),
            Input::Event(seen) => {
                // A name with `_` may stand for one with blanks.
                if seen.event == "start" && self.names.certain(&seen.watcher).is_none() {
                    out.push(Action::Ask(Question::List));
                }
                self.event(now, seen, out);
            }
            Input::Answered { question: Question::List, answer, .. } => {
                if let Some(answer) = answer.good() {
                    self.names.learn(answer);
                }
            }
            Input::Answered { question: Question::Logs { watcher, .. }, answer, .. } => {
                self.tell(&watcher, &lines(&answer), out);
            }
            Input::Delivered { way, result: Err(reason) } => {
                out.push(Action::Log(Level::Error, format!("cannot tell by {way}: {reason}")));
            }
            Input::Delivered { way, result: Ok(()) } => {
                out.push(Action::Log(Level::Debug, format!("told by {way}")));
            }
            Input::Answered { .. }
            | Input::Deadline
            | Input::WayLost
            | Input::Untold { .. }
            | Input::Datagram(_)
            | Input::Fetched(_)
            | Input::Redis(_)
            | Input::Looked { .. }
            | Input::Touched
            | Input::CannotWatch
            | Input::Scrape { .. }
            | Input::Descriptors(_)
            | Input::SocketHits { .. } => {}
        }
    }

    fn needs(&self) -> Needs {
        Needs { own_events: true, ..Needs::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::story::{Story, refused},
        *,
    };
    use crate::machine::Message;

    fn story(settings: &[(&str, &str)]) -> Story {
        let mut all = vec![("webhook", "http://h/")];
        all.extend_from_slice(settings);
        let mut story = Story::of(Builtin::Notifier, &all);
        story.answer(Question::List, json!({"watchers": ["web", "my web"]}));
        story.did();
        story
    }

    fn logs() -> Question {
        Question::Logs { watcher: "web".to_owned(), lines: 20 }
    }

    fn told(story: &mut Story) -> Vec<Message> {
        let message =
            |action| if let Action::Deliver { message, .. } = action { Some(*message) } else { None };
        story.did().into_iter().filter_map(message).collect()
    }

    #[test]
    fn an_unexpected_exit_is_told_with_the_last_lines() {
        let mut story = story(&[]);
        story.event("web", "reap", json!({"process_pid": 7, "exit_code": 3, "expected": false}));
        assert_eq!(story.did(), [Action::Ask(logs())]);
        story.answer(logs(), json!({"lines": ["Traceback", {"text": "KeyError: 'x'"}], "next": 2}));
        let message = told(&mut story).pop().unwrap();
        assert_eq!(message.subject, "web on box: process 7 ended unexpectedly with code 3");
        assert!(message.text.ends_with("Traceback\nKeyError: 'x'\n"), "{}", message.text);
        assert_eq!(
            (&message.members["event"], &message.members["lines"], &message.members["exit_code"]),
            (&json!("exit"), &json!(["Traceback", "KeyError: 'x'"]), &json!(3))
        );
    }

    #[test]
    fn a_daemon_without_lines_is_no_reason_not_to_tell() {
        let mut story = story(&[]);
        story.event("web", "fatal", json!({"error": "no such program"}));
        story.refuse(logs());
        assert_eq!(told(&mut story)[0].subject, "web on box: cannot be started: no such program");
    }

    #[test]
    fn what_was_asked_for_is_no_trouble() {
        let mut story = story(&[]);
        story.event("web", "reap", json!({"process_pid": 7, "exit_code": -15, "expected": true}));
        story.event("web", "reap", json!({"process_pid": 7, "exit_code": 0}));
        story.event("web", "stop", json!({}));
        story.event("web", "exit", json!({}));
        assert!(story.did().is_empty());
    }

    #[test]
    fn the_same_is_told_once_in_a_while_and_then_how_often_it_was() {
        let mut story = story(&[("interval", "60")]);
        for _ in 0..5 {
            story.crash("web", 7);
        }
        story.answer(logs(), json!({"lines": []}));
        assert_eq!(told(&mut story).len(), 1);
        story.pass(61.0);
        story.crash("web", 8);
        story.answer(logs(), json!({"lines": []}));
        let message = told(&mut story).pop().unwrap();
        assert_eq!(message.members["held_back"], json!(4));
        assert!(message.text.contains("4 more"), "{}", message.text);
    }

    #[test]
    fn no_storm_sends_more_than_so_many_messages_in_an_hour() {
        let mut story = story(&[("max_per_hour", "3"), ("interval", "0")]);
        for pid in 0..100 {
            story.crash("web", pid);
            story.answer(logs(), json!({"lines": []}));
        }
        assert_eq!(told(&mut story).len(), 3);
        story.pass(3601.0);
        story.crash("web", 1);
        story.answer(logs(), json!({"lines": []}));
        assert_eq!(told(&mut story).len(), 1);
    }

    #[test]
    fn every_way_that_is_set_is_gone() {
        let mut story =
            story(&[("command", "/bin/tell 'a b'"), ("smtp", "smtp://m:25"), ("mail_to", "a@x, b@x")]);
        story.event("web", "flapping", json!({"attempt": 2, "retry_in": 7.0}));
        story.answer(logs(), json!({"lines": []}));
        assert_eq!(told(&mut story).len(), 3);
    }

    #[test]
    fn what_cannot_work_is_said_at_the_beginning() {
        assert!(refused(Builtin::Notifier, &[]).starts_with("nobody is told"));
        assert!(refused(Builtin::Notifier, &[("mail_to", "a@x")]).contains("`smtp`"));
        assert!(refused(Builtin::Notifier, &[("webhook", "http://h"), ("events", "boom")]).contains("boom"));
    }

    #[test]
    fn a_failed_delivery_is_an_error_line() {
        let mut story = story(&[]);
        story.input(Input::Delivered { way: "webhook", result: Err("refused".to_owned()) });
        assert_eq!(story.logged(), ["cannot tell by webhook: refused"]);
    }
}
