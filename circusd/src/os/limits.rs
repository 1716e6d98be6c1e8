//! What the kernel grants: descriptors for circusd itself, and the names of limits for its processes.

use std::io;

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::{SigHandler, Signal, signal},
};
use rustix::io::Errno;

/// The oldest kernel with everything that supervision stands on (pidfd poll, `P_PIDFD`).
const MINIMUM_KERNEL: (u32, u32) = (5, 4);

/// The limits on open descriptors that circusd was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// What its processes get as soft limit.
    pub soft: u64,
    /// What nobody may exceed; circusd's own soft limit from now on.
    pub hard: u64,
}

/// Raises the soft limit on descriptors to the hard one, and says what it was.
///
/// # Errors
/// When the limit cannot be read or set.
pub fn raise_descriptors() -> io::Result<Descriptors> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(Descriptors { soft, hard })
}

/// Marks every descriptor above 2 that circusd was started with, so that no process inherits it.
///
/// # Errors
/// When the descriptors cannot be listed.
pub fn keep_descriptors_to_ourselves() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(fd) = number.filter(|fd| *fd > 2) {
            // SAFETY: takes numbers only. One that is closed meanwhile is refused, which is as good.
            let _refused = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

/// Checks the kernel's age and that descriptors of processes are to be had.
///
/// # Errors
/// The one message that tells what is missing.
pub fn check_kernel() -> Result<(), String> {
    let release = nix::sys::utsname::uname().map_err(|error| error.to_string())?;
    let release = release.release().to_string_lossy();
    if version(&release).is_some_and(|found| found < MINIMUM_KERNEL) {
        return Err(format!("Linux {release} is too old: circusd needs 5.4 or later"));
    }
    let opened = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
    match opened {
        Ok(_) => Ok(()),
        Err(error @ (Errno::PERM | Errno::NOSYS)) => Err(format!(
            "pidfd_open is refused ({error}): a container's seccomp profile must allow pidfd_open and clone"
        )),
        Err(error) => Err(format!("cannot open a descriptor of a process: {error}")),
    }
}

/// Lets a write beyond the limit on the size of files (`RLIMIT_FSIZE`) fail like any other: without this the first
/// line too many in a log would end circusd.
///
/// # Errors
/// When the system refuses.
pub fn survive_large_files() -> io::Result<()> {
    // SAFETY: no handler is installed, so nothing runs in a signal.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
    Ok(())
}

/// Major and minor number of a kernel release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The kernel's number of a limit by its lower-case name, the names being Python's.
#[must_use]
pub fn resource(name: &str) -> Option<u32> {
    let number = match name {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" | "ofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    };
    #[expect(clippy::useless_conversion, reason = "musl types the constants differently")]
    u32::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_release_is_read_with_any_suffix() {
        for (text, found) in [
            ("6.18.44-fc", Some((6, 18))),
            ("5.4", Some((5, 4))),
            ("4.19.0+", Some((4, 19))),
            ("weird", None),
        ] {
            assert_eq!(version(text), found, "{text}");
        }
    }

    #[test]
    fn this_kernel_is_new_enough() {
        assert_eq!(check_kernel(), Ok(()));
    }

    #[test]
    fn an_unknown_limit_has_no_number() {
        assert_eq!(resource("nofile"), Some(libc::RLIMIT_NOFILE));
        assert_eq!(resource("zz"), None);
    }
}
