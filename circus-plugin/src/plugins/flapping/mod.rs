//! Flapping: stops a watcher whose processes keep dying, and starts it again after a pause.
//!
//! Only exits that circusd did not ask for count. Whoever starts, stops or removes the watcher meanwhile takes
//! the matter in hand: then it is not started again. That somebody stopped a watcher which is down already is no
//! event; circusd counts it, and is asked before the start.

mod settings;
mod watched;

use std::{collections::BTreeMap, time::Duration};

use circus_common::protocol::event::Seen;
use serde_json::Value;

use self::{
    settings::Settings,
    watched::{State, Watched},
};
use super::Setup;
use crate::{
    machine::{Action, Answer, Input, Level, Members, Moment, Order, Plugin, Question},
    names::Names,
    options::{OptionError, duration},
};

/// When a start that did not reach circusd is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct Flapping {
    settings: Settings,
    check_delay: f64,
    names: Names,
    /// Whether the names are being asked for.
    listing: bool,
    watchers: BTreeMap<String, Watched>,
    /// The daemon's pid and birth, to know it again.
    daemon: Option<Value>,
}

impl Flapping {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        Ok(Self {
            settings: Settings::new(&setup.options)?,
            check_delay: setup.check_delay,
            names: Names::default(),
            listing: false,
            watchers: BTreeMap::new(),
            daemon: None,
        })
    }

    /// What was missed cannot be counted; whether what was planned still holds depends on which daemon it is.
    fn connected(&mut self, out: &mut Vec<Action>) {
        for watched in self.watchers.values_mut() {
            watched.exits.clear();
            watched.settings = None;
        }
        self.listing = true;
        out.extend([Action::Ask(Question::Dstats), Action::Ask(Question::List)]);
    }

    fn event(&mut self, now: Moment, seen: &Seen, out: &mut Vec<Action>) {
        let Some(name) = self.names.certain(&seen.watcher) else {
            // A name with `_` may stand for one with blanks: it is found out with its first event, which is no exit.
            if !std::mem::replace(&mut self.listing, true) {
                out.push(Action::Ask(Question::List));
            }
            return;
        };
        let watched = self.watchers.entry(name.clone()).or_default();
        match seen.event.as_str() {
            "kill" => {
                if let Some(pid) = seen.members.get("process_pid").and_then(Value::as_i64) {
                    watched.killed(pid);
                }
            }
            "reap" => {
                let counts = watched.is_unexpected(&seen.members);
                if counts && matches!(watched.state, State::Watching | State::Starting) {
                    watched.exited(now);
                    self.check(now, &name, out);
                }
            }
            "updated" => {
                watched.settings = None;
                out.push(Action::Ask(Question::Options(name)));
            }
            "start" => {
                // It may be a new watcher of an old name.
                watched.settings = None;
                match watched.state {
                    State::Starting => watched.state = State::Watching,
                    State::Watching | State::Down { .. } | State::Checking { .. } => watched.calm(),
                }
            }
            // While it goes down on our order the stop is ours; no other follows without a start between.
            "stop" => match watched.state {
                State::Down { .. } | State::Checking { .. } => {}
                State::Watching | State::Starting => watched.calm(),
            },
            "remove" => drop(self.watchers.remove(&name)),
            _ => {}
        }
    }

    /// Looks at a series of exits, once it is complete.
    fn check(&mut self, now: Moment, name: &str, out: &mut Vec<Action>) {
        let Some(watched) = self.watchers.get_mut(name) else { return };
        let Some(settings) = watched.settings.clone() else {
            return out.push(Action::Ask(Question::Options(name.to_owned())));
        };
        if !settings.active {
            return watched.exits.clear();
        }
        match watched.judge(&settings, self.check_delay) {
            None => {}
            Some(false) => watched.tries = 0,
            Some(true) => flapping(watched, &settings, now, name, out),
        }
    }

    fn answered(&mut self, now: Moment, question: Question, answer: &Answer, out: &mut Vec<Action>) {
        match question {
            Question::List => {
                self.listing = false;
                if let Some(answer) = answer.good() {
                    let names = self.names.learn(answer);
                    // Removals by a reload of the configuration are no events.
                    self.watchers.retain(|name, _| names.contains(name));
                }
            }
            Question::Dstats => self.is_daemon(answer),
            Question::Options(name) => {
                let Some(watched) = self.watchers.get_mut(&name) else { return };
                let none = Members::new();
                let options = answer.good().and_then(|answer| answer.get("options")?.as_object());
                let (settings, wrong) = self.settings.of_watcher(options.unwrap_or(&none));
                watched.settings = Some(settings);
                out.extend(
                    wrong.into_iter().map(|text| Action::Log(Level::Warning, format!("{name}: {text}"))),
                );
                self.check(now, &name, out);
            }
            Question::Why(name) => self.told_why(&name, answer, out),
            Question::GlobalOptions
            | Question::Pids(_)
            | Question::Stats
            | Question::StatsOf(_)
            | Question::Statuses
            | Question::Logs { .. } => {}
        }
    }

    /// Another daemon has its own plan: what we meant to start again is its own business.
    fn is_daemon(&mut self, answer: &Answer) {
        let Some(info) = answer.good().and_then(|answer| answer.get("info")?.as_object()) else { return };
        let identity = Value::from_iter(["pid", "create_time"].map(|key| info.get(key).cloned()));
        if self.daemon.replace(identity.clone()).is_some_and(|before| before != identity) {
            self.watchers.values_mut().for_each(Watched::calm);
        }
    }

    fn told_why(&mut self, name: &str, answer: &Answer, out: &mut Vec<Action>) {
        let Some(watched) = self.watchers.get_mut(name) else { return };
        let counted = answer.good().and_then(|answer| answer.get("stops")?.as_u64());
        match &mut watched.state {
            State::Down { stops, .. } => *stops = counted,
            State::Checking { stops } => {
                if counted > *stops && stops.is_some() {
                    let text = format!("{name}: was stopped by somebody else, so it is not started again");
                    out.push(Action::Log(Level::Info, text));
                    return watched.calm();
                }
                watched.state = State::Starting;
                out.push(Action::Tell(Order::Start(name.to_owned())));
            }
            State::Watching | State::Starting => {}
        }
    }

    /// circusd was not there to take an order: a start is tried again, a stop is not worth it any more.
    fn untold(&mut self, now: Moment, order: &Order) {
        match order {
            Order::Start(name) => {
                if let Some(watched) = self.watchers.get_mut(name) {
                    watched.state = State::Down { until: now + AGAIN, stops: None };
                }
            }
            Order::Stop(name) => {
                if let Some(watched) = self.watchers.get_mut(name) {
                    watched.state = State::Watching;
                }
            }
            Order::Restart(_) | Order::Kill { .. } | Order::SignalChild { .. } | Order::Flapping { .. } => {}
        }
    }

    /// Those whose pause is over.
    fn due(&mut self, now: Moment, out: &mut Vec<Action>) {
        for (name, watched) in &mut self.watchers {
            if let State::Down { until, stops } = watched.state
                && until <= now
            {
                watched.state = State::Checking { stops };
                out.push(Action::Ask(Question::Why(name.clone())));
            }
        }
    }
}

