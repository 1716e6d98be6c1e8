//! Plays stories to a plugin: events and answers in, what it did out.

use std::time::Duration;

use circus_common::{config::plugin::builtin::Builtin, protocol::event::Seen};
use serde_json::{Value, json};

use super::{Setup, build};
use crate::{
    machine::{Action, Answer, Input, Members, Plugin, Question},
    options::{OptionError, options},
};

/// A plugin, its clock, and what it did since the last look.
pub(crate) struct Story {
    plugin: Box<dyn Plugin>,
    pub now: Duration,
    did: Vec<Action>,
}

pub(crate) fn setup(settings: &[(&str, &str)]) -> Setup {
    Setup { options: options(settings), check_delay: 5.0, host: "box".to_owned(), own_events: true }
}

pub(crate) fn refused(builtin: Builtin, settings: &[(&str, &str)]) -> String {
    match build(builtin, &setup(settings)) {
        Ok(_) => String::new(),
        Err(error @ (OptionError::Value { .. } | OptionError::Missing(_) | OptionError::Inactive)) => {
            error.to_string()
        }
    }
}

pub(crate) fn members(value: &Value) -> Members {
    value.as_object().cloned().expect("an object")
}

impl Story {
    pub(crate) fn of(builtin: Builtin, settings: &[(&str, &str)]) -> Self {
        let plugin = build(builtin, &setup(settings)).expect("good options");
        let mut story = Self { plugin, now: Duration::ZERO, did: Vec::new() };
        story.input(Input::Connected);
        story
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.plugin.handle(self.now, input, &mut self.did);
    }

    pub(crate) fn event(&mut self, watcher: &str, event: &str, payload: Value) {
        let members = members(&payload);
        self.input(Input::Event(Seen { watcher: watcher.to_owned(), event: event.to_owned(), members }));
    }

    /// An unexpected exit.
    pub(crate) fn crash(&mut self, watcher: &str, pid: i64) {
        self.event(watcher, "reap", json!({"process_pid": pid, "exit_code": 1, "expected": false}));
    }

    pub(crate) fn answer(&mut self, question: Question, answer: Value) {
        let answer = Answer::Ok(members(&answer));
        self.input(Input::Answered { question, answer, took: Duration::from_millis(2) });
    }

    pub(crate) fn refuse(&mut self, question: Question) {
        let answer = Answer::Refused("no".to_owned());
        self.input(Input::Answered { question, answer, took: Duration::from_millis(2) });
    }

    /// Lets time pass, with every deadline on the way.
    pub(crate) fn pass(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(next) = self.plugin.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.plugin.handle(self.now, Input::Deadline, &mut self.did);
        }
        self.now = end;
    }

    /// Everything it did since the last look.
    pub(crate) fn did(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.did)
    }

    /// Its log lines since the last look.
    pub(crate) fn logged(&mut self) -> Vec<String> {
        let line = |action: Action| if let Action::Log(_, text) = action { Some(text) } else { None };
        self.did().into_iter().filter_map(line).collect()
    }

    /// Its metrics since the last look.
    pub(crate) fn metrics(&mut self) -> Vec<String> {
        let line = |action: Action| if let Action::Metric(text) = action { Some(text) } else { None };
        self.did().into_iter().filter_map(line).collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.plugin.next_deadline()
    }
}
