//! WatchDog: ends processes that no longer send heartbeats. circusd then replaces them.
//!
//! Heartbeats come from anybody who can reach the port: one that is none costs a line of log now and then, no more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use circus_common::{pattern::Pattern, protocol::event::Seen};
use serde_json::Value;

use super::Setup;
use crate::{
    machine::{Action, Input, Level, Moment, Needs, Order, Plugin, Question},
    names::{Names, is_own},
    options::{OptionError, Options, pattern, wrong},
    ticker::Ticker,
};

/// How many strange heartbeats are named between two looks.
const NAMED_STRANGERS: u32 = 10;
/// How much of one is shown.
const SHOWN: usize = 100;

/// A process that owes heartbeats.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    watcher: String,
    /// When it gave the last sign.
    heard: Moment,
}

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct WatchDog {
    ticker: Ticker,
    watchers: Pattern,
    /// Whether the pattern is the default one: then circusd's own watchers are not meant.
    every_watcher: bool,
    message: Pattern,
    max_count: u32,
    address: (String, u16),
    signal: Option<i32>,
    grace: Option<f64>,
    names: Names,
    processes: BTreeMap<i64, Process>,
    /// The watchers whose pids were asked for, and the processes that ended meanwhile.
    asked: BTreeSet<String>,
    ended: BTreeSet<i64>,
    strangers: u32,
}

impl WatchDog {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        let options = &setup.options;
        let message = options.text("msg_regex", "^(?P<pid>.*);(?P<timestamp>.*)$");
        let expression = pattern("msg_regex", &message)?;
        if !expression.has_group("pid") {
            return Err(wrong("msg_regex", &message, "it needs a group `(?P<pid>...)`"));
        }
        Ok(Self {
            ticker: Ticker::every(options.loop_rate(60.0)?),
            watchers: pattern("watchers_regex", &options.text("watchers_regex", ".*"))?,
            every_watcher: options.given("watchers_regex").is_none(),
            message: expression,
            max_count: max_count(options)?,
            address: (options.text("ip", "127.0.0.1"), options.port("port", 1664)?),
            signal: options.signal("watchers_stop_signal")?,
            grace: options.maybe_number("watchers_graceful_timeout")?.map(|grace| grace.max(0.0)),
            names: Names::default(),
            processes: BTreeMap::new(),
            asked: BTreeSet::new(),
            ended: BTreeSet::new(),
            strangers: 0,
        })
    }

    fn concerns(&self, watcher: &str) -> bool {
        !(self.every_watcher && is_own(watcher)) && self.watchers.matches(watcher)
    }

    fn event(&mut self, now: Moment, seen: &Seen, out: &mut Vec<Action>) {
        if !self.concerns(&seen.watcher) || !["spawn", "reap"].contains(&seen.event.as_str()) {
            return;
        }
        let Some(pid) = seen.members.get("process_pid").and_then(Value::as_i64) else {
            return out.push(Action::Log(Level::Warning, "no process_pid in message".to_owned()));
        };
        let watcher = seen.watcher.clone();
        if seen.event == "spawn" {
            out.push(Action::Log(Level::Info, format!("added new monitored pid for {watcher}:{pid}")));
            self.ended.remove(&pid);
            // A name with `_` may stand for one with blanks, and must be known before the day it is needed.
            if self.names.certain(&watcher).is_none() && self.asked.is_empty() {
                out.push(Action::Ask(Question::List));
            }
            self.processes.insert(pid, Process { watcher, heard: now });
        } else {
            if !self.asked.is_empty() {
                self.ended.insert(pid);
            }
            if let Some(process) = self.processes.remove(&pid) {
                let text = format!("removed monitored pid for {}:{pid}", process.watcher);
                out.push(Action::Log(Level::Info, text));
            }
        }
    }

    /// Asks for the pids of every watcher that is looked after.
    fn listed(&mut self, names: Vec<String>, out: &mut Vec<Action>) {
        let wanted: Vec<String> = names.into_iter().filter(|name| self.concerns(name)).collect();
        let topics: BTreeSet<String> =
            wanted.iter().map(|name| circus_common::protocol::event::res_name(name)).collect();
        self.processes.retain(|_, process| topics.contains(&process.watcher));
        self.ended.clear();
        self.asked = wanted.iter().cloned().collect();
        out.extend(wanted.into_iter().map(|name| Action::Ask(Question::Pids(name))));
    }

    /// Those that are there are looked after from now on; those that are gone no longer.
    fn discovered(&mut self, now: Moment, name: &str, pids: &[i64], out: &mut Vec<Action>) {
        let watcher = circus_common::protocol::event::res_name(name);
        // What was spawned after the answer was written is newer than the answer, and younger than this question.
        for pid in pids.iter().filter(|pid| !self.ended.contains(pid)) {
            if !self.processes.contains_key(pid) {
                out.push(Action::Log(Level::Info, format!("discovered: {name}, pid:{pid}")));
                self.processes.insert(*pid, Process { watcher: watcher.clone(), heard: now });
            }
        }
        self.asked.remove(name);
    }

    fn heartbeat(&mut self, now: Moment, bytes: &[u8], out: &mut Vec<Action>) {
        let text = std::str::from_utf8(bytes).ok();
        let pid =
            text.and_then(|text| self.message.group("pid", text)).and_then(|pid| pid.parse::<i64>().ok());
        match pid.and_then(|pid| self.processes.get_mut(&pid)) {
            Some(process) => process.heard = now,
            None if self.strangers < NAMED_STRANGERS => {
                self.strangers += 1;
                let shown: String = String::from_utf8_lossy(bytes).chars().take(SHOWN).collect();
                let text = format!("received watchdog for a non monitored process:{shown:?}");
                out.push(Action::Log(Level::Warning, text));
            }
            None => self.strangers = self.strangers.saturating_add(1),
        }
    }

    /// Ends what has been silent for too long.
    fn look(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.strangers > NAMED_STRANGERS {
            let more = self.strangers - NAMED_STRANGERS;
            out.push(Action::Log(Level::Warning, format!("and {more} more such messages")));
        }
        self.strangers = 0;
        let patience: Duration = self.ticker.period().saturating_mul(self.max_count);
        let silent = self.processes.extract_if(.., |_, process| now.saturating_sub(process.heard) > patience);
        for (pid, Process { watcher, .. }) in silent {
            let text = format!("watcher:{watcher}, pid:{pid} is not responding. Kill it !");
            out.push(Action::Log(Level::Info, text));
            let watcher = self.names.best(&watcher);
            out.push(Action::Tell(Order::Kill { watcher, pid, signal: self.signal, grace: self.grace }));
        }
    }
}

