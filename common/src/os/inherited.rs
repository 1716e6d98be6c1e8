//! Descriptors that a process was born with: known by number only.

use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd, RawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// A second descriptor of what stands behind that number, which is closed with its value and not handed on.
///
/// # Errors
/// When nothing stands behind it, or the system refuses.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is borrowed for one system call, which says EBADF when there is nothing behind the number.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(rustix::io::fcntl_dupfd_cloexec(borrowed, 0)?)
}

/// The descriptor as something to wait for until it can be read. Needs the runtime.
///
/// # Errors
/// When it is of a kind that cannot be waited for.
pub fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor, which stays open and the same until the `AsyncFd` drops it.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(fd?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_is_open_is_duplicated_and_what_is_not_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_ne!(duplicate(file.as_raw_fd()).unwrap().as_raw_fd(), file.as_raw_fd());
        for nothing in [-1, i32::MAX] {
            assert!(duplicate(nothing).is_err());
        }
    }
}
