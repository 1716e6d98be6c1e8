//! The writers: threads that use sinks, each sink by one at a time.
//!
//! A write may block for as long as a disk, a terminal or a helper likes, and no call tells beforehand whether it
//! will. So the plane's thread never writes: it hands a sink over together with what is to be written and gets both
//! back. One writer serves all sinks while none is slow; one more is started whenever work has waited for [`PATIENCE`]
//! with every writer busy, so that a hung place costs a thread and delays the others by that moment only. A thread for
//! every sink would cost a thousand stacks for a thousand quiet files.
//!
//! Invariant: a sink is in one hand, the plane's or a writer's, and comes back from every errand but the last.

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::Sender},
    time::Duration,
};

use super::{
    batch::Batch,
    sink::{Compression, Remarks, Sink},
    timers::Number,
    waker::Waker,
};
use crate::os::thread;

/// So long all writers may be busy before there is another one.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);
/// No more writers than this; then hung places hold up others.
const MOST_WRITERS: usize = 256;
/// A compressor's tables pass over the stack on their way to the heap.
const STACK: usize = 2 * 1024 * 1024;
/// A writer beyond the first that has had nothing to do for so long ends.
const REST: Duration = Duration::from_secs(10);

/// What is to be done with a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Open it.
    Open,
    /// Write the batch.
    Write,
    /// Close it.
    Close,
    /// Close it, and that is the end of it.
    Finish,
}

/// A sink on its way to a writer.
#[derive(Debug)]
pub(super) struct Errand {
    /// Whose sink.
    pub(super) outlet: Number,
    pub(super) sink: Box<dyn Sink>,
    pub(super) work: Work,
    /// What to write; empty for other work.
    pub(super) batch: Batch,
    /// A sink that this one replaces: it is closed first.
    pub(super) replaces: Option<Box<dyn Sink>>,
    /// A helper for it.
    pub(super) helper: Option<OwnedFd>,
}

/// A sink on its way back.
#[derive(Debug)]
pub(super) struct Return {
    /// Whose.
    pub(super) outlet: Number,
    /// Absent after the last errand.
    pub(super) sink: Option<Box<dyn Sink>>,
    pub(super) work: Work,
    /// What was not written.
    pub(super) batch: Batch,
    pub(super) result: io::Result<()>,
    pub(super) remarks: Remarks,
}

/// What writers tell the plane.
#[derive(Debug)]
pub(super) enum Report {
    /// An errand is done.
    Done(Box<Return>),
    /// Something for the log.
    Warning(String),
}

#[derive(Debug)]
enum Job {
    Errand(Box<Errand>),
    Compress(Compression),
}

/// The writers. Without it they finish what is queued, and end.
#[derive(Debug)]
pub(super) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ready: Condvar,
    reports: Sender<Report>,
    waker: Waker,
}

/// The queue is as long as there are sinks, and files that wait to be compressed.
#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// How many jobs a writer has taken.
    begun: u64,
    closed: bool,
}

impl Pool {
    /// Starts the first writer.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(reports: Sender<Report>, waker: Waker) -> io::Result<Self> {
        let shared = Shared { state: Mutex::default(), ready: Condvar::new(), reports, waker };
        let pool = Self(Arc::new(shared));
        pool.grow()?;
        Ok(pool)
    }

    /// Hands over a sink.
    pub(super) fn send(&self, errand: Errand) {
        self.push(Job::Errand(Box::new(errand)));
    }

    /// Hands over a file to compress.
    pub(super) fn compress(&self, compression: Compression) {
        self.push(Job::Compress(compression));
    }

    fn push(&self, job: Job) {
        let mut state = self.0.lock();
        match job {
            // Nobody waits for a smaller file.
            Job::Compress(_) => state.jobs.push_back(job),
            Job::Errand(_) => {
                let urgent = state.jobs.iter().take_while(|job| matches!(job, Job::Errand(_))).count();
                state.jobs.insert(urgent, job);
            }
        }
        drop(state);
        self.0.ready.notify_one();
    }

    /// If work waits and every writer is busy: how much was begun so far. While that stays the same, they are stuck.
    pub(super) fn held_up_at(&self) -> Option<u64> {
        let state = self.0.lock();
        (state.jobs.len() > state.idle && state.threads < MOST_WRITERS).then_some(state.begun)
    }

    /// Starts one more writer.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn grow(&self) -> io::Result<()> {
        self.0.lock().threads += 1;
        let shared = Arc::clone(&self.0);
        thread::start_with_stack("writer", STACK, move || shared.work())
            .inspect_err(|_| self.0.lock().threads -= 1)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.ready.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The queue is whole after every step, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let report = match job {
                Job::Errand(errand) => Some(Report::Done(Box::new(run(*errand)))),
                Job::Compress(compression) => compression.run().err().map(Report::Warning),
            };
            if let Some(report) = report {
                // Only a plane that has ended does not listen.
                let _ended = self.reports.send(report);
                self.waker.wake();
            }
        }
    }

    /// The next job; `None` when this thread is not needed any more.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.begun += 1;
                return Some(job);
            }
            if state.closed {
                state.threads -= 1;
                return None;
            }
            state.idle += 1;
            let rested = if state.threads == 1 {
                // The last one has no deadline, so that an idle daemon never wakes up.
                state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
                false
            } else {
                let waited = self.ready.wait_timeout(state, REST).unwrap_or_else(PoisonError::into_inner);
                state = waited.0;
                waited.1.timed_out()
            };
            state.idle -= 1;
            if rested && state.jobs.is_empty() && state.threads > 1 {
                state.threads -= 1;
                return None;
            }
        }
    }
}

fn run(errand: Errand) -> Return {
    let Errand { outlet, mut sink, work, mut batch, replaces, helper } = errand;
    if let Some(mut old) = replaces {
        old.close();
    }
    if let Some(helper) = helper {
        sink.adopt(helper);
    }
    let result = match work {
        Work::Open => sink.open(),
        Work::Write => sink.write(&mut batch),
        Work::Close | Work::Finish => {
            sink.close();
            Ok(())
        }
    };
    let remarks = sink.remarks();
    let sink = (work != Work::Finish).then_some(sink);
    Return { outlet, sink, work, batch, result, remarks }
}
