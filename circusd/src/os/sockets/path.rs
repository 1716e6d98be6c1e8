//! What may be at the path of a Unix socket before it is bound.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use circus_common::config::SocketKind;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, connect, socket_with},
};

use super::open::{OpenError, type_of};

/// Makes room at a path: a socket that nobody listens at any more is removed, with `replace` whatever is there.
///
/// # Errors
/// When something is there that may not be removed.
pub fn make_room(path: &Path, kind: SocketKind, replace: bool) -> Result<(), OpenError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OpenError::Bind { place: path.display().to_string(), source }),
    };
    let stale = found.file_type().is_socket() && is_deserted(path, kind);
    if !replace && !stale {
        return Err(OpenError::Exists(path.display().to_string()));
    }
    fs::remove_file(path).map_err(|source| OpenError::Bind { place: path.display().to_string(), source })
}

/// Whether nobody answers there: a connection is refused. Anything else is somebody.
fn is_deserted(path: &Path, kind: SocketKind) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let knock = || {
        let socket = socket_with(AddressFamily::UNIX, type_of(kind), flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)
    };
    knock() == Err(Errno::CONNREFUSED)
}

/// A free path in the same directory, to be renamed to that one.
pub fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".c{:06x}", fastrand::u32(..1 << 24)))
}
