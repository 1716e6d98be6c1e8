//! The thread that looks for members and signals trees: passes over `/proc`, one at a time.
//!
//! Questions that arrive during a pass share the next one.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use circus_common::{
    Signal,
    protocol::{ErrorCode, Reply},
};
use tokio::sync::mpsc::UnboundedSender;

use super::{
    kin::{self, Kin, Subject},
    pidfd::Pidfd,
    procfs::{self, Identity, Stat},
    spawn::python_text,
    thread,
};
use crate::arbiter::{
    effect::Reach,
    id::{ProcessId, RequestId},
};

/// What the thread is asked.
#[derive(Debug)]
pub enum Query {
    /// Find the members of the subjects; the unknown ones have none.
    Survey { subjects: Vec<Subject>, unknown: Vec<ProcessId>, strangers: HashSet<i32> },
    /// Signal trees.
    Tree { request: RequestId, roots: Vec<Root>, signal: Signal, reach: Reach },
}

/// The root of a tree to signal.
#[derive(Debug)]
pub struct Root {
    /// Its number and start time.
    pub identity: Identity,
    /// What holds it.
    pub pidfd: Arc<Pidfd>,
}

/// What it answers.
#[derive(Debug)]
pub enum Finding {
    /// One survey, for each process asked for in order.
    Surveyed(Vec<(ProcessId, Vec<Found>)>),
    /// A tree was signalled.
    Signalled { request: RequestId, reply: Reply },
}

/// One member, with a descriptor unless it was known before.
#[derive(Debug)]
pub struct Found {
    /// Who, and whether its parent is the process itself.
    pub kin: Kin,
    /// What holds it.
    pub pidfd: Option<Pidfd>,
}

/// Starts the thread; it ends when the sender is dropped.
///
/// # Errors
/// When the system has no thread left.
pub fn start(findings: UnboundedSender<Finding>) -> io::Result<Sender<Query>> {
    let (sender, queries) = channel();
    thread::start("surveyor", move || serve(&queries, &findings))?;
    Ok(sender)
}

fn serve(queries: &Receiver<Query>, findings: &UnboundedSender<Finding>) {
    while let Ok(first) = queries.recv() {
        let batch: Vec<Query> = [first].into_iter().chain(queries.try_iter()).collect();
        // Without /proc nobody is found; descriptors of the processes themselves still work.
        let all = procfs::all().unwrap_or_default();
        for query in batch {
            let finding = match query {
                Query::Survey { subjects, unknown, strangers } => {
                    let mut found = survey(&all, &subjects, &strangers);
                    found.extend(unknown.into_iter().map(|process| (process, Vec::new())));
                    Finding::Surveyed(found)
                }
                Query::Tree { request, roots, signal, reach } => {
                    Finding::Signalled { request, reply: signal_trees(&all, &roots, signal, reach) }
                }
            };
            // Only a daemon that is gone does not listen.
            let _closed = findings.send(finding);
        }
    }
}

fn survey(all: &[Stat], subjects: &[Subject], strangers: &HashSet<i32>) -> Vec<(ProcessId, Vec<Found>)> {
    let members = kin::members(all, subjects, strangers);
    subjects
        .iter()
        .zip(members)
        .map(|(subject, members)| {
            (subject.process, members.into_iter().filter_map(|kin| held(kin, &subject.known)).collect())
        })
        .collect()
}

fn held(kin: Kin, known: &[Identity]) -> Option<Found> {
    if known.contains(&kin.identity) {
        return Some(Found { kin, pidfd: None });
    }
    hold(kin.identity).map(|pidfd| Found { kin, pidfd: Some(pidfd) })
}

/// Holds a process found in a pass. Its start time is compared after the opening: before, the number could have
/// passed to another in between.
pub fn hold(identity: Identity) -> Option<Pidfd> {
    let pidfd = Pidfd::open(identity.0).ok()?;
    let now = Stat::of(identity.0)?;
    (now.identity() == identity && now.lives()).then_some(pidfd)
}

fn signal_trees(all: &[Stat], roots: &[Root], signal: Signal, reach: Reach) -> Reply {
    let mut refused = None;
    let mut send = |pidfd: &Pidfd| {
        if let Err(error) = pidfd.signal(signal) {
            refused = Some(error);
        }
    };
    let mut missing = None;
    for root in roots {
        let (all_of_them, itself) = match reach {
            Reach::Recursive => (true, true),
            Reach::Descendants => (true, false),
            Reach::Children | Reach::Child(_) => (false, false),
        };
        let mut targets = kin::descendants(all, root.identity.0, all_of_them);
        if let Reach::Child(child) = reach {
            targets.retain(|stat| i64::from(stat.pid) == child);
            missing = targets.is_empty().then_some(child);
        }
        if itself {
            send(&root.pidfd);
        }
        for target in targets {
            if let Some(pidfd) = hold(target.identity()) {
                send(&pidfd);
            }
        }
    }
    if let Some(child) = missing {
        return Reply::error(ErrorCode::Command, format!("process no longer exists (pid={child})"));
    }
    let refusal =
        |error: io::Error| Reply::error(ErrorCode::Os, python_text(error.raw_os_error().unwrap_or(0)));
    refused.map_or_else(Reply::ok, refusal)
}
