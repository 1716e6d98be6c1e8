//! The Pythons that call hooks: long-lived, and one for all watchers with the same interpreter, module path and user.
//!
//! One is started when it is needed first. A call that was taken back has a while to come to its end; then its Python
//! is retired: it gets no further calls, and is killed when the calls of other watchers have ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::net::UnixStream,
    time::Duration,
};

use circus_common::python::OFFER;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::mpsc,
};
use tracing::{info, warn};

use super::{HookEvent, frames::LONGEST_LINE, title};
use crate::{
    arbiter::{
        Input, Timestamp,
        effect::SpawnSpec,
        id::{HookId, ProcessId},
    },
    helpers::{Fleet, Greeted, Greeting, Happened},
    os::Os,
};

/// What runs in them.
const PROGRAM: &str = include_str!("host.py");

/// The `wid` in their names.
const HOSTS: u32 = 1;

/// How long a call that was taken back may go on.
const ABANDONED: Duration = Duration::from_secs(5);

/// How long a retired one has to end by itself: its frames are closed, and it needs no longer.
const RETIREMENT: Duration = Duration::from_secs(1);

/// Pythons kept at one time; the one that was idle longest goes before there are more.
const MOST_HOSTS: usize = 32;

/// Lines of one Python that wait for the loop; then it waits.
const LINES: usize = 64;

/// A line of a Python, or why there is none.
#[derive(Debug)]
pub struct Line {
    /// Who said it.
    pub(super) host: ProcessId,
    /// What, without the newline, or what is wrong with it.
    pub(super) bytes: Result<Vec<u8>, &'static str>,
}

/// What is wrong with a line that is longer than any may be.
const TOO_LONG: &str = "its Python says more at once than 1 MiB";

/// A Python that will answer nothing more.
#[derive(Debug)]
pub(super) struct Fallen {
    /// Which.
    pub host: ProcessId,
    /// What it was asked.
    pub calls: Vec<HookId>,
    /// Why.
    pub reason: String,
}

/// A call under way.
#[derive(Debug)]
struct Call {
    hook: HookId,
    /// Whose hook it is.
    watcher: String,
}

/// Whether it may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Serving,
    Retired,
}

/// How far it has come.
#[derive(Debug)]
enum Voice {
    /// It was not spoken to; this waits for it.
    Silent(Vec<Vec<u8>>),
    /// It hears this.
    Open(mpsc::UnboundedSender<Vec<u8>>),
}

/// One Python.
#[derive(Debug)]
pub(super) struct Host {
    spec: Box<SpawnSpec>,
    standing: Standing,
    voice: Voice,
    calls: BTreeMap<u64, Call>,
    /// Calls that were taken back and go on, and until when they may.
    abandoned: BTreeMap<u64, Timestamp>,
    used: Timestamp,
}

impl Host {
    /// What it was started with.
    pub const fn spec(&self) -> &SpawnSpec {
        &self.spec
    }

