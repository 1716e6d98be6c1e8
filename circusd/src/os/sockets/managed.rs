//! One managed socket: its descriptor, where it is bound, and what it leaves behind.

use std::{
    collections::HashMap,
    fs, io,
    net::SocketAddr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use circus_common::config::{Place, SocketConfig};

use super::open::{self, OpenError};
use crate::{
    arbiter::{
        id::ProcessId,
        socket::{Address, OpenSocket},
    },
    os::ipc::SocketFile,
};

/// Managed sockets lie from here on up, so that `LISTEN_FDS` (3 and up) never meets one.
pub const LOWEST: RawFd = 64;

/// One socket that circusd holds open.
#[derive(Debug)]
pub struct Managed {
    /// With `so_reuseport` it is not bound: it holds the number.
    pub(super) fd: OwnedFd,
    /// Where it is bound, the port being the real one.
    pub(super) bound: Bound,
    /// With `so_reuseport`.
    slots: Option<Mutex<Slots>>,
}

/// The sockets of slots, by watcher and slot.
type Slots = HashMap<(u32, u32), Arc<OwnedFd>>;

/// Where a socket is bound.
#[derive(Debug)]
pub(super) enum Bound {
    /// At an internet address.
    Inet(SocketAddr),
    /// At a file; `None` leaves what another program made.
    Unix { path: PathBuf, file: Option<UnixFile> },
}

/// The file of a Unix socket.
#[derive(Debug)]
pub(super) struct UnixFile {
    /// The path it was bound at, by which the kernel lists it.
    pub at: PathBuf,
    /// Removes it with this value.
    pub file: Mutex<SocketFile>,
}

impl Managed {
    /// One that was bound, or with `so_reuseport` is to be bound for each slot.
    pub(super) fn new(fd: OwnedFd, bound: Bound, config: &SocketConfig) -> Self {
        Self { fd, bound, slots: config.so_reuseport.then(Mutex::default) }
    }

    /// What the core is told of it.
    pub fn facts(&self, config: &SocketConfig) -> OpenSocket {
        let address = match &self.bound {
            Bound::Inet(address) => Address::Inet { host: address.ip().to_string(), port: address.port() },
            Bound::Unix { path, .. } => Address::Unix { path: path.display().to_string() },
        };
        OpenSocket { config: config.clone(), fd: self.fd.as_raw_fd(), address }
    }

    /// Its number, by which it is listed and inherited.
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether each slot has its own.
    pub const fn is_per_slot(&self) -> bool {
        self.slots.is_some()
    }

    /// The descriptor that a process in this slot is to get: the socket itself, or the slot's own, which is opened at
    /// its first use and stays open for the slot's next process.
    ///
    /// # Errors
    /// When the slot's own cannot be opened.
    pub fn of_slot(
        self: &Arc<Self>,
        config: &SocketConfig,
        process: ProcessId,
    ) -> Result<Descriptor, OpenError> {
        let (Some(slots), Bound::Inet(address)) = (&self.slots, &self.bound) else {
            return Ok(Descriptor::Shared(Arc::clone(self)));
        };
        let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (process.watcher.0, process.wid);
        if let Some(fd) = slots.get(&key) {
            return Ok(Descriptor::Own(Arc::clone(fd)));
        }
        let fd = Arc::new(open::listener(config, *address)?);
        slots.insert(key, Arc::clone(&fd));
        Ok(Descriptor::Own(fd))
    }

    /// Closes the sockets of a watcher's slots but those kept.
    pub fn close_slots(&self, watcher: u32, keep: impl Fn(u32) -> bool) {
        if let Some(slots) = &self.slots {
            let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.retain(|(of, wid), _| *of != watcher || keep(*wid));
        }
    }

    /// Closes the sockets of all slots.
    pub fn close_all_slots(&self) {
        if let Some(slots) = &self.slots {
            slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// All descriptors that are bound to its address.
    pub(super) fn bound_descriptors(self: &Arc<Self>) -> Vec<Descriptor> {
        let mut all = vec![Descriptor::Shared(Arc::clone(self))];
        if let Some(slots) = &self.slots {
            let slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(slots.values().map(|fd| Descriptor::Own(Arc::clone(fd))));
        }
        all
    }

    /// Follows a changed section without being closed (see `SocketChange::Adjust`).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn adjust(&self, config: &SocketConfig) -> io::Result<()> {
        if config.kind.listens() && !self.is_per_slot() {
            open::listen(&self.fd, config)?;
        }
        if let Some(slots) = &self.slots {
            let slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.values().try_for_each(|fd| open::listen(fd, config))?;
        }
        match (&self.bound, &config.place) {
            (Bound::Unix { path, file: Some(_) }, Place::Unix { umask: Some(mask), .. }) => {
                set_mode(path, *mask)
            }
            (Bound::Unix { .. } | Bound::Inet(_), Place::Unix { .. } | Place::Inet { .. }) => Ok(()),
        }
    }

    /// Puts a socket that was bound beside its path into its place, where the one it replaces has been.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn take_place(&self) -> io::Result<()> {
        let Bound::Unix { path, file: Some(unix) } = &self.bound else { return Ok(()) };
        if unix.at == *path {
            return Ok(());
        }
        fs::rename(&unix.at, path)?;
        let moved = SocketFile::of(path)?;
        // The old value would remove what is at the old path: nothing.
        *unix.file.lock().unwrap_or_else(PoisonError::into_inner) = moved;
        Ok(())
    }
}

impl AsFd for Managed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A descriptor that stays open while this value lives.
#[derive(Clone, Debug)]
pub enum Descriptor {
    /// The socket all share.
    Shared(Arc<Managed>),
    /// The one of a slot.
    Own(Arc<OwnedFd>),
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Shared(socket) => socket.fd.as_fd(),
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// Gives a socket's file the mode that a mask leaves, without following a link that somebody put there.
pub(super) fn set_mode(path: &Path, mask: u16) -> io::Result<()> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
    let held = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    let proc = format!("/proc/self/fd/{}", held.as_raw_fd());
    let wanted = 0o777 & !u32::from(mask);
    let found = fs::metadata(&proc)?;
    if found.mode() & 0o777 == wanted {
        return Ok(());
    }
    fs::set_permissions(&proc, fs::Permissions::from_mode(wanted))
}
