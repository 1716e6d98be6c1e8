//! The file of an `ipc://` endpoint: never open to others, never taken from a living daemon.
//!
//! The ZeroMQ crate deletes whatever is at the path it binds. So it binds in a fresh directory of ours, and
//! the socket is moved to its place when its mode and owner are right.
//!
//! Two daemons starting at once could still both find nobody there: the daemon's lock file keeps them apart.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::config::endpoint::MAX_IPC_PATH;
use nix::unistd::User;
use rustix::{
    fs::{Uid, chown},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

/// Who may connect: its owner alone.
const MODE: u32 = 0o600;

/// Why there can be no socket at that path.
#[derive(Debug, thiserror::Error)]
pub enum IpcError {
    /// Somebody answers there.
    #[error("a daemon is listening there already")]
    InUse,
    /// A file, a directory, a symbolic link.
    #[error("what is there is no socket; it is left alone")]
    NotASocket,
    /// The temporary name beside it would be too long for a socket.
    #[error("the path is too long for a socket: its directory may have at most {} bytes", MAX_IPC_PATH - 11)]
    TooLong,
    /// `endpoint_owner` names nobody.
    #[error("endpoint_owner `{0}` is no user of this machine")]
    UnknownOwner(String),
    /// The system refused.
    #[error("cannot {step}: {reason}")]
    System {
        /// What was to be done.
        step: &'static str,
        /// Why it could not.
        reason: io::Error,
    },
}

/// The user that `endpoint_owner` names, by name or number. Asks the system's user database: may block.
///
/// # Errors
/// When there is no such user.
pub fn owner(text: &str) -> Result<u32, IpcError> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    match User::from_name(text) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) | Err(_) => Err(IpcError::UnknownOwner(text.to_owned())),
    }
}

/// A directory of ours beside the final path, to bind in.
#[derive(Debug)]
pub struct Workshop {
    place: PathBuf,
    directory: PathBuf,
}

impl Workshop {
    /// Looks whether the path is free, or held by nobody alive, and makes the directory.
    ///
    /// # Errors
    /// When something else is there, somebody listens there, or the directory cannot be made.
    pub fn open(place: &Path) -> Result<Self, IpcError> {
        must_be_free(place)?;
        let parent = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        };
        let directory = parent.join(format!(".c{:06x}", fastrand::u32(..1 << 24)));
        if directory.as_os_str().len() + "/s".len() > MAX_IPC_PATH {
            return Err(IpcError::TooLong);
        }
        let made = DirBuilder::new().mode(0o700).create(&directory);
        made.map_err(|reason| IpcError::System { step: "make a directory beside it", reason })?;
        Ok(Self { place: place.to_owned(), directory })
    }

    /// Where to bind.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.join("s")
    }

    /// Moves the bound socket to its place, with its mode and owner. What was stale there is replaced.
    ///
    /// # Errors
    /// When the system refuses; nothing is left behind then.
    pub fn finish(self, owner: Option<u32>) -> Result<SocketFile, IpcError> {
        let made = self.path();
        let failed = |step| move |reason| IpcError::System { step, reason };
        fs::set_permissions(&made, Permissions::from_mode(MODE)).map_err(failed("set its mode"))?;
        if let Some(uid) = owner {
            let given = chown(&made, Some(Uid::from_raw(uid)), None).map_err(io::Error::from);
            given.map_err(failed("give it to endpoint_owner"))?;
        }
        let metadata = fs::symlink_metadata(&made).map_err(failed("find it"))?;
        fs::rename(&made, &self.place).map_err(failed("move it there"))?;
        Ok(SocketFile { path: self.place.clone(), device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Whatever happened, nothing of ours stays behind; what cannot be removed does no harm.
        let _ = fs::remove_file(self.path());
        let _ = fs::remove_dir(&self.directory);
    }
}

/// A socket file of ours. It goes with this value, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// Takes charge of a socket file that was just made.
    ///
    /// # Errors
    /// When it is not there.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |it: fs::Metadata| it.dev() == self.device && it.ino() == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Nothing there, or a socket on which nobody listens.
fn must_be_free(place: &Path) -> Result<(), IpcError> {
    let metadata = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(reason) => return Err(IpcError::System { step: "look what is there", reason }),
    };
    if !metadata.file_type().is_socket() {
        return Err(IpcError::NotASocket);
    }
    match knock(place) {
        Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
        // The queue of whoever listens is full.
        Ok(()) | Err(Errno::AGAIN) => Err(IpcError::InUse),
        Err(error) => {
            Err(IpcError::System { step: "see whether somebody listens there", reason: error.into() })
        }
    }
}

/// Connects without waiting.
fn knock(place: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(place)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn entries(directory: &Path) -> Vec<String> {
        let mut all: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_bound_socket_gets_its_place_and_mode_and_leaves_with_its_value() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("control");
        let workshop = Workshop::open(&place).unwrap();
        assert_eq!(fs::metadata(&workshop.directory).unwrap().mode() & 0o777, 0o700);
        let _listener = UnixListener::bind(workshop.path()).unwrap();
        let file = workshop.finish(None).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, MODE);
        assert_eq!(entries(home.path()), ["control"]);
        drop(file);
        assert!(entries(home.path()).is_empty());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("control");
        let listener = UnixListener::bind(&place).unwrap();
        assert!(matches!(Workshop::open(&place), Err(IpcError::InUse)));
        drop(listener);
        let workshop = Workshop::open(&place).unwrap();
        let _listener = UnixListener::bind(workshop.path()).unwrap();
        let _file = workshop.finish(None).unwrap();
        assert!(matches!(Workshop::open(&place), Err(IpcError::InUse)));
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for place in [file.as_path(), &link, home.path()] {
            assert!(matches!(Workshop::open(place), Err(IpcError::NotASocket)), "{}", place.display());
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        assert_eq!(entries(home.path()), ["file", "link"]);
    }

    #[test]
    fn a_file_that_another_daemon_put_there_stays() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("control");
        let workshop = Workshop::open(&place).unwrap();
        let _old = UnixListener::bind(workshop.path()).unwrap();
        let file = workshop.finish(None).unwrap();
        fs::remove_file(&place).unwrap();
        let _new = UnixListener::bind(&place).unwrap();
        drop(file);
        assert_eq!(entries(home.path()), ["control"]);
    }

    #[test]
    fn nothing_is_left_of_a_workshop_that_was_not_finished() {
        let home = tempfile::tempdir().unwrap();
        let workshop = Workshop::open(&home.path().join("control")).unwrap();
        let _listener = UnixListener::bind(workshop.path()).unwrap();
        drop(workshop);
        assert!(entries(home.path()).is_empty());
    }

    #[test]
    fn the_socket_is_given_to_its_owner() {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED the_socket_is_given_to_its_owner: needs root");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("control");
        let workshop = Workshop::open(&place).unwrap();
        let _listener = UnixListener::bind(workshop.path()).unwrap();
        let _file = workshop.finish(Some(65534)).unwrap();
        let metadata = fs::metadata(&place).unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (65534, MODE));
    }

    #[test]
    fn owners_are_numbers_or_names() {
        assert_eq!(owner("0").unwrap(), 0);
        assert_eq!(owner("root").unwrap(), 0);
        assert!(matches!(owner("no such user"), Err(IpcError::UnknownOwner(_))));
    }
}