    fn say(&mut self, frame: Vec<u8>) {
        match &mut self.voice {
            Voice::Silent(waiting) => waiting.push(frame),
            // One that has just ended hears nothing, and its end is told.
            Voice::Open(frames) => drop(frames.send(frame)),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Hosts {
    fleet: Fleet,
    all: BTreeMap<ProcessId, Host>,
    lines: (mpsc::Sender<Line>, mpsc::Receiver<Line>),
}

impl Hosts {
    pub fn new() -> Self {
        Self { fleet: Fleet::new(HOSTS), all: BTreeMap::new(), lines: mpsc::channel(LINES) }
    }

    /// The Python that this spawn names, started if there is none.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn serving(&mut self, os: &mut Os, now: Timestamp, spec: &SpawnSpec) -> Result<ProcessId, String> {
        let serves = |host: &Host| host.standing == Standing::Serving && *host.spec == *spec;
        if let Some((process, _)) = self.all.iter().find(|(_, host)| serves(host)) {
            return Ok(*process);
        }
        self.make_room(now);
        let process = self.fleet.start(os, spec, greeting())?;
        self.all.insert(
            process,
            Host {
                spec: Box::new(spec.clone()),
                standing: Standing::Serving,
                voice: Voice::Silent(Vec::new()),
                calls: BTreeMap::new(),
                abandoned: BTreeMap::new(),
                used: now,
            },
        );
        Ok(process)
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.all.len() < MOST_HOSTS {
            return;
        }
        let idle = self.all.iter().filter(|(_, host)| host.calls.is_empty());
        if let Some(process) = idle.min_by_key(|(_, host)| host.used).map(|(process, _)| *process) {
            self.retire(process, now);
        }
    }

    /// Asks it to call a hook.
    pub fn call(&mut self, host: ProcessId, hook: HookId, watcher: String, frame: Vec<u8>, now: Timestamp) {
        if let Some(host) = self.all.get_mut(&host) {
            host.used = now;
            host.calls.insert(hook.number, Call { hook, watcher });
            host.say(frame);
        }
    }

    /// Tells it anything else.
    pub fn say(&mut self, host: ProcessId, frame: Vec<u8>, now: Timestamp) {
        if let Some(host) = self.all.get_mut(&host) {
            host.used = now;
            host.say(frame);
        }
    }

    /// Whose hook a call is.
    pub fn own_watcher(&self, host: ProcessId, call: u64) -> Option<&str> {
        self.all.get(&host)?.calls.get(&call).map(|call| call.watcher.as_str())
    }

    /// A call has come to its end; returns the question if anybody waits for the answer.
    pub fn done(&mut self, process: ProcessId, call: u64, now: Timestamp) -> Option<HookId> {
        let host = self.all.get_mut(&process)?;
        host.used = now;
        host.abandoned.remove(&call);
        let done = host.calls.remove(&call).map(|call| call.hook);
        self.dismiss_if_done(process, now);
        done
    }

    /// A call was taken back.
    pub fn forget_call(&mut self, process: ProcessId, call: u64, now: Timestamp) {
        let Some(host) = self.all.get_mut(&process) else { return };
        if host.calls.remove(&call).is_some() {
            host.abandoned.insert(call, now + ABANDONED);
            host.say(super::frames::forget(call));
        }
        self.dismiss_if_done(process, now);
    }

    /// Nothing that it says counts any more, so it is ended at once.
    pub fn disown(&mut self, process: ProcessId, reason: &str, now: Timestamp) -> Option<Fallen> {
        let fallen = self.fall(process, reason.to_owned());
        if fallen.is_some() {
            self.fleet.dismiss(process, now, Duration::ZERO);
        }
        fallen
    }

    /// It gets no further calls, and ends when it has answered those it has.
    pub fn retire(&mut self, process: ProcessId, now: Timestamp) {
        if let Some(host) = self.all.get_mut(&process) {
            host.standing = Standing::Retired;
            self.dismiss_if_done(process, now);
        }
    }

    fn dismiss_if_done(&mut self, process: ProcessId, now: Timestamp) {
        let over = |host: &Host| host.standing == Standing::Retired && host.calls.is_empty();
        if self.all.get(&process).is_some_and(over) {
            // Its frames are closed with it.
            self.all.remove(&process);
            self.fleet.dismiss(process, now, RETIREMENT);
        }
    }

    /// The next thing that comes to light. Cancel-safe.
    pub async fn next(&mut self) -> HookEvent {
        let Self { fleet, lines, .. } = self;
        tokio::select! {
            greeted = fleet.next() => HookEvent::Greeted(greeted),
            Some(line) = lines.1.recv() => HookEvent::Said(line),
        }
    }

    /// Takes in what one has said first.
    pub fn greeted(&mut self, os: &mut Os, now: Timestamp, greeted: Greeted) -> Option<Fallen> {
        let happened = self.fleet.greeted(os, now, greeted);
        self.happened(happened, now)
    }

    /// Takes in what happened to the process of one.
    pub fn take(&mut self, os: &mut Os, now: Timestamp, input: Input) -> Option<Fallen> {
        let happened = self.fleet.take(os, now, input);
        self.happened(happened, now)
    }

    fn happened(&mut self, happened: Option<Happened>, now: Timestamp) -> Option<Fallen> {
        match happened? {
            Happened::Ready(process, socket) => match self.open(process, socket) {
                Ok(()) => None,
                Err(error) => {
                    self.fleet.dismiss(process, now, Duration::ZERO);
                    self.fall(process, format!("cannot speak to its Python: {error}"))
                }
            },
            Happened::Failed(process, reason) => self.fall(process, reason),
            Happened::Ended(process, exit) => self.fall(process, format!("its Python {exit}")),
        }
    }

    fn fall(&mut self, process: ProcessId, reason: String) -> Option<Fallen> {
        let host = self.all.remove(&process)?;
        warn!("{} that calls hooks: {reason}; it is started again when it is needed", title(&host));
        let calls = host.calls.into_values().map(|call| call.hook).collect();
        Some(Fallen { host: process, calls, reason })
    }

    /// From now on it is heard, and hears.
    fn open(&mut self, process: ProcessId, socket: UnixStream) -> std::io::Result<()> {
        let Some(host) = self.all.get_mut(&process) else { return Ok(()) };
        // The greeting leaves it as a thread would want it.
        socket.set_nonblocking(true)?;
        let (reader, writer) = tokio::net::UnixStream::from_std(socket)?.into_split();
        // It holds the frames of calls under way, and those are bounded by what waits for them.
        let (frames, to_write) = mpsc::unbounded_channel();
        if let Voice::Silent(waiting) = std::mem::replace(&mut host.voice, Voice::Open(frames.clone())) {
            // The receiver is above.
            waiting.into_iter().for_each(|frame| drop(frames.send(frame)));
        }
        info!("{} calls hooks", title(host));
        tokio::spawn(write(writer, to_write));
        tokio::spawn(read(process, reader, self.lines.0.clone()));
        Ok(())
    }

    /// When [`Self::due`] has something to do.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let abandoned = self.all.values().filter(|host| host.standing == Standing::Serving);
        let abandoned = abandoned.flat_map(|host| host.abandoned.values().copied());
        self.fleet.next_deadline().into_iter().chain(abandoned).min()
    }

    /// Retires those in which a call hangs that nobody waits for.
    pub fn due(&mut self, os: &mut Os, now: Timestamp) {
        let hangs = |host: &Host| host.abandoned.values().any(|until| *until <= now);
        let serving = self.all.iter().filter(|(_, host)| host.standing == Standing::Serving && hangs(host));
        let hanging: BTreeSet<ProcessId> = serving.map(|(process, _)| *process).collect();
        for process in hanging {
            if let Some(host) = self.all.get(&process) {
                warn!("{} is replaced: a hook in it does not return", title(host));
            }
            self.retire(process, now);
        }
        self.fleet.due(os, now);
    }

    /// The daemon ends.
    pub fn close(&mut self, now: Timestamp) {
        self.all.clear();
        self.fleet.dismiss_all(now, RETIREMENT);
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.fleet.is_empty()
    }
}

/// The first words to one.
pub(super) fn greeting() -> Greeting {
    Greeting::of_hooks(&format!("{OFFER}{PROGRAM}"))
}

/// Writes what it is to hear, and closes when nobody speaks to it any more.
async fn write(mut writer: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if writer.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Passes on what it says, line by line.
async fn read(host: ProcessId, reader: OwnedReadHalf, lines: mpsc::Sender<Line>) {
    let mut reader = BufReader::new(reader);
    loop {
        let mut bytes = Vec::new();
        let limit = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        match (&mut reader).take(limit).read_until(b'\n', &mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = bytes.pop() == Some(b'\n');
        let line = Line { host, bytes: if whole { Ok(bytes) } else { Err(TOO_LONG) } };
        if lines.send(line).await.is_err() || !whole {
            return;
        }
    }
}