fn max_count(options: &Options) -> Result<u32, OptionError> {
    let count = options.integer("max_count", 3)?;
    Ok(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}

impl Plugin for WatchDog {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Connected => out.push(Action::Ask(Question::List)),
            Input::Event(seen) => self.event(now, &seen, out),
            Input::Datagram(bytes) => self.heartbeat(now, &bytes, out),
            Input::Answered { question: Question::List, answer, .. } => {
                if let Some(answer) = answer.good() {
                    let names = self.names.learn(answer);
                    self.listed(names, out);
                }
            }
            Input::Answered { question: Question::Pids(name), answer, .. } => {
                let pids = answer.good().and_then(|answer| answer.get("pids")?.as_array());
                let pids: Vec<i64> = pids.into_iter().flatten().filter_map(Value::as_i64).collect();
                self.discovered(now, &name, &pids, out);
            }
            Input::Answered { .. }
            | Input::Deadline
            | Input::WayLost
            | Input::Untold { .. }
            | Input::Fetched(_)
            | Input::Redis(_)
            | Input::Looked { .. }
            | Input::Touched
            | Input::CannotWatch
            | Input::Delivered { .. }
            | Input::Scrape { .. }
            | Input::Descriptors(_)
            | Input::SocketHits { .. } => {}
        }
        if self.ticker.is_due(now) {
            self.look(now, out);
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        Some(self.ticker.next())
    }

    fn needs(&self) -> Needs {
        Needs { datagrams: Some(self.address.clone()), ..Needs::default() }
    }
}

#[cfg(test)]
mod tests {
    use circus_common::config::plugin::builtin::Builtin;
    use serde_json::json;

    use super::{
        super::story::{Story, refused},
        *,
    };

    fn story(settings: &[(&str, &str)]) -> Story {
        let mut all = vec![("loop_rate", "1"), ("max_count", "2")];
        all.extend_from_slice(settings);
        Story::of(Builtin::WatchDog, &all)
    }

