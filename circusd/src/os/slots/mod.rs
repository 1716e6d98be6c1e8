//! The slot table: which processes circusd has, in a file mapping that survives its death.
//!
//! On the decision thread it is written with memory writes only. The same file carries the daemon's lock, so that a
//! second daemon on one endpoint ends with a message and not with a fight over processes.
//!
//! Invariant: the kernel itself writes the pid of a new process here before that process runs its first instruction.

mod directory;
mod heirs;
mod mapping;

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use circus_common::Signal;

pub use self::directory::StateDir;
use self::mapping::Mapping;
use super::clock;
use crate::arbiter::{effect::SpawnSpec, id::ProcessId};

/// Slots in the table. More processes than this are run, but a killed circusd's successor does not find them.
const CAPACITY: usize = 65_536;

/// Slots that get memory of the file system at once, so that a full one is an error here and not a SIGBUS later.
const CHUNK: usize = 1024;

/// Slots beyond the capacity, shared by processes that found the table full: one for each spawn under way.
const SPARE: usize = 64;

/// "circus" and the layout's number.
const MAGIC: u64 = 0x6369_7263_7573_0001;

/// How long the lock of a daemon that is dead is waited for.
const INHERITANCE: Duration = Duration::from_secs(5);

/// How much of a watcher's name is kept, for messages.
const NAME: usize = 64;

/// One process. Zero in `pid` is a free slot.
#[derive(Debug)]
#[repr(C)]
struct Slot {
    pid: AtomicI32,
    wid: AtomicU32,
    /// Its start time in ticks since boot; 0 while only `not_before` is known.
    start: AtomicU64,
    /// When its spawn began.
    not_before: AtomicU64,
    /// When it was reaped; 0 while it lives.
    exited: AtomicU64,
    stop_signal: AtomicI32,
    name_length: AtomicU32,
    grace_millis: AtomicU64,
    name: [AtomicU8; NAME],
}

/// The head of the file; a page of its own.
#[derive(Debug)]
#[repr(C, align(4096))]
struct Head {
    magic: AtomicU64,
    daemon: AtomicI32,
    /// Slots from here on were never used: looking at them would make the file system give them memory.
    used: AtomicU32,
    boot_id: [AtomicU8; 36],
}

/// Tells one boot from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Why the table cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// Another daemon has it.
    #[error("another circusd (pid {pid}) already runs on {endpoint}")]
    Taken {
        /// Its number.
        pid: i32,
        /// The endpoint both want.
        endpoint: String,
    },
    /// The directory belongs to somebody else, or others may write it.
    #[error("cannot use `{}`: it must be a directory of this user that nobody else may write", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
    },
    /// The file belongs to somebody else, or others may write it.
    #[error("cannot use `{}`: it must be a file of this user that nobody else may write", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot open the process table `{}`", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Without it nobody could say whether what the table names is from before a boot.
    #[error("cannot read `{BOOT_ID}`: circusd needs /proc to start")]
    BootId {
        /// Why.
        source: io::Error,
    },
}

/// What a killed predecessor left in a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it stands.
    pub slot: usize,
    /// Its number, and that of its session.
    pub pid: i32,
    /// The watcher's name, perhaps cut.
    pub watcher: String,
    /// Its slot number in the watcher.
    pub wid: u32,
    /// Its start time in ticks since boot, if it was learnt.
    pub start: Option<u64>,
    /// When its spawn began, likewise.
    pub not_before: u64,
    /// When it was reaped.
    pub exited: Option<u64>,
    /// How it is asked to end.
    pub stop_signal: Signal,
    /// How long that may take, in milliseconds.
    pub grace_millis: u64,
}

/// The table.
#[derive(Debug)]
pub struct SlotTable {
    map: Mapping,
    /// Holds the lock as long as it is open. Without it the table is this process's own memory.
    file: Option<File>,
    free: Mutex<Free>,
}

/// Which slots are free.
#[derive(Debug, Default)]
struct Free {
    given_back: Vec<usize>,
    next: usize,
    backed: usize,
    spare: usize,
}

