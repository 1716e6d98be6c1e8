//! Everything that acts on processes: spawning, signalling, reaping, finding descendants, figures about them.
//!
//! The core speaks [`Effect`](crate::arbiter::effect::Effect) and [`Input`]; this room carries the former out and
//! tells the latter. Nothing here decides, and nothing called by the decision thread waits: spawns, lookups and passes
//! over `/proc` happen on threads of their own.
//!
//! All `unsafe` of the daemon lives here. One place reaps ([`Os::next`]).
//!
//! Invariant: each `Spawned` is followed by exactly one `Exited` of the same process, unless it is released.

pub mod account;
pub mod clock;
mod collector;
pub mod daemonize;
mod ending;
mod ends;
pub mod environment;
mod figures;
mod kin;
pub mod limits;
mod members;
pub mod memory;
pub mod pidfd;
pub mod pidfile;
mod reap;
pub mod slots;
pub mod sockets;
mod spawn;
mod surveyor;
mod table;
pub mod thread;
pub mod title;

use std::{
    collections::VecDeque,
    io,
    os::fd::OwnedFd,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

pub use circus_common::os::{ipc, local_time, procfs, trusted_open};
use circus_common::{
    Signal,
    config::{Account, SocketConfig},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
};
use tracing::{debug, error};

use self::{
    collector::Figures,
    ends::Ends,
    limits::Descriptors,
    members::Members,
    slots::{Left, SlotError, SlotTable, StateDir},
    sockets::{Grant, SocketError, Sockets},
    spawn::{Outcome, Spawners},
    surveyor::{Finding, Query, Root},
    table::Table,
};
pub use self::{
    sockets::Kept,
    spawn::{Attachment, Reader, python_text},
    table::Released,
};
use crate::arbiter::{
    effect::{Question, SpawnSpec},
    id::{MemberId, ProcessId, RequestId},
    input::{Input, Member},
    socket::OpenSocket,
};

/// What the room is set up with.
#[derive(Clone, Debug)]
pub struct OsSettings {
    /// The endpoint: names the slot table, and the daemon's lock with it.
    pub endpoint: String,
    /// Where the slot table lies.
    pub state_dir: StateDir,
}

/// Why the room cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OsError {
    /// The kernel, or what a container allows of it, does not do.
    #[error("{0}")]
    Kernel(String),
    /// The slot table.
    #[error(transparent)]
    Slots(#[from] SlotError),
    /// The system refused.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// The executor of all effects on processes.
#[derive(Debug)]
pub struct Os {
    spawners: Spawners,
    sockets: Option<Sockets>,
    outcomes: UnboundedReceiver<Outcome>,
    surveyor: Sender<Query>,
    findings: UnboundedReceiver<Finding>,
    collector: Sender<Figures>,
    answers: UnboundedReceiver<Input>,
    child_signal: tokio::signal::unix::Signal,
    slots: Arc<SlotTable>,
    left: Vec<Left>,
    granted: Descriptors,
    table: Table,
    members: Members,
    /// The running processes, by their pids.
    ends: Ends,
    reaping: reap::Reaping,
    /// What has happened and was not yet told.
    told: VecDeque<Input>,
}

impl Os {
    /// Opens the room: checks the kernel, takes the endpoint's lock, becomes the subreaper, raises the limit on
    /// descriptors, starts the threads. Needs a running current-thread runtime.
    ///
    /// # Errors
    /// When the kernel is too old, another daemon has the endpoint, or the system refuses something.
    pub fn start(settings: &OsSettings, reader: Reader) -> Result<Self, OsError> {
        let system = |what| move |source| OsError::System { what, source };
        limits::check_kernel().map_err(OsError::Kernel)?;
        let (slots, left) = SlotTable::open(&settings.state_dir, &settings.endpoint)?;
        let slots = Arc::new(slots);
        let granted = limits::raise_descriptors().map_err(system("raise the limit on descriptors"))?;
        limits::keep_descriptors_to_ourselves().map_err(system("list open descriptors"))?;
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(io::Error::from)
            .map_err(system("adopt orphaned processes"))?;
        // A mask inherited from whoever started us would keep ended children and TERM from us for ever. The
        // threads that should get no signal block them all by themselves.
        nix::sys::signal::SigSet::empty()
            .thread_set_mask()
            .map_err(io::Error::from)
            .map_err(system("unblock signals"))?;
        let child_signal = signal(SignalKind::child()).map_err(system("watch for ended children"))?;
        let (outcome_sender, outcomes) = unbounded_channel();
        let (finding_sender, findings) = unbounded_channel();
        let (answer_sender, answers) = unbounded_channel();
        let spawners = Spawners::start(Arc::clone(&slots), granted, reader, outcome_sender)
            .map_err(system("start spawner threads"))?;
        Ok(Self {
            spawners,
            sockets: None,
            outcomes,
            surveyor: surveyor::start(finding_sender).map_err(system("start the surveyor thread"))?,
            findings,
            collector: collector::start(answer_sender).map_err(system("start the collector thread"))?,
            answers,
            child_signal,
            slots,
            left,
            granted,
            table: Table::default(),
            members: Members::new().map_err(system("watch descendants"))?,
            ends: Ends::new().map_err(system("watch processes"))?,
            reaping: reap::Reaping::Due,
            told: VecDeque::new(),
        })
    }

    /// Leaves alone what an earlier life of this process gave away; to be called before anything is ended.
    pub fn leave_alone(&mut self, released: Released) {
        self.table.leave_alone(released);
    }

    /// The limits on descriptors: the raised one must suffice for the plan.
    #[must_use]
    pub const fn descriptors(&self) -> Descriptors {
        self.granted
    }

    /// How many spawns may be under way at one time: four for each spawner thread.
    #[must_use]
    pub fn spawn_places(&self) -> usize {
        4 * self.spawners.threads()
    }

    /// Carries out `Effect::Spawn`.
    pub fn spawn(&mut self, process: ProcessId, spec: Box<SpawnSpec>) {
        let slot = self.slots.take(process, &spec);
        self.table.spawning(process, slot);
        if spec.keeps_orphans {
            self.table.keep_orphans();
        }
        let grant = match &self.sockets {
            Some(sockets) => sockets.grant(&spec),
            None => Ok(Grant::default()),
        };
        self.spawners.spawn(process, spec, slot, grant);
    }

    /// Spawns a helper: a process like any other, but for the socket that is its standard input.
    pub fn spawn_helper(&mut self, process: ProcessId, spec: Box<SpawnSpec>, socket: OwnedFd) {
        let slot = self.slots.take(process, &spec);
        self.table.spawning(process, slot);
        self.spawners.spawn(process, spec, slot, Ok(Grant::of_helper(socket)));
    }

    /// Opens the managed sockets, before the first spawn, and says what the core is to know of them.
    ///
    /// # Errors
    /// The first that cannot be opened.
    pub async fn open_sockets(
        &mut self,
        configs: Vec<SocketConfig>,
        kept: Kept,
    ) -> Result<Vec<OpenSocket>, SocketError> {
        let sockets = Sockets::start(configs, kept).await?;
        let facts = sockets.facts();
        self.sockets = Some(sockets);
        Ok(facts)
    }

    /// The room of the managed sockets, once they are open.
    pub fn sockets(&mut self) -> Option<&mut Sockets> {
        self.sockets.as_mut()
    }

    /// Carries out `Effect::Signal`.
    pub fn signal(&mut self, process: ProcessId, signal: Signal) {
        if let Some(pidfd) = self.table.pidfd(process)
            && let Err(error) = pidfd.signal(signal)
        {
            debug!(%process, %signal, %error, "cannot signal process");
        }
    }

    /// Kills a process with its whole group, which it leads.
    pub fn kill_group(&mut self, process: ProcessId) {
        if let Some(root) = self.table.root(process)
            && let Some(group) = rustix::process::Pid::from_raw(root.identity.0)
        {
            // Its leader is unreaped, so the number is still its group's. A group that is gone is no error.
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }

    /// Carries out `Effect::SignalMember`.
    pub fn signal_member(&mut self, member: MemberId, signal: Signal) {
        if let Some(pidfd) = self.members.pidfd(member)
            && let Err(error) = pidfd.signal(signal)
        {
            debug!(member = member.0, %signal, %error, "cannot signal member");
        }
    }

    /// Carries out `Effect::Survey`.
    pub fn survey(&mut self, processes: &[ProcessId]) {
        let subjects =
            processes.iter().filter_map(|process| self.table.subject(*process, &self.members)).collect();
        let unknown = processes.iter().copied().filter(|process| !self.table.has_run(*process)).collect();
        self.ask_surveyor(Query::Survey { subjects, unknown, strangers: self.table.strangers() });
    }

    /// Carries out `Effect::Forget`.
    pub fn forget(&mut self, process: ProcessId) {
        self.members.forget(process);
        if let Some(slot) = self.table.forget(process) {
            self.slots.clear(slot);
        }
    }

    /// Carries out `Effect::Release`.
    pub fn release(&mut self, process: ProcessId) {
        self.members.forget(process);
        if let Some(pidfd) = self.table.pidfd(process) {
            self.ends.leave(pidfd);
        }
        if let Some(slot) = self.table.release(process) {
            self.slots.clear(slot);
        }
    }

    /// Carries out `Effect::Ask`, but for what the data plane answers.
    pub fn ask(&mut self, request: RequestId, question: Question) {
        match question {
            Question::Stats(question) => self.ask_collector(Figures::stats(request, question, &self.table)),
            Question::Logs(_) => {}
            Question::Dstats => self.ask_collector(Figures::daemon(request)),
            Question::SignalTree { processes, signal, reach } => {
                let roots: Vec<Root> =
                    processes.iter().filter_map(|process| self.table.root(*process)).collect();
                self.ask_surveyor(Query::Tree { request, roots, signal, reach });
            }
        }
    }

    /// Carries out `Effect::Resolve`.
    pub fn resolve(&mut self, request: RequestId, uid: Option<Account>, gid: Option<Account>) {
        self.spawners.resolve(request, uid, gid);
    }

    /// Forgets what is remembered of users and groups; called at each `reloadconfig`.
    pub fn flush_identities(&self) {
        self.spawners.flush_identities();
    }

    /// The next thing that happened. Cancel-safe.
    pub async fn next(&mut self) -> Input {
        loop {
            if let Some(input) = self.told.pop_front() {
                return input;
            }
            self.turn().await;
        }
    }

    /// The exits that were reaped in the same turn as the one just told, up to the first that is not `wanted`.
    pub fn exits_with_it(&mut self, wanted: impl Fn(&Input) -> bool) -> impl Iterator<Item = Input> {
        let is_one = |input: &&Input| matches!(input, Input::Exited { .. }) && wanted(input);
        let exits = self.told.iter().take_while(is_one).count();
        self.told.drain(..exits)
    }

    /// Reaps what has ended, or waits for a wake-up and takes in what it brought. Cancel-safe: nothing is lost between
    /// the two.
    async fn turn(&mut self) {
        if self.reaping == reap::Reaping::Due {
            self.reap();
            if self.told.is_empty() {
                // Nobody is told of orphans, and a flood of them must not keep everything else waiting.
                tokio::task::yield_now().await;
            }
            return;
        }
        tokio::select! {
            Some(outcome) = self.outcomes.recv() => self.take_in(outcome),
            Some(()) = self.child_signal.recv() => self.reaping = reap::Reaping::Due,
            gone = self.members.gone() => {
                self.told.extend(gone.into_iter().map(|(process, member)| Input::MemberGone { process, member }));
            }
            Some(finding) = self.findings.recv() => self.take_in_finding(finding),
            Some(answer) = self.answers.recv() => self.told.push_back(answer),
            input = next_of(&mut self.sockets) => self.told.push_back(input),
        }
    }

    fn take_in(&mut self, outcome: Outcome) {
        // A zombie that was left to this result can be told apart now.
        if self.reaping == reap::Reaping::AwaitsSpawn {
            self.reaping = reap::Reaping::Due;
        }
        match outcome {
            Outcome::Spawned(spawned) => {
                let (process, pid, started) = (spawned.process, spawned.pid, spawned.started);
                if let Some(slot) = self.table.spawned(*spawned) {
                    self.slots.clear(slot);
                } else if let Some(pidfd) = self.table.pidfd(process) {
                    // Where there is no room for it, it is found among all the others.
                    let _noticed = self.ends.notice(pidfd, u64::from(pid.unsigned_abs()));
                }
                self.told.push_back(Input::Spawned { process, pid, started });
            }
            Outcome::Failed { process, failure } => {
                if let Some(slot) = self.table.failed(process) {
                    self.slots.clear(slot);
                }
                self.told.push_back(Input::SpawnFailed { process, failure });
            }
            Outcome::Resolved { request, account } => {
                self.told.push_back(Input::Resolved { request, account })
            }
        }
    }

    fn take_in_finding(&mut self, finding: Finding) {
        match finding {
            Finding::Signalled { request, reply } => self.told.push_back(Input::Answered { request, reply }),
            Finding::Surveyed(found) => {
                let mut surveyed = Vec::with_capacity(found.len());
                for (process, found) in found {
                    // Forgotten meanwhile: nobody may be held for it any more.
                    let wanted = self.table.has_run(process);
                    let members = found.into_iter().filter(|_| wanted);
                    let members: Vec<Member> =
                        members.filter_map(|found| self.hold(process, found)).collect();
                    surveyed.push((process, members));
                }
                self.told.push_back(Input::Surveyed { found: surveyed });
            }
        }
    }

    /// Names a member found; one that has ended since is nobody.
    fn hold(&mut self, process: ProcessId, found: surveyor::Found) -> Option<Member> {
        let identity = found.kin.identity;
        let id = match (self.members.known(process, identity), found.pidfd) {
            (Some(id), _) => id,
            (None, Some(pidfd)) => self.members.hold(process, identity, pidfd).ok()?,
            (None, None) => return None,
        };
        Some(Member { id, pid: identity.0, direct: found.kin.direct })
    }

    fn ask_surveyor(&self, query: Query) {
        // It lives as long as its sender, which is ours.
        let _closed = self.surveyor.send(query);
    }

    fn ask_collector(&self, figures: Figures) {
        // As above.
        let _closed = self.collector.send(figures);
    }

    /// What a killed predecessor left, as far as its table tells: how many processes, and how long the slowest may
    /// take to end.
    #[must_use]
    pub fn survivors(&self) -> Option<(usize, Duration)> {
        let longest = self.left.iter().map(|left| left.grace_millis).max()?;
        Some((self.left.len(), Duration::from_millis(longest)))
    }

    /// Ends what a killed predecessor left; to be awaited before the first spawn. Says how many processes those were.
    pub async fn end_survivors(&mut self) -> usize {
        let left = std::mem::take(&mut self.left);
        if left.is_empty() {
            return 0;
        }
        let slots: Vec<usize> = left.iter().map(|left| left.slot).collect();
        let count = self.end(ending::Search::Left(left)).await;
        slots.into_iter().for_each(|slot| self.slots.clear(slot));
        count
    }

    /// Ends, at quit, orphans that belong to no watcher; what was released is left alone. Each is named in the log. Once
    /// a watcher has wanted its own to be left alone all are: whose an orphan was cannot be seen any more.
    pub async fn end_orphans(&mut self, grace: Duration) {
        if self.table.keeps_orphans() {
            return;
        }
        let spared = self.table.spared();
        self.end(ending::Search::Orphans { grace, spared }).await;
    }

    /// Empties the slot table: after a clean quit there is nothing to end. Says what was given away.
    /// The sockets stay open for the next life, or are closed with the value.
    pub fn close(mut self) -> (Released, Kept) {
        self.slots.empty();
        let kept = self.sockets.take().map(Sockets::into_kept).unwrap_or_default();
        (std::mem::take(&mut self.table).into_released(), kept)
    }

    /// Lets a thread end processes, and reaps meanwhile: those that are our children end only so.
    async fn end(&mut self, search: ending::Search) -> usize {
        let (sender, mut ended) = tokio::sync::oneshot::channel();
        let work = move || {
            // The receiver waits below.
            let _heard = sender.send(ending::end(&search));
        };
        if let Err(error) = thread::start("ending", work) {
            error!(%error, "cannot start the thread that ends processes");
            return 0;
        }
        loop {
            tokio::select! {
                count = &mut ended => return count.unwrap_or(0),
                () = self.turn() => {}
            }
        }
    }
}

async fn next_of(sockets: &mut Option<Sockets>) -> Input {
    match sockets {
        Some(sockets) => sockets.next().await,
        None => std::future::pending().await,
    }
}

impl Drop for Os {
    fn drop(&mut self) {
        // The threads let go of the table a little later; the endpoint is free now.
        self.slots.unlock();
    }
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test names the one input that it waits for")]
mod tests;
