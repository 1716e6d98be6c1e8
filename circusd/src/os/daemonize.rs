//! Going into the background, with an answer for the one who asked.
//!
//! [`daemonize`] forks twice around a new session, so that the daemon has no terminal and can get none. The first
//! parent stays until the daemon says through a pipe that it is ready, or why it will never be, and ends with
//! that answer: `circusd --daemon && ...` means what it says. Directory and umask stay as they are.
//!
//! Descriptors 0, 1 and 2 go to /dev/null only once the daemon is ready: until then its log reaches the terminal.
//!
//! Invariant: called before any thread exists, and it checks that; a fork copies one thread only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd, RawFd},
    process,
};

use circus_common::complain;
use rustix::{
    io::Errno,
    pipe::{PipeFlags, pipe_with},
    stdio,
};

/// The first byte of the daemon's message: everything is bound.
const READY: u8 = 0;
/// The exit code when the daemon ended without a word.
const SILENT: u8 = 1;
/// More than this the first parent does not print.
const MESSAGE_LIMIT: u64 = 1 << 20;

/// Why the process could not go into the background.
#[derive(Debug, thiserror::Error)]
pub enum DaemonizeError {
    /// A fork would lose threads.
    #[error("cannot go into the background: {count} threads run already")]
    Threads {
        /// How many run.
        count: usize,
    },
    /// The system refused.
    #[error("cannot go into the background: cannot {step}")]
    System {
        /// What was tried.
        step: &'static str,
        /// Why it was refused.
        source: io::Error,
    },
}

/// Whom to tell that circusd is ready, or that it never will be.
#[derive(Debug)]
#[must_use = "the one who started the daemon waits for it"]
pub struct Readiness {
    /// The pipe to the first parent, until it was told. `None` in the foreground too.
    parent: Option<OwnedFd>,
}

impl Readiness {
    /// Nobody waits: circusd runs in the foreground.
    pub const fn foreground() -> Self {
        Self { parent: None }
    }

    /// The endpoints are bound. In the background this leaves the terminal and lets the first parent end with 0.
    /// Saying it twice changes nothing.
    ///
    /// # Errors
    /// /dev/null cannot be put in the place of the terminal. The parent is told all the same.
    pub fn ready(&mut self) -> io::Result<()> {
        let Some(parent) = self.parent.take() else { return Ok(()) };
        let left = leave_terminal();
        tell(parent, &[READY]);
        left
    }

    /// circusd ends before it was ever ready: `text` is printed as `circusd: TEXT` by whoever has the terminal,
    /// and in the background the first parent ends with `code` (0 counts as 1). After [`Readiness::ready`] the text
    /// goes to our own stderr.
    pub fn failed(self, text: &str, code: u8) {
        match self.parent {
            Some(parent) => {
                let mut message = vec![code.max(SILENT)];
                message.extend_from_slice(format!("circusd: {text}\n").as_bytes());
                tell(parent, &message);
            }
            None => complain("circusd", &text),
        }
    }
}

/// Puts this program into the background. Returns in the daemon only; the process that called ends here, once it
/// was told how the start went. Of what is open besides 0, 1 and 2 the daemon keeps what `keep` names.
///
/// # Errors
/// Threads run already, or the system refuses a pipe, a fork or a session.
pub fn daemonize(keep: &[RawFd]) -> Result<Readiness, DaemonizeError> {
    let count = threads();
    if count != 1 {
        return Err(DaemonizeError::Threads { count });
    }
    let failed = |step| move |source: Errno| DaemonizeError::System { step, source: source.into() };
    let (answer, parent) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("make a pipe"))?;
    // What is buffered would be written once by each copy of this process.
    let _ = io::stdout().flush();
    if fork()? == Side::Parent {
        drop(parent);
        end_as_told(answer);
    }
    drop(answer);
    rustix::process::setsid().map_err(failed("begin a session"))?;
    if fork()? == Side::Parent {
        leave_quietly();
    }
    close_inherited(keep.iter().copied().chain([parent.as_raw_fd()]).collect());
    Ok(Readiness { parent: Some(parent) })
}

/// Which of the two a process is after a fork.
#[derive(PartialEq, Eq)]
enum Side {
    Parent,
    Child,
}

fn fork() -> Result<Side, DaemonizeError> {
    // SAFETY: this is the only thread (checked by `daemonize`), so the child has all there was and no lock is held
    // by anybody who is missing in it.
    match unsafe { libc::fork() } {
        -1 => Err(DaemonizeError::System { step: "fork", source: io::Error::last_os_error() }),
        0 => Ok(Side::Child),
        _ => Ok(Side::Parent),
    }
}

/// How many threads this process has; 1 if /proc cannot tell.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count().max(1))
}

/// Waits for the daemon's answer and ends with it. End of file without an answer is a daemon that died.
fn end_as_told(answer: OwnedFd) -> ! {
    let mut message = Vec::new();
    // A read error leaves what was read; an empty message is judged below.
    let _ = File::from(answer).take(MESSAGE_LIMIT).read_to_end(&mut message);
    let code = match message.split_first() {
        Some((code, text)) => {
            let _ = io::stderr().write_all(text);
            *code
        }
        None => {
            complain("circusd", &"the daemon ended before it was ready");
            SILENT
        }
    };
    process::exit(i32::from(code))
}

/// Ends the process in the middle without running anything at exit: that belongs to the other two.
fn leave_quietly() -> ! {
    // SAFETY: `_exit` has no precondition.
    unsafe { libc::_exit(0) }
}

/// The parent may have been killed; then nobody wants to know.
fn tell(parent: OwnedFd, message: &[u8]) {
    let _ = File::from(parent).write_all(message);
}

fn leave_terminal() -> io::Result<()> {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    stdio::dup2_stdin(&null)?;
    stdio::dup2_stdout(&null)?;
    stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Closes what the caller of circusd left open by mistake: all from 3 up but `keep`.
fn close_inherited(mut keep: Vec<RawFd>) {
    keep.sort_unstable();
    let mut first = 3;
    for kept in keep.iter().map(|fd| fd.unsigned_abs()) {
        if first < kept && !close_range(first, kept - 1) {
            return close_listed(&keep);
        }
        first = first.max(kept + 1);
    }
    if !close_range(first, libc::c_uint::MAX) {
        close_listed(&keep);
    }
}

fn close_range(first: libc::c_uint, last: libc::c_uint) -> bool {
    // SAFETY: nothing in this process owns a descriptor above 2 yet except the pipe and the inherited sockets, which
    // are not in the range: `daemonize` runs first.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
}

/// For kernels before 5.9, which have no `close_range`.
fn close_listed(keep: &[RawFd]) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2 && !keep.contains(number)) {
        // SAFETY: as in `close_range`; the directory's own descriptor is closed already, a second close is EBADF.
        unsafe { libc::close(number) };
    }
}
