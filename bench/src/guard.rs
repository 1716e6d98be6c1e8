//! The guard: sees to it that nothing is left, whatever happens to the benchmark.
//!
//! The one that measures is a child of the guard, and all it starts is below it. When it ends, well or badly, or when the
//! guard is told to end, everything below is killed and the run folder removed. Should the guard itself be killed, the one
//! that measures sees its stdin end, and does the same.
#![expect(clippy::disallowed_methods, reason = "the guard runs one program, and reaps all")]

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    thread,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::{failure::Failure, tree};

/// Memory that looks like a folder: a note on the board never waits for a disk.
const SHARED_MEMORY: &str = "/dev/shm";
/// What a shell says of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Measures in a child with these arguments, and cleans up.
///
/// # Errors
/// The child cannot be run, or something does not vanish.
pub fn run(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    tree::adopt_orphans()?;
    let folder = tempfile::Builder::new().prefix("circus-bench-").tempdir_in(SHARED_MEMORY);
    let folder = folder.or_else(|_| tempfile::tempdir())?;
    let outcome = guarded(folder.path(), arguments);
    tree::end_all()?;
    folder.close()?;
    outcome
}

fn guarded(folder: &Path, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut children = signal(SignalKind::child())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut command = Command::new(env::current_exe()?);
        command.arg("measure").arg(folder).args(arguments).stdin(Stdio::piped());
        let mut child = command.spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(exit_code(status));
            }
            tokio::select! {
                _ = children.recv() => {}
                _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
                _ = terminate.recv() => return Ok(ExitCode::from(INTERRUPTED)),
                _ = hang_up.recv() => return Ok(ExitCode::from(INTERRUPTED)),
            }
        }
    })
}

fn exit_code(status: ExitStatus) -> ExitCode {
    if status.code().is_none() {
        eprintln!("bench: the one that measures was ended: {status}");
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Ends this process and everything below it, and removes the run folder, when the guard is gone.
pub fn follow(folder: PathBuf) {
    thread::spawn(move || {
        // Nothing is ever written there: it ends when the guard does.
        let _ = io::stdin().read(&mut [0]);
        let _ = tree::end_all();
        let _ = fs::remove_dir_all(folder);
        std::process::exit(i32::from(INTERRUPTED));
    });
}