/// Stops the watcher, for a while or for good.
fn flapping(watched: &mut Watched, settings: &Settings, now: Moment, name: &str, out: &mut Vec<Action>) {
    let goes_on = settings.max_retry.is_none_or(|most| watched.tries < most);
    watched.tries += 1;
    let attempt = i64::try_from(watched.tries).unwrap_or(i64::MAX);
    let (text, retry_in) = if goes_on {
        let pause = duration(settings.retry_in);
        watched.state = State::Down { until: now + pause, stops: None };
        let text =
            format!("{name}: flapping detected: retry in {:2}s (attempt number {attempt})", pause.as_secs());
        (text, Some(pause.as_secs_f64()))
    } else {
        watched.calm();
        (format!("{name}: flapping detected: reached max retry limit"), None)
    };
    out.push(Action::Log(Level::Info, text));
    out.push(Action::Tell(Order::Stop(name.to_owned())));
    out.push(Action::Tell(Order::Flapping { watcher: name.to_owned(), attempt, retry_in }));
    if goes_on {
        // After the stop, so that ours is among those counted.
        out.push(Action::Ask(Question::Why(name.to_owned())));
    }
}

impl Plugin for Flapping {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Connected => self.connected(out),
            Input::Event(seen) => self.event(now, &seen, out),
            Input::Answered { question, answer, .. } => self.answered(now, question, &answer, out),
            Input::Untold { order, .. } => self.untold(now, &order),
            Input::Deadline
            | Input::WayLost
            | Input::Datagram(_)
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
        self.due(now, out);
    }

    fn next_deadline(&self) -> Option<Moment> {
        let until = |watched: &Watched| {
            if let State::Down { until, .. } = watched.state { Some(until) } else { None }
        };
        self.watchers.values().filter_map(until).min()
    }
}

#[cfg(test)]
mod tests;
