//! Spawning: a few threads that clone, and tell what came of it.
//!
//! A spawner thread is held by CLONE_VFORK until its child runs another program, so a working directory on a hung file
//! system stops one thread and never the decision thread.
//!
//! Invariant: while a child's result is not yet in the channel, [`Spawners::in_flight`] knows its pid: the kernel
//! writes it into the slot before the child's first step.

mod child;
mod failure;
mod pipes;
mod plan;
mod stack;

use std::{
    collections::VecDeque,
    ffi::c_int,
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use circus_common::config::Account;
use tokio::sync::mpsc::UnboundedSender;

use self::{child::Step, pipes::Ends, plan::Plan, stack::Stack};
pub use self::{
    failure::python_text,
    pipes::{Attachment, Reader},
};
use super::{
    account::{self, Identities},
    clock,
    limits::Descriptors,
    pidfd::{self, Child, Pidfd},
    procfs::Stat,
    slots::SlotTable,
    sockets::{Grant, Handover},
    thread,
};
use crate::arbiter::{
    effect::SpawnSpec,
    id::{ProcessId, RequestId},
    input::SpawnFailure,
};

/// No more spawner threads than this, however many cores there are.
const MOST_THREADS: usize = 4;

/// What came of a task.
#[derive(Debug)]
pub enum Outcome {
    /// A process runs.
    Spawned(Box<Spawned>),
    /// A process could not be had; nothing of it is left.
    Failed { process: ProcessId, failure: SpawnFailure },
    /// User and group of a request were looked up.
    Resolved { request: RequestId, account: Result<(Option<u32>, Option<u32>), String> },
}

/// A process just spawned.
#[derive(Debug)]
pub struct Spawned {
    /// Its name.
    pub process: ProcessId,
    /// Its number.
    pub pid: i32,
    /// What holds it.
    pub pidfd: Pidfd,
    /// Wall time just before the fork.
    pub started: f64,
    /// Its start time in ticks since boot.
    pub start: u64,
}

/// Work for a spawner thread.
#[derive(Debug)]
enum Task {
    Spawn { process: ProcessId, spec: Box<SpawnSpec>, slot: usize, grant: Result<Grant, String> },
    Resolve { request: RequestId, uid: Option<Account>, gid: Option<Account> },
}

/// The spawner threads. They end when this is dropped.
#[derive(Debug)]
pub struct Spawners(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    ready: Condvar,
    identities: Identities,
    slots: Arc<SlotTable>,
    granted: Descriptors,
    null: File,
    /// Whether a child may share circusd's table of descriptors until it has one of its own.
    shares_table: bool,
    reader: Reader,
    /// For each thread the slot it spawns into, plus one; 0 while it does not.
    current: Vec<AtomicUsize>,
    outcomes: UnboundedSender<Outcome>,
}

/// As long as the core's wishes: it has at most one spawn per slot of a watcher under way.
#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<Task>,
    closed: bool,
}

impl Spawners {
    /// Starts the threads.
    ///
    /// # Errors
    /// When `/dev/null` cannot be opened or a thread cannot be had.
    pub fn start(
        slots: Arc<SlotTable>,
        granted: Descriptors,
        reader: Reader,
        outcomes: UnboundedSender<Outcome>,
    ) -> io::Result<Self> {
        let threads =
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_THREADS);
        let null = File::options().read(true).write(true).open("/dev/null")?;
        // Sources of remapping must lie above all targets.
        let null = rustix::io::fcntl_dupfd_cloexec(&null, 3)?.into();
        let current = (0..threads).map(|_| AtomicUsize::new(0)).collect();
        let (queue, ready, identities) = (Mutex::default(), Condvar::new(), Identities::default());
        let shares_table = child::can_own_table();
        let shared = Arc::new(Shared {
            queue,
            ready,
            identities,
            slots,
            granted,
            null,
            shares_table,
            reader,
            current,
            outcomes,
        });
        let spawners = Self(Arc::clone(&shared));
        for number in 0..threads {
            let (shared, stack) = (Arc::clone(&shared), Stack::new()?);
            thread::start("spawner", move || shared.serve(number, &stack))?;
        }
        Ok(spawners)
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.0.current.len()
    }

    /// Hands a spawn over.
    pub fn spawn(&self, process: ProcessId, spec: Box<SpawnSpec>, slot: usize, grant: Result<Grant, String>) {
        self.0.push(Task::Spawn { process, spec, slot, grant });
    }

    /// Hands a lookup over.
    pub fn resolve(&self, request: RequestId, uid: Option<Account>, gid: Option<Account>) {
        self.0.push(Task::Resolve { request, uid, gid });
    }

    /// Whether a spawner has just created this process and will tell of it.
    pub fn in_flight(&self, pid: i32) -> bool {
        let slots = self.0.current.iter().map(|current| current.load(Ordering::SeqCst));
        slots.filter_map(|slot| slot.checked_sub(1)).any(|slot| self.0.slots.pid(slot) == pid)
    }

    /// Forgets what is remembered of users and groups.
    pub fn flush_identities(&self) {
        self.0.identities.flush();
    }
}

