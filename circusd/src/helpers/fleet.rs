//! How helpers come and go, whatever they are for.
//!
//! Invariant: whoever started a helper is told once that it is ready or has failed, and of one that was ready once that
//! it has ended, unless it was dismissed. A helper that is dismissed is gone after its grace.

use std::{collections::BTreeMap, net::Shutdown, os::unix::net::UnixStream, time::Duration};

use circus_common::Signal;
use tokio::sync::mpsc;

use super::Greeting;
use crate::{
    arbiter::{
        Input, Timestamp,
        effect::SpawnSpec,
        id::{ProcessId, WatcherId},
        input::Exit,
    },
    os::Os,
};

/// Whose processes helpers are in the one table there is: the number of no watcher.
pub const HELPERS: WatcherId = WatcherId(0);

/// How long a dismissed helper has from TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);

/// Whether an input is about a helper, and so nothing for the arbiter.
#[must_use]
pub fn concerns(input: &Input) -> bool {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "no other input is about a process just spawned or ended"
    )]
    match input {
        Input::Spawned { process, .. }
        | Input::SpawnFailed { process, .. }
        | Input::Exited { process, .. } => process.watcher == HELPERS,
        _ => false,
    }
}

/// What a helper's beginning has come to.
#[derive(Debug)]
pub struct Greeted {
    process: ProcessId,
    result: Result<UnixStream, String>,
}

/// What has become of a helper.
#[derive(Debug)]
pub enum Happened {
    /// It does what it was asked to be; this leads to it.
    Ready(ProcessId, UnixStream),
    /// It does not, and will be gone.
    Failed(ProcessId, String),
    /// It was ready, and has ended.
    Ended(ProcessId, Exit),
}

/// How far a helper has come.
#[derive(Debug)]
enum Life {
    /// The spawn is under way.
    Spawning { socket: UnixStream, greeting: Greeting },
    /// It was spoken to.
    Greeting,
    /// It has ended, and its last words are being read.
    Fallen,
    /// It works. At its end the way to it is closed, which a process that it forked may still hold.
    Ready { way: Option<UnixStream> },
    /// Nobody wants it any more: it may end by itself until then, and is asked to then.
    Leaving { ask_at: Timestamp },
    /// It was asked to end.
    Asked { kill_at: Timestamp },
    /// It was killed.
    Killed,
}

/// All helpers.
#[derive(Debug)]
pub struct Fleet {
    /// Tells its helpers from those of another fleet.
    kind: u32,
    helpers: BTreeMap<ProcessId, Life>,
    count: u64,
    greeted: (mpsc::UnboundedSender<Greeted>, mpsc::UnboundedReceiver<Greeted>),
}

impl Fleet {
    /// One without helpers; `kind` is the `wid` of its helpers' names.
    pub fn new(kind: u32) -> Self {
        // It holds one word of each helper at most.
        Self { kind, helpers: BTreeMap::new(), count: 0, greeted: mpsc::unbounded_channel() }
    }

    /// Starts a helper.
    ///
    /// # Errors
    /// When no socket is to be had.
    pub fn start(&mut self, os: &mut Os, spec: &SpawnSpec, greeting: Greeting) -> Result<ProcessId, String> {
        let pair = UnixStream::pair().and_then(|(ours, theirs)| {
            ours.set_nonblocking(true)?;
            Ok((ours, theirs))
        });
        let (socket, theirs) = pair.map_err(|error| format!("cannot make a socket: {error}"))?;
        self.count += 1;
        let process = ProcessId { generation: self.count, watcher: HELPERS, wid: self.kind };
        self.helpers.insert(process, Life::Spawning { socket, greeting });
        os.spawn_helper(process, Box::new(spec.clone()), theirs.into());
        Ok(process)
    }

    /// The next word of a helper that was spoken to. Cancel-safe.
    pub async fn next(&mut self) -> Greeted {
        match self.greeted.1.recv().await {
            Some(greeted) => greeted,
            // We hold the other end ourselves.
            None => std::future::pending().await,
        }
    }

