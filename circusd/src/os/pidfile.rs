//! The pid file: says who runs, and lets only one run.
//!
//! The file holds `PID\n`, readable for all, and is locked for as long as circusd lives: so two that start at the
//! same moment cannot both win, whatever the file says. A file that names a living process is respected even
//! without a lock (Python's circusd takes none); one that names a dead process, nothing or garbage is taken over.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

use nix::{errno::Errno, sys::signal, unistd::Pid};
use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno as Held,
};

use super::{procfs, trusted_open};

/// How often a file that vanishes between its opening and its locking is opened again.
const TRIES: usize = 16;
/// More text than this is no pid.
const TEXT_LIMIT: u64 = 64;

/// A pid file that is ours.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    /// Holds the lock.
    file: File,
    pid: u32,
}

/// Why there is no pid file.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// Another process has it. The number is the one of the process that was refused, as Circus prints it.
    #[error("pid file '{}' is stale, current pid {pid}", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// Our own pid.
        pid: u32,
    },
    /// The directory is missing.
    #[error("{} doesn't exist. Can't create pidfile", directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The path names something that cannot hold a pid.
    #[error("pid file '{}' is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write the pid file '{}'", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Pidfile {
    /// Takes the file for this process.
    ///
    /// # Errors
    /// Another process has it, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, PidfileError> {
        let pid = process::id();
        if let Some(directory) = path.parent().filter(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()) {
            return Err(PidfileError::NoDirectory { directory: directory.to_owned() });
        }
        let failed = |source| PidfileError::Io { path: path.to_owned(), source };
        let taken = || PidfileError::Taken { path: path.to_owned(), pid };
        for _ in 0..TRIES {
            let mut file = trusted_open::read_write(path).map_err(failed)?;
            if !file.metadata().map_err(failed)?.is_file() {
                return Err(PidfileError::NotAFile { path: path.to_owned() });
            }
            // A lock of this process alone: a child that is being made has the file too, and may outlive us for a moment.
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Held::AGAIN | Held::ACCESS) => return Err(taken()),
                Err(source) => return Err(failed(source.into())),
            }
            // The owner before us removed it in between: what we locked has no name any more.
            if !is_at(&file, path) {
                continue;
            }
            if read_pid(&mut file).is_some_and(|other| other != pid && is_alive(other)) {
                return Err(taken());
            }
            write_pid(&mut file, pid).map_err(failed)?;
            return Ok(Self { path: path.to_owned(), file, pid });
        }
        Err(taken())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Pidfile {
    /// Removes the file if it is still the one we made and still names us.
    fn drop(&mut self) {
        let ours = process::id() == self.pid && is_at(&self.file, &self.path);
        if ours && read_pid(&mut self.file) == Some(self.pid) {
            // Nobody is left to tell: the next start takes the file over anyway.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(TEXT_LIMIT).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Whether a process of that number runs, ours to signal or not. A zombie does not: it waits for its parent only.
fn is_alive(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| {
        let there = signal::kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH);
        there && procfs::Stat::of(pid).is_none_or(|stat| stat.lives())
    })
}

fn write_pid(file: &mut File, pid: u32) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    // Not synced: after a power cut it names nobody anyway, and a running daemon must not wait for the disk.
    file.write_all(format!("{pid}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("circusd.pid");
        (dir, path)
    }

    #[test]
    fn it_holds_the_pid_and_is_readable_for_all() {
        let (_dir, path) = place();
        let _pidfile = Pidfile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
    }

    #[test]
    fn it_is_gone_when_circusd_is() {
        let (_dir, path) = place();
        drop(Pidfile::create(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_names_somebody_else_by_now_is_left_alone() {
        let (_dir, path) = place();
        let pidfile = Pidfile::create(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(pidfile);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_file_put_in_the_place_of_ours_is_left_alone() {
        let (_dir, path) = place();
        let pidfile = Pidfile::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, format!("{}\n", process::id())).unwrap();
        drop(pidfile);
        assert!(path.exists());
    }

    #[test]
    fn a_living_process_keeps_its_file() {
        let (_dir, path) = place();
        fs::write(&path, "1\n").unwrap();
        let error = Pidfile::create(&path).unwrap_err();
        let expected = format!("pid file '{}' is stale, current pid {}", path.display(), process::id());
        assert_eq!(error.to_string(), expected);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn what_names_no_living_process_is_taken_over() {
        for text in ["", "0", "-1", "garbage", "\u{fffd}\0", "2147483646\n", "99999999999999999999", " \n"] {
            let (_dir, path) = place();
            fs::write(&path, text).unwrap();
            let _pidfile = Pidfile::create(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()), "{text:?}");
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let error = Pidfile::create(Path::new("/nowhere/at/all/circusd.pid")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/at/all doesn't exist. Can't create pidfile");
    }

    #[test]
    fn a_device_is_refused_and_keeps_its_mode() {
        let before = fs::metadata("/dev/null").unwrap().mode();
        let error = Pidfile::create(Path::new("/dev/null")).unwrap_err();
        assert!(matches!(error, PidfileError::NotAFile { .. }), "{error}");
        assert_eq!(fs::metadata("/dev/null").unwrap().mode(), before);
    }
}