impl SlotTable {
    /// Opens the table of an endpoint and takes its lock; what a predecessor left stays until [`Self::clear`].
    ///
    /// # Errors
    /// When another daemon has it, or its place is not safe or not to be had.
    pub fn open(dir: &StateDir, endpoint: &str) -> Result<(Self, Vec<Left>), SlotError> {
        let Some(dir) = dir.prepare()? else {
            let map =
                Mapping::private().map_err(|source| SlotError::Open { path: PathBuf::new(), source })?;
            return Ok((Self { map, file: None, free: Mutex::default() }, Vec::new()));
        };
        let path = dir.join(format!("state-{:016x}", directory::hash(endpoint)));
        let file = open_locked(&path, endpoint)?;
        let open = |source| SlotError::Open { path: path.clone(), source };
        let boot_id = std::fs::read(BOOT_ID).map_err(|source| SlotError::BootId { source })?;
        let (map, left) = Self::map(&file, &boot_id).map_err(open)?;
        let next = left.iter().map(|left| left.slot + 1).filter(|next| *next <= CAPACITY).max().unwrap_or(0);
        let given_back = (0..next).filter(|slot| left.iter().all(|left| left.slot != *slot)).collect();
        let free = Free { given_back, next, backed: next.next_multiple_of(CHUNK).max(CHUNK), spare: 0 };
        Ok((Self { map, file: Some(file), free: Mutex::new(free) }, left))
    }

    /// Maps the file and reads what is in it; a foreign layout or an earlier boot counts as empty.
    fn map(file: &File, boot_id: &[u8]) -> io::Result<(Mapping, Vec<Left>)> {
        file.set_len(Mapping::LENGTH as u64)?;
        mapping::back(file, CHUNK)?;
        let map = Mapping::shared(file)?;
        let head = map.head();
        let same_boot =
            head.boot_id.iter().zip(boot_id).all(|(kept, now)| kept.load(Ordering::Relaxed) == *now);
        let known = same_boot && head.magic.load(Ordering::Relaxed) == MAGIC;
        let left =
            if known { map.used_slots().iter().enumerate().filter_map(left).collect() } else { Vec::new() };
        if !known {
            // Cutting the file gives its memory back; the mapping reads as zero afterwards.
            file.set_len(0)?;
            file.set_len(Mapping::LENGTH as u64)?;
            mapping::back(file, CHUNK)?;
            head.used.store(0, Ordering::Relaxed);
        }
        for (kept, now) in head.boot_id.iter().zip(boot_id) {
            kept.store(*now, Ordering::Relaxed);
        }
        head.daemon.store(std::process::id().cast_signed(), Ordering::Relaxed);
        head.magic.store(MAGIC, Ordering::Release);
        Ok((map, left))
    }

