//! Sockets that whoever started circusd has opened for it, by the convention of systemd (`LISTEN_FDS`).

use std::{
    env,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use circus_common::config::{Place, SocketConfig};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::sockopt,
};

use super::{
    managed::{Bound, Managed},
    open::{self, OpenError},
};
use crate::os::environment;

/// The first of them.
const FIRST: RawFd = 3;

/// More than anybody hands over.
const MOST: i32 = 1024;

/// A socket that was open when circusd began.
#[derive(Debug)]
pub struct Inherited {
    /// Its name, or nothing.
    pub name: String,
    fd: OwnedFd,
}

impl Inherited {
    /// Takes all of them, and the variables out of the environment. Call it before any thread starts and before
    /// anything is opened.
    #[must_use]
    pub fn take() -> Vec<Self> {
        let number = |name: &str| env::var(name).ok()?.parse::<i32>().ok();
        let for_us = number("LISTEN_PID").is_some_and(|pid| pid == std::process::id().cast_signed());
        let count = number("LISTEN_FDS").filter(|_| for_us).unwrap_or(0).clamp(0, MOST);
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].into_iter().for_each(environment::remove);
        let mut names = names.split(':').map(str::to_owned);
        (FIRST..FIRST + count).filter_map(|fd| Self::of(fd, names.next().unwrap_or_default())).collect()
    }

    fn of(fd: RawFd, name: String) -> Option<Self> {
        // SAFETY: asks about a number only.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return None;
        }
        // SAFETY: it is open, and by the convention it is ours; nothing was opened by us before.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fcntl_setfd(&fd, FdFlags::CLOEXEC).ok()?;
        Some(Self { name, fd })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Whether it is the socket of this section: of its type, and of its name or at its address.
    pub fn is(&self, config: &SocketConfig) -> bool {
        let same_type = sockopt::socket_type(&self.fd).is_ok_and(|found| found == open::type_of(config.kind));
        // Each slot wants one of its own.
        !config.so_reuseport
            && same_type
            && (self.name.to_lowercase() == config.name || self.is_at(&config.place))
    }

    fn is_at(&self, place: &Place) -> bool {
        match place {
            Place::Inet { v6, host, port } => {
                let local = open::local_address(&self.fd).filter(|local| *port != 0 && local.port() == *port);
                local.is_some_and(|local| open::resolve(host, *port, *v6).is_ok_and(|wanted| wanted == local))
            }
            Place::Unix { path, .. } => open::local_path(&self.fd).is_some_and(|local| local == *path),
        }
    }

    /// Makes it the socket of this section.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn into_managed(self, config: &SocketConfig) -> Result<Managed, OpenError> {
        let refused = |step| move |error: rustix::io::Errno| OpenError::System { step, source: error.into() };
        let fd = open::high(self.fd)?;
        rustix::io::ioctl_fionbio(&fd, !config.blocking).map_err(refused("set its mode of waiting"))?;
        if config.kind.listens() {
            open::listen(fd.as_fd(), config)
                .map_err(|source| OpenError::System { step: "listen on it", source })?;
        }
        let bound = match (open::local_address(&fd), open::local_path(&fd)) {
            (Some(address), _) => Bound::Inet(address),
            (None, path) => {
                let wanted = match &config.place {
                    Place::Unix { path, .. } => path.clone(),
                    Place::Inet { .. } => String::new(),
                };
                // Its file belongs to whoever made it.
                Bound::Unix { path: path.unwrap_or(wanted).into(), file: None }
            }
        };
        Ok(Managed::new(fd, bound, config))
    }

    /// Where it is bound, for messages.
    pub fn address(&self) -> String {
        let address = open::local_address(&self.fd).map(|address: SocketAddr| address.to_string());
        address.or_else(|| open::local_path(&self.fd)).unwrap_or_else(|| "no address".to_owned())
    }
}