    fn spawned(story: &mut Story, watcher: &str, pid: i64) {
        story.event(watcher, "spawn", json!({"process_pid": pid}));
    }

    fn kills(story: &mut Story) -> Vec<i64> {
        let kill = |action: Action| {
            if let Action::Tell(Order::Kill { pid, .. }) = action { Some(pid) } else { None }
        };
        story.did().into_iter().filter_map(kill).collect()
    }

    #[test]
    fn a_silent_process_is_ended_and_a_beating_one_lives() {
        let mut story = story(&[]);
        spawned(&mut story, "web", 7);
        spawned(&mut story, "web", 8);
        for _ in 0..10 {
            story.pass(0.5);
            story.input(Input::Datagram(b"7;1234\n".to_vec()));
        }
        let did = story.did();
        let line = "watcher:web, pid:8 is not responding. Kill it !".to_owned();
        assert!(did.contains(&Action::Log(Level::Info, line)), "{did:?}");
        let told: Vec<_> = did.iter().filter(|action| matches!(action, Action::Tell(_))).collect();
        let kill = Order::Kill { watcher: "web".to_owned(), pid: 8, signal: None, grace: None };
        assert_eq!(told, [&Action::Tell(kill)]);
    }

    #[test]
    fn all_silent_ones_are_ended_in_one_look() {
        let mut story = story(&[("watchers_stop_signal", "KILL"), ("watchers_graceful_timeout", "2")]);
        (1..=5).for_each(|pid| spawned(&mut story, "web", pid));
        story.pass(2.9);
        assert!(kills(&mut story).is_empty());
        story.pass(0.2);
        let did = story.did();
        let kill = |pid| {
            Action::Tell(Order::Kill { watcher: "web".to_owned(), pid, signal: Some(9), grace: Some(2.0) })
        };
        assert!((1..=5).all(|pid| did.contains(&kill(pid))), "{did:?}");
    }

    #[test]
    fn what_has_ended_owes_nothing() {
        let mut story = story(&[]);
        spawned(&mut story, "web", 7);
        story.event("web", "reap", json!({"process_pid": 7}));
        story.pass(60.0);
        assert!(kills(&mut story).is_empty());
        assert!(story.did().is_empty());
    }

    #[test]
    fn what_runs_already_is_discovered_and_killed_by_its_name() {
        let mut story = story(&[]);
        story.answer(Question::List, json!({"watchers": ["my web", "plugin:dog", "circusd-stats"]}));
        let asked: Vec<_> = story.did();
        assert_eq!(asked, [Action::Ask(Question::List), Action::Ask(Question::Pids("my web".to_owned()))]);
        // One that ended while the question was under way.
        story.event("my_web", "reap", json!({"process_pid": 9}));
        story.answer(Question::Pids("my web".to_owned()), json!({"pids": [7, 9]}));
        assert_eq!(story.logged(), ["discovered: my web, pid:7"]);
        story.pass(3.1);
        let did = story.did();
        let kill = Order::Kill { watcher: "my web".to_owned(), pid: 7, signal: None, grace: None };
        assert!(did.contains(&Action::Tell(kill)), "{did:?}");
    }

    #[test]
    fn only_watchers_that_match_are_looked_after() {
        let mut story = story(&[("watchers_regex", "web|plugin:x")]);
        spawned(&mut story, "db", 7);
        spawned(&mut story, "web2", 8);
        spawned(&mut story, "plugin:x", 9);
        story.pass(5.0);
        assert_eq!(kills(&mut story), [8, 9]);
    }

    #[test]
    fn hostile_datagrams_cost_a_few_lines() {
        let mut story = story(&[]);
        story.did();
        for bytes in [&b"\xff\xfe"[..], b"", b"x;y", b"99999999999999999999;1", b";;;;", b"7"] {
            story.input(Input::Datagram(bytes.to_vec()));
        }
        (0..1000).for_each(|_| story.input(Input::Datagram(b"1;2".to_vec())));
        assert_eq!(story.logged().len(), 10);
        story.pass(1.0);
        assert_eq!(story.logged(), ["and 996 more such messages"]);
    }

    #[test]
    fn a_message_without_a_pid_cannot_be_asked_for() {
        assert!(refused(Builtin::WatchDog, &[("msg_regex", "(?P<id>.*)")]).contains("(?P<pid>...)"));
    }
}
