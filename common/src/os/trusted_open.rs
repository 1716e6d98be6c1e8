//! Opening files for writing where somebody else may have laid a trap.
//!
//! circusd often runs as root and writes to paths in directories of others. When root, a symbolic link in the
//! last component is followed only if root or the directory's owner owns the link and nobody else may write the
//! directory: the kernel's `protected_symlinks` rule, which is a setting there and a promise here. Every link of
//! a chain is judged by the directory it lies in, through a descriptor of that directory.
//!
//! Invariant: opening never blocks (a named pipe without a reader is an error) and never leaks into a child.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
    process::geteuid,
};

/// How many links one after the other are followed: the kernel's own number.
const LINKS_FOLLOWED: usize = 40;

/// A link that root does not follow.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is a symbolic link that root does not follow: {why}", path.display())]
struct UntrustedLink {
    path: PathBuf,
    why: &'static str,
}

/// Opens `path` for appending, creating it readable for all as far as the umask allows.
///
/// # Errors
/// What the system says, or that root does not follow a link.
pub fn append(path: &Path) -> io::Result<File> {
    open(path, OFlags::WRONLY | OFlags::APPEND, Mode::from_raw_mode(0o666))
}

/// Opens `path` for reading and writing as it is, creating it for its owner to write and all to read.
///
/// # Errors
/// What the system says, or that root does not follow a link.
pub fn read_write(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDWR, Mode::from_raw_mode(0o644))
}

/// Whether `path` leads through no link that [`append`] would not follow. Opens and makes nothing.
///
/// # Errors
/// What the system says, or that root does not follow a link.
pub fn check_links(path: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let mut at = path.to_owned();
    for _ in 0..LINKS_FOLLOWED {
        let (parent, name) = split(&at)?;
        let directory = open_directory(&parent)?;
        match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if FileType::from_raw_mode(there.st_mode) == FileType::Symlink => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        }
        judge(directory.as_fd(), &name, &at)?;
        at = target(directory.as_fd(), &parent, &name)?;
    }
    Err(Errno::LOOP.into())
}

fn open(path: &Path, access: OFlags, mode: Mode) -> io::Result<File> {
    let flags = access | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = if geteuid().is_root() {
        open_judging_links(path, flags | OFlags::NOFOLLOW, mode)?
    } else {
        rustix::fs::open(path, flags, mode)?
    };
    let flags = rustix::fs::fcntl_getfl(&file)?;
    rustix::fs::fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok(File::from(file))
}

fn open_judging_links(path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let mut at = path.to_owned();
    for _ in 0..LINKS_FOLLOWED {
        let (parent, name) = split(&at)?;
        let directory = open_directory(&parent)?;
        match rustix::fs::openat(&directory, &name, flags, mode) {
            Ok(file) => return Ok(file),
            Err(Errno::LOOP) => {}
            Err(errno) => return Err(errno.into()),
        }
        judge(directory.as_fd(), &name, &at)?;
        at = target(directory.as_fd(), &parent, &name)?;
    }
    Err(Errno::LOOP.into())
}

/// Where a link leads.
fn target(directory: BorrowedFd<'_>, parent: &Path, name: &Path) -> io::Result<PathBuf> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(parent.join(PathBuf::from(std::ffi::OsString::from_vec(target.into_bytes()))))
}

/// The directory and the last component of a path.
fn split(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let name = path.file_name().ok_or(Errno::ISDIR)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    };
    Ok((parent, PathBuf::from(name)))
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Refuses a link that somebody other than root or the owner of its directory can have made.
fn judge(directory: BorrowedFd<'_>, name: &Path, path: &Path) -> io::Result<()> {
    let link = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(link.st_mode) != FileType::Symlink {
        // Replaced since the open: the next turn opens what is there now, without following.
        return Ok(());
    }
    let place = rustix::fs::fstat(directory)?;
    let why = if link.st_uid != 0 && link.st_uid != place.st_uid {
        "neither root nor the owner of its directory owns it"
    } else if place.st_mode & 0o022 != 0 {
        "others than the owner may write its directory"
    } else {
        return Ok(());
    };
    let refusal = UntrustedLink { path: path.to_owned(), why };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, refusal))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::fs::{PermissionsExt, lchown, symlink},
    };

    use super::*;

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn skipped() -> bool {
        let skipped = !geteuid().is_root();
        if skipped {
            assert_ne!(std::env::var("CIRCUS_TESTS_REQUIRE").as_deref(), Ok("all"), "needs root");
            println!("SKIPPED trusted_open: needs root");
        }
        skipped
    }

    #[test]
    fn what_is_appended_stands_after_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "one\n").unwrap();
        append(&path).unwrap().write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn root_follows_its_own_links_in_its_own_directory() {
        let dir = tempfile::tempdir().unwrap();
        symlink("middle", dir.path().join("link")).unwrap();
        symlink("real", dir.path().join("middle")).unwrap();
        check_links(&dir.path().join("link")).unwrap();
        assert!(!dir.path().join("real").exists());
        append(&dir.path().join("link")).unwrap().write_all(b"x").unwrap();
        assert_eq!(fs::read(dir.path().join("real")).unwrap(), b"x");
    }

    #[test]
    fn root_follows_no_link_of_a_stranger() {
        if skipped() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("real", &link).unwrap();
        lchown(&link, Some(65534), None).unwrap();
        for error in [check_links(&link).unwrap_err(), append(&link).unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("neither root nor"), "{error}");
        }
        assert!(!dir.path().join("real").exists());
    }

    #[test]
    fn root_follows_no_link_where_others_may_write() {
        if skipped() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        mode(dir.path(), 0o1777);
        let link = dir.path().join("link");
        symlink("real", &link).unwrap();
        for error in [check_links(&link).unwrap_err(), read_write(&link).unwrap_err()] {
            assert!(error.to_string().contains("may write its directory"), "{error}");
        }
        // A plain file there is fine.
        check_links(&dir.path().join("plain")).unwrap();
        append(&dir.path().join("plain")).unwrap();
    }

    #[test]
    fn root_follows_a_link_of_the_owner_of_the_directory() {
        if skipped() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("real", &link).unwrap();
        lchown(&link, Some(65534), None).unwrap();
        lchown(dir.path(), Some(65534), None).unwrap();
        check_links(&link).unwrap();
        append(&link).unwrap();
        assert!(dir.path().join("real").exists());
    }

    #[test]
    fn links_in_a_circle_end_in_an_error() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(append(&dir.path().join("a")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        if geteuid().is_root() {
            assert_eq!(check_links(&dir.path().join("a")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        }
    }

    #[test]
    fn a_named_pipe_nobody_reads_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(append(&path).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    }

    #[test]
    fn a_directory_is_an_error() {
        assert!(append(Path::new("/")).is_err());
        assert!(append(Path::new("/tmp")).is_err());
        assert!(append(Path::new("/tmp/..")).is_err());
    }
}
