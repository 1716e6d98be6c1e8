//! The thread that answers `stats` and `dstats`: one pass over `/proc` for each different question.

use std::{
    collections::VecDeque,
    io,
    sync::mpsc::{Sender, channel},
};

use circus_common::protocol::Reply;
use serde_json::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;

use super::{table::Table, thread};
use crate::{
    arbiter::{
        effect::{StatsQuestion, StatsSubject},
        id::RequestId,
        input::Input,
    },
    os::figures::Samples,
};

/// What stands in the place of the figures of a process that has died.
const DEAD: &str = "No such process (stopped?)";

/// A question for figures.
#[derive(Debug)]
pub struct Figures {
    request: RequestId,
    asked: Asked,
}

#[derive(Debug, PartialEq)]
enum Asked {
    Daemon,
    All(Vec<(String, Vec<Subject>)>),
    Watcher { name: String, subjects: Vec<Subject> },
    Process { process: Value, subject: Subject },
}

/// One process asked for; without a start time it has died already.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Subject {
    asked: StatsSubject,
    start: Option<u64>,
}

impl Figures {
    /// `dstats`.
    pub const fn daemon(request: RequestId) -> Self {
        Self { request, asked: Asked::Daemon }
    }

    /// `stats`.
    pub fn stats(request: RequestId, question: StatsQuestion, table: &Table) -> Self {
        let subject = |asked: StatsSubject| Subject { asked, start: table.start(asked.process) };
        let list = |subjects: Vec<StatsSubject>| subjects.into_iter().map(subject).collect::<Vec<_>>();
        let asked = match question {
            StatsQuestion::All(watchers) => {
                Asked::All(watchers.into_iter().map(|(name, subjects)| (name, list(subjects))).collect())
            }
            StatsQuestion::Watcher { name, processes } => Asked::Watcher { name, subjects: list(processes) },
            StatsQuestion::Process { process, subject: one } => {
                Asked::Process { process, subject: subject(one) }
            }
        };
        Self { request, asked }
    }
}

/// Starts the thread; it ends when the sender is dropped.
///
/// # Errors
/// When the system has no thread left.
pub fn start(answers: UnboundedSender<Input>) -> io::Result<Sender<Figures>> {
    let (sender, questions) = channel::<Figures>();
    let work = move || {
        let mut samples = Samples::new();
        let mut waiting = VecDeque::new();
        while let Some(first) = waiting.pop_front().or_else(|| questions.recv().ok()) {
            waiting.extend(questions.try_iter());
            let reply = answer(&first.asked, &mut samples);
            let (same, others): (VecDeque<_>, VecDeque<_>) =
                waiting.into_iter().partition(|other: &Figures| other.asked == first.asked);
            waiting = others;
            for request in [first.request].into_iter().chain(same.into_iter().map(|same| same.request)) {
                // Only a daemon that is gone does not listen.
                let _closed = answers.send(Input::Answered { request, reply: reply.clone() });
            }
        }
    };
    thread::start("collector", work)?;
    Ok(sender)
}

fn answer(asked: &Asked, samples: &mut Samples) -> Reply {
    samples.refresh();
    match asked {
        Asked::Daemon => Reply::with([("info", daemon(samples))]),
        Asked::All(watchers) => {
            let infos = watchers.iter().map(|(name, subjects)| (name.clone(), by_pid(samples, subjects)));
            Reply::with([("infos", Value::Object(infos.collect()))])
        }
        Asked::Watcher { name, subjects } => {
            let info = by_pid(samples, subjects);
            Reply::with([("name", Value::from(name.as_str())), ("info", info)])
        }
        Asked::Process { process, subject } => {
            Reply::with([("process", process.clone()), ("info", info(samples, *subject))])
        }
    }
}

fn by_pid(samples: &mut Samples, subjects: &[Subject]) -> Value {
    let info = subjects.iter().map(|subject| (subject.asked.pid.to_string(), info(samples, *subject)));
    Value::Object(info.collect())
}

/// One process: its figures, its children's, and what only circusd knows.
fn info(samples: &mut Samples, subject: Subject) -> Value {
    let identity = subject.start.map(|start| (subject.asked.pid, start));
    let Some(mut info) = identity.and_then(|identity| samples.figures(identity)) else {
        return Value::from(DEAD);
    };
    info.insert("age".to_owned(), samples.age(subject.asked.started));
    let children = samples.children(subject.asked.pid);
    let children = children.into_iter().filter_map(|child| lone(samples, child)).map(Value::Object).collect();
    info.insert("children".to_owned(), Value::Array(children));
    info.insert("started".to_owned(), Value::from(subject.asked.started));
    info.insert("wid".to_owned(), Value::from(subject.asked.wid));
    Value::Object(info)
}

/// One process without its children.
fn lone(samples: &mut Samples, identity: super::procfs::Identity) -> Option<Map<String, Value>> {
    let mut info = samples.figures(identity)?;
    info.insert("children".to_owned(), Value::Array(Vec::new()));
    Some(info)
}

fn daemon(samples: &mut Samples) -> Value {
    let own = samples.own();
    own.and_then(|own| lone(samples, own)).map_or_else(|| Value::from(DEAD), Value::Object)
}