impl Drop for Spawners {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.ready.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        // The queue is whole after every step, so a panic elsewhere does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, task: Task) {
        self.queue().tasks.push_back(task);
        self.ready.notify_one();
    }

    /// The next task, or `None` when the daemon is done.
    fn next(&self) -> Option<Task> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                return Some(task);
            }
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn serve(&self, thread: usize, stack: &Stack) {
        while let Some(task) = self.next() {
            let outcome = match task {
                Task::Spawn { process, spec, slot, grant } => {
                    if let Some(current) = self.current.get(thread) {
                        current.store(slot + 1, Ordering::SeqCst);
                    }
                    let handover = grant.and_then(|grant| grant.hand_over(process));
                    match self.spawn(process, &spec, slot, handover, stack) {
                        Ok(spawned) => Outcome::Spawned(Box::new(spawned)),
                        Err(failure) => Outcome::Failed { process, failure },
                    }
                }
                Task::Resolve { request, uid, gid } => {
                    Outcome::Resolved { request, account: account::resolve(uid.as_ref(), gid.as_ref()) }
                }
            };
            // Only a daemon that is gone does not listen.
            let _closed = self.outcomes.send(outcome);
            // After the sending: who finds the pid no longer in flight finds its result in the channel.
            if let Some(current) = self.current.get(thread) {
                current.store(0, Ordering::SeqCst);
            }
        }
    }

    fn spawn(
        &self,
        process: ProcessId,
        spec: &SpawnSpec,
        slot: usize,
        handover: Result<Handover, String>,
        stack: &Stack,
    ) -> Result<Spawned, SpawnFailure> {
        let handover = handover.map_err(failure::of_text)?;
        let plan = Plan::new(spec, &handover, &self.identities, self.granted).map_err(failure::of_text)?;
        let ends = Ends::make(spec).map_err(|error| failure::of_pipes(&error))?;
        self.slots.about_to_spawn(slot, clock::boot_ticks());
        let started = clock::wall();
        let spawned =
            plan.orders((self.null.as_raw_fd(), self.shares_table), &handover, ends.of_child(), |orders| {
                let (pid, pidfd) = clone(orders, stack, self.slots.pid_place(slot))
                    .map_err(|error| failure::of_clone(&error))?;
                let step = orders.step.load(Ordering::Acquire);
                if step == 0 {
                    // The child is not reaped before this result arrives, so its number is still its own.
                    let start = Stat::of(pid).map_or(0, |stat| stat.start);
                    self.slots.spawned(slot, start);
                    return Ok(Spawned { process, pid, pidfd, started, start });
                }
                let _reaped = pidfd::wait(Child::Awaited(&pidfd));
                let errno = orders.errno.load(Ordering::Relaxed);
                let detail = orders.detail.load(Ordering::Relaxed);
                Err(failure::of_step(spec, Step::from_number(step), errno, detail))
            })?;
        // Before anybody is told of the process: whoever hears of its end later finds its pipes with their reader.
        for (channel, pipe) in ends.into_ours() {
            self.reader.attach(Attachment { process, pid: spawned.pid, channel, pipe });
        }
        Ok(spawned)
    }
}

/// Creates the child and returns when it runs its program or has ended. The kernel writes its pid to `pid_place` first.
fn clone(orders: &child::Orders<'_>, stack: &Stack, pid_place: *mut i32) -> io::Result<(i32, Pidfd)> {
    let mut pidfd: c_int = -1;
    let table = if orders.shares_table { libc::CLONE_FILES } else { 0 };
    let flags = table
        | libc::CLONE_VM
        | libc::CLONE_VFORK
        | libc::CLONE_PIDFD
        | libc::CLONE_CHILD_SETTID
        | libc::SIGCHLD;
    // SAFETY: the child runs on the spawner's own stack, which nobody uses meanwhile (CLONE_VFORK); `orders` and the
    // two places outlive the call; all signals of this thread are blocked, so no handler of circusd's runs in it.
    let pid = unsafe {
        libc::clone(
            child::run,
            stack.top(),
            flags,
            ptr::from_ref(orders).cast_mut().cast(),
            &raw mut pidfd,
            ptr::null_mut::<libc::c_void>(),
            pid_place,
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: CLONE_PIDFD has just stored a descriptor that nothing else knows.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((pid, Pidfd::from(pidfd)))
}
