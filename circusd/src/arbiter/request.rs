//! Requests whose answer comes later: counts their parts and words the one answer.
//!
//! Invariant: a pending request is answered when its last part ends, or when the daemon leaves; then it is gone.

use std::collections::BTreeMap;

use circus_common::protocol::{ErrorCode, Reply};
use serde_json::{Map, Value, json};

use super::{
    id::RequestId,
    operation::{Outcome, Tally},
};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The request's name.
    pub request: RequestId,
    /// Whether an answer is wanted; a cast wants none.
    pub reply: bool,
}

/// The shape of a late answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A bare ok.
    Bare,
    /// `info` with what was started and kept.
    Start,
    /// `info` with what was stopped, started and kept.
    Replace,
    /// `info: null`.
    Stop,
    /// `started` and `kept` beside `status`, as `add` answers.
    Add,
    /// `numprocesses` of the watcher named so.
    Number(String),
}

/// A request that has been accepted and not answered.
#[derive(Debug)]
pub(super) struct Pending {
    /// Who asked; `None` for the daemon's own work.
    pub client: Option<Client>,
    /// The shape of the answer.
    pub shape: Shape,
    /// Parts that have not ended.
    pub left: usize,
    tally: Tally,
    errors: BTreeMap<String, String>,
    failures: Vec<(String, ErrorCode, String)>,
}

impl Pending {
    /// A request of that many parts.
    pub fn new(client: Option<Client>, shape: Shape, parts: usize) -> Self {
        let (tally, errors, failures) = (Tally::default(), BTreeMap::new(), Vec::new());
        Self { client, shape, left: parts, tally, errors, failures }
    }

    /// One part has ended. Returns whether it was the last.
    pub fn part(&mut self, watcher: &str, outcome: Outcome) -> bool {
        self.left = self.left.saturating_sub(1);
        match outcome {
            Outcome::Done(tally) => self.tally = tally,
            Outcome::GaveUp(tally, error) => {
                self.tally = tally;
                self.errors.insert(watcher.to_owned(), error);
            }
            Outcome::Failed(code, reason) => self.failures.push((watcher.to_owned(), code, reason)),
        }
        self.left == 0
    }

    /// The answer. `number` is the wanted number of the watcher a `Shape::Number` names.
    pub fn answer(self, number: Option<u32>) -> Reply {
        if let [(_, code, reason)] = self.failures.as_slice() {
            return Reply::error(*code, reason.clone());
        }
        if !self.failures.is_empty() {
            let reasons: Vec<&str> = self.failures.iter().map(|(_, _, reason)| reason.as_str()).collect();
            return Reply::error(ErrorCode::Command, reasons.join("; "));
        }
        let Tally { stopped, started, kept } = &self.tally;
        let mut members = Map::new();
        match &self.shape {
            Shape::Bare => {}
            Shape::Start => {
                members.insert("info".to_owned(), json!({"started": started, "kept": kept}));
            }
            Shape::Replace => {
                members
                    .insert("info".to_owned(), json!({"stopped": stopped, "started": started, "kept": kept}));
            }
            Shape::Stop => {
                members.insert("info".to_owned(), Value::Null);
            }
            Shape::Add => {
                members.insert("started".to_owned(), json!(started));
                members.insert("kept".to_owned(), json!(kept));
            }
            Shape::Number(_) => {
                members.insert("numprocesses".to_owned(), json!(number.unwrap_or(0)));
            }
        }
        if !self.errors.is_empty() {
            members.insert("errors".to_owned(), json!(self.errors));
        }
        Reply::Ok(members)
    }
}
