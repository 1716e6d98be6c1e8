//! Why a spawn failed, in Python's words.

use std::io;

use super::{child::Step, plan};
use crate::arbiter::{effect::SpawnSpec, input::SpawnFailure};

/// The failure of one step of the child.
pub fn of_step(spec: &SpawnSpec, step: Option<Step>, errno: i32, detail: i32) -> SpawnFailure {
    let base = python_text(errno);
    let text = match step {
        Some(Step::Exec) => format!("{base}: '{}'", plan::program(spec).unwrap_or_default()),
        Some(Step::WorkingDir) => format!("{base}: '{}'", spec.working_dir),
        Some(Step::Limit) => {
            let limit = usize::try_from(detail).ok().and_then(|place| spec.rlimits.get(place));
            format!("cannot set rlimit_{}: {base}", limit.map_or("nofile", |(name, _)| name))
        }
        Some(Step::Session) => format!("cannot lead a session: {base}"),
        Some(Step::Descriptors) => format!("cannot set up descriptors: {base}"),
        Some(Step::Group) => format!("cannot set the group: {base}"),
        Some(Step::Groups) => format!("cannot set the supplementary groups: {base}"),
        Some(Step::User) => format!("cannot set the user: {base}"),
        Some(Step::Verify) => format!("the user or group was not taken: {base}"),
        None => base,
    };
    SpawnFailure { text, machine: is_machine(errno) }
}

/// The failure to create a process at all.
pub fn of_clone(error: &io::Error) -> SpawnFailure {
    let errno = error.raw_os_error().unwrap_or(0);
    let hint = if matches!(errno, libc::EPERM | libc::ENOSYS | libc::EINVAL) {
        " (a container's seccomp profile must allow clone with CLONE_PIDFD)"
    } else {
        ""
    };
    SpawnFailure {
        text: format!("cannot create a process: {}{hint}", python_text(errno)),
        machine: is_machine(errno),
    }
}

/// The failure to make its pipes.
pub fn of_pipes(error: &io::Error) -> SpawnFailure {
    let errno = error.raw_os_error().unwrap_or(0);
    SpawnFailure { text: format!("cannot make a pipe: {}", python_text(errno)), machine: is_machine(errno) }
}

/// What cannot be tried at all.
pub const fn of_text(text: String) -> SpawnFailure {
    SpawnFailure { text, machine: false }
}

/// `[Errno 2] No such file or directory`.
pub fn python_text(errno: i32) -> String {
    let text = io::Error::from_raw_os_error(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("[Errno {errno}] {text}")
}

const fn is_machine(errno: i32) -> bool {
    matches!(errno, libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE)
}