    /// Takes that word in.
    pub fn greeted(&mut self, os: &mut Os, now: Timestamp, greeted: Greeted) -> Option<Happened> {
        let Greeted { process, result } = greeted;
        let life = self.helpers.get_mut(&process)?;
        match (&life, result) {
            (Life::Greeting, Ok(socket)) => {
                *life = Life::Ready { way: socket.try_clone().ok() };
                Some(Happened::Ready(process, socket))
            }
            (Life::Greeting, Err(reason)) => {
                ask(life, os, process, now);
                Some(Happened::Failed(process, reason))
            }
            (Life::Fallen, result) => {
                self.helpers.remove(&process);
                let reason = result.err().unwrap_or_else(|| "its Python ended at once".to_owned());
                Some(Happened::Failed(process, reason))
            }
            // Dismissed meanwhile.
            (
                Life::Spawning { .. }
                | Life::Ready { .. }
                | Life::Leaving { .. }
                | Life::Asked { .. }
                | Life::Killed,
                _,
            ) => None,
        }
    }

    /// Takes in what happened to a helper's process.
    pub fn take(&mut self, os: &mut Os, now: Timestamp, input: Input) -> Option<Happened> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these are about helpers")]
        match input {
            Input::Spawned { process, .. } => self.spawned(os, now, process),
            Input::SpawnFailed { process, failure } => {
                let wanted = matches!(self.helpers.remove(&process)?, Life::Spawning { .. });
                wanted.then_some(Happened::Failed(process, failure.text))
            }
            Input::Exited { process, exit, .. } => self.exited(os, process, exit),
            _ => None,
        }
    }

    fn spawned(&mut self, os: &mut Os, now: Timestamp, process: ProcessId) -> Option<Happened> {
        let life = self.helpers.get_mut(&process)?;
        match std::mem::replace(life, Life::Greeting) {
            Life::Spawning { socket, greeting } => {
                let words = self.greeted.0.clone();
                tokio::spawn(async move {
                    let result = greeting.say(socket).await;
                    // Only a daemon that is gone does not listen.
                    let _closed = words.send(Greeted { process, result });
                });
            }
            Life::Greeting
            | Life::Fallen
            | Life::Ready { .. }
            | Life::Leaving { .. }
            | Life::Asked { .. }
            | Life::Killed => ask(life, os, process, now),
        }
        None
    }

    fn exited(&mut self, os: &mut Os, process: ProcessId, exit: Exit) -> Option<Happened> {
        os.forget(process);
        let life = self.helpers.get_mut(&process)?;
        match life {
            // What it said before its end is the better reason.
            Life::Greeting => {
                *life = Life::Fallen;
                None
            }
            Life::Ready { way } => {
                // One that is closed already is no error.
                let _closed = way.as_ref().map(|way| way.shutdown(Shutdown::Both));
                self.helpers.remove(&process);
                Some(Happened::Ended(process, exit))
            }
            Life::Spawning { .. }
            | Life::Fallen
            | Life::Leaving { .. }
            | Life::Asked { .. }
            | Life::Killed => {
                self.helpers.remove(&process);
                None
            }
        }
    }

    /// A helper is not needed any more: it has so long to end by itself, which it does when its socket is closed.
    pub fn dismiss(&mut self, process: ProcessId, now: Timestamp, patience: Duration) {
        if let Some(life) = self.helpers.get_mut(&process) {
            *life = Life::Leaving { ask_at: now + patience };
        }
    }

    /// When [`Self::due`] has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.helpers.values().filter_map(Life::deadline).min()
    }

    /// Asks and kills those whose time has come.
    pub fn due(&mut self, os: &mut Os, now: Timestamp) {
        for (process, life) in &mut self.helpers {
            if life.deadline().is_none_or(|at| at > now) {
                continue;
            }
            if matches!(life, Life::Asked { .. }) {
                os.signal(*process, Signal::KILL);
                *life = Life::Killed;
            } else {
                ask(life, os, *process, now);
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.helpers.is_empty()
    }

    /// Dismisses all of them, those with more patience too that were dismissed before.
    pub fn dismiss_all(&mut self, now: Timestamp, patience: Duration) {
        let latest = now + patience;
        for life in self.helpers.values_mut() {
            match life {
                Life::Spawning { .. } | Life::Greeting | Life::Fallen | Life::Ready { .. } => {
                    *life = Life::Leaving { ask_at: latest };
                }
                Life::Leaving { ask_at } => *ask_at = latest.min(*ask_at),
                Life::Asked { .. } | Life::Killed => {}
            }
        }
    }
}

impl Life {
    const fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Leaving { ask_at: at } | Self::Asked { kill_at: at } => Some(*at),
            Self::Spawning { .. } | Self::Greeting | Self::Fallen | Self::Ready { .. } | Self::Killed => None,
        }
    }
}

fn ask(life: &mut Life, os: &mut Os, process: ProcessId, now: Timestamp) {
    os.signal(process, Signal::TERM);
    *life = Life::Asked { kill_at: now + GRACE };
}