    /// A slot for a process about to be spawned.
    pub fn take(&self, process: ProcessId, spec: &SpawnSpec) -> usize {
        let index = self.free_slot();
        if let Some(slot) = self.slot(index) {
            let name = spec.watcher.as_bytes();
            let length = name.len().min(NAME);
            for (kept, byte) in slot.name.iter().zip(name) {
                kept.store(*byte, Ordering::Relaxed);
            }
            slot.name_length.store(u32::try_from(length).unwrap_or(0), Ordering::Relaxed);
            slot.wid.store(process.wid, Ordering::Relaxed);
            slot.stop_signal.store(spec.stop_signal.number(), Ordering::Relaxed);
            let grace = crate::arbiter::time::seconds(spec.graceful_timeout).as_millis();
            slot.grace_millis.store(u64::try_from(grace).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        index
    }

    /// Empties a slot. A spare one is left as it is: another spawn may use it already.
    pub fn clear(&self, index: usize) {
        let Some(slot) = self.slot(index).filter(|_| index < CAPACITY) else { return };
        slot.pid.store(0, Ordering::SeqCst);
        slot.start.store(0, Ordering::Relaxed);
        slot.not_before.store(0, Ordering::Relaxed);
        slot.exited.store(0, Ordering::Relaxed);
        self.free().given_back.push(index);
    }

    /// A spawn into the slot begins now.
    pub fn about_to_spawn(&self, index: usize, ticks: u64) {
        if let Some(slot) = self.slot(index) {
            slot.not_before.store(ticks, Ordering::Release);
        }
    }

    /// The process in the slot runs.
    pub fn spawned(&self, index: usize, start: u64) {
        if let Some(slot) = self.slot(index) {
            slot.start.store(start, Ordering::Release);
        }
    }

    /// The process in the slot was reaped; what it left behind may live on.
    pub fn exited(&self, index: usize, ticks: u64) {
        if let Some(slot) = self.slot(index) {
            slot.exited.store(ticks, Ordering::Release);
        }
    }

    /// The pid in a slot.
    pub fn pid(&self, index: usize) -> i32 {
        self.slot(index).map_or(0, |slot| slot.pid.load(Ordering::SeqCst))
    }

    /// Where the kernel writes the pid of the slot's process.
    pub fn pid_place(&self, index: usize) -> *mut i32 {
        self.slot(index).map_or(std::ptr::null_mut(), |slot| slot.pid.as_ptr())
    }

    /// Empties the whole table: a clean quit leaves nothing to end.
    pub fn empty(&self) {
        for slot in self.map.used_slots() {
            if slot.pid.load(Ordering::Relaxed) != 0 {
                slot.pid.store(0, Ordering::SeqCst);
            }
        }
    }

    /// Gives the endpoint's lock back; nothing is written afterwards.
    pub fn unlock(&self) {
        if let Some(Err(error)) = self.file.as_ref().map(File::unlock) {
            tracing::debug!(%error, "cannot unlock the process table");
        }
    }

    fn slot(&self, index: usize) -> Option<&Slot> {
        self.map.slots().get(index)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        // Whole after every step, so a panic elsewhere does not spoil it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn free_slot(&self) -> usize {
        let mut free = self.free();
        if let Some(index) = free.given_back.pop() {
            return index;
        }
        if free.next == free.backed && free.next < CAPACITY {
            let more = free.backed + CHUNK;
            if self.file.as_ref().is_none_or(|file| mapping::back(file, more).is_ok()) {
                free.backed = more;
            }
        }
        if free.next < free.backed.min(CAPACITY) {
            free.next += 1;
            self.map.head().used.store(u32::try_from(free.next).unwrap_or(u32::MAX), Ordering::Release);
            return free.next - 1;
        }
        // Full, or the file system is: the process runs all the same.
        free.spare = (free.spare + 1) % SPARE;
        CAPACITY + free.spare
    }
}

/// What a slot says, if it is used.
fn left((index, slot): (usize, &Slot)) -> Option<Left> {
    let pid = slot.pid.load(Ordering::Relaxed);
    let length = usize::try_from(slot.name_length.load(Ordering::Relaxed)).unwrap_or(0).min(NAME);
    let name: Vec<u8> = slot.name.iter().take(length).map(|byte| byte.load(Ordering::Relaxed)).collect();
    let known = |ticks: &AtomicU64| Some(ticks.load(Ordering::Relaxed)).filter(|ticks| *ticks != 0);
    (pid > 1).then(|| Left {
        slot: index,
        pid,
        watcher: String::from_utf8_lossy(&name).into_owned(),
        wid: slot.wid.load(Ordering::Relaxed),
        start: known(&slot.start),
        not_before: slot.not_before.load(Ordering::Relaxed),
        exited: known(&slot.exited),
        stop_signal: Signal::from_number(slot.stop_signal.load(Ordering::Relaxed).into())
            .unwrap_or(Signal::TERM),
        grace_millis: slot.grace_millis.load(Ordering::Relaxed),
    })
}

fn open_locked(path: &Path, endpoint: &str) -> Result<File, SlotError> {
    let open = |source| SlotError::Open { path: path.to_owned(), source };
    let file = directory::open_file(path)?;
    let until = clock::since_boot().saturating_add(INHERITANCE);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(open(source)),
            Err(TryLockError::WouldBlock) => {
                let pid = mapping::daemon_of(&file).unwrap_or(0);
                if !heirs::is_orphaned(pid) || clock::since_boot() > until {
                    return Err(SlotError::Taken { pid, endpoint: endpoint.to_owned() });
                }
                heirs::end(&file);
            }
        }
    }
}

#[cfg(test)]
mod tests;
