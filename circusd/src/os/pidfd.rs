//! A process held by a descriptor, and how its end is read.
//!
//! Signals go through the descriptor only: a number may be reused, a descriptor never names another process.
//! Statuses are read with raw `waitid`, since real-time signals end processes too.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use circus_common::Signal;

use crate::arbiter::input::Exit;

/// A process held by a descriptor.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

/// Which child to look at.
#[derive(Clone, Copy, Debug)]
pub enum Child<'a> {
    /// Any: looked at only, and left to be reaped.
    Peek,
    /// The one with this number, which must be a zombie (its number cannot be reused).
    Zombie(i32),
    /// The one held by a descriptor, if it has ended.
    Held(&'a Pidfd),
    /// The same, waiting for its end.
    Awaited(&'a Pidfd),
}

/// A child that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// Its number.
    pub pid: i32,
    /// How it ended.
    pub exit: Exit,
}

impl Pidfd {
    /// Holds the process that has this number now; compare its start time afterwards.
    ///
    /// # Errors
    /// When there is no such process, or no descriptor is left.
    pub fn open(pid: i32) -> io::Result<Self> {
        let pid = rustix::process::Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?))
    }

    /// Sends a signal. A process that has just ended is no error.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // SAFETY: plain numbers and a null pointer for the optional siginfo; the descriptor is open.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal.number(),
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
    }
}

impl From<OwnedFd> for Pidfd {
    /// Takes over a descriptor of a process, just made by the kernel.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Looks at a child, or reaps it; `None` when it lives or there is none.
///
/// # Errors
/// `ECHILD` when there is no such child at all, with everything else the kernel reports.
pub fn wait(child: Child<'_>) -> io::Result<Option<Death>> {
    let (kind, id, options) = match child {
        Child::Peek => (libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT),
        Child::Zombie(pid) => (libc::P_PID, pid, libc::WEXITED | libc::WNOHANG),
        Child::Held(pidfd) => (libc::P_PIDFD, pidfd.0.as_raw_fd(), libc::WEXITED | libc::WNOHANG),
        Child::Awaited(pidfd) => (libc::P_PIDFD, pidfd.0.as_raw_fd(), libc::WEXITED),
    };
    // SAFETY: an all-zero siginfo_t is valid: it holds numbers only.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: `info` is writable for the whole call.
        let result = unsafe { libc::waitid(kind, id.cast_unsigned(), &raw mut info, options) };
        if result == 0 {
            return Ok(death(&info));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
    }
}

/// What a filled `siginfo_t` says; with no child to report its number is zero.
fn death(info: &libc::siginfo_t) -> Option<Death> {
    // SAFETY: waitid fills the child's members, and the zeroed rest reads as zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let exit = if info.si_code == libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) };
    (pid != 0).then_some(Death { pid, exit })
}

/// Whether anybody is left in a process group that we led; asked right after its leader was reaped.
#[must_use]
pub fn group_alive(pgid: i32) -> bool {
    let Some(pgid) = rustix::process::Pid::from_raw(pgid) else { return false };
    // A group of another user's processes is refused, and so it exists.
    rustix::process::test_kill_process_group(pgid) != Err(rustix::io::Errno::SRCH)
}
