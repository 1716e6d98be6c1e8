//! Creating a socket, binding it and listening (circus-sockets).
//!
//! May look up a name and knock at a path, so none of it runs on the decision thread.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::{Arc, Mutex},
};

use circus_common::config::{Place, SocketConfig, SocketKind};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, socket_with,
        sockopt,
    },
};

use super::{
    managed::{Bound, Descriptor, LOWEST, Managed, UnixFile, set_mode},
    path, protocol,
};
use crate::os::ipc::SocketFile;

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such host.
    #[error("cannot look up `{host}`")]
    Host {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The name has no address of that family.
    #[error("`{host}` has no address of {family}")]
    NoAddress {
        /// The name.
        host: String,
        /// The family.
        family: &'static str,
    },
    /// There is no such protocol.
    #[error("there is no protocol `{0}`")]
    Protocol(String),
    /// Something is at the path; the text is Circus'.
    #[error(
        "'{0}' already exists. You might want to remove it. If it's a stalled socket file, just restart Circus"
    )]
    Exists(String),
    /// The address cannot be had; the text is Circus'.
    #[error("Could not bind {place}")]
    Bind {
        /// The address.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("cannot {step}")]
    System {
        /// What was tried.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    /// The whole of it in one line, for answers.
    pub fn in_full(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }
}

fn refused<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> OpenError {
    move |source| OpenError::System { step, source: source.into() }
}

/// Opens a socket. What is at its address and belongs to `before`, the sockets about to be closed, is no obstacle:
/// both share the address until then.
pub fn open(config: &SocketConfig, before: &[Arc<Managed>]) -> Result<Managed, OpenError> {
    match &config.place {
        Place::Inet { v6, host, port } => open_inet(config, resolve(host, *port, *v6)?, before),
        Place::Unix { path, umask, replace } => open_unix(config, Path::new(path), *umask, *replace, before),
    }
}

fn open_inet(
    config: &SocketConfig,
    address: SocketAddr,
    before: &[Arc<Managed>],
) -> Result<Managed, OpenError> {
    let olds: Vec<Descriptor> = before.iter().flat_map(Managed::bound_descriptors).collect();
    let fd = create(config, address)?;
    if config.so_reuseport {
        // Its slots' own sockets are to be bound while those of the old one are still in use.
        for old in &olds {
            sockopt::set_socket_reuseport(old, true).map_err(refused("share its port"))?;
        }
        return Ok(Managed::new(fd, Bound::Inet(address), config));
    }
    let could_not = |source: Errno| OpenError::Bind { place: address.to_string(), source: source.into() };
    let bound = bind(&fd, &address).and_then(|()| listen_if(&fd, config));
    let bound = match bound {
        Err(Errno::ADDRINUSE) if !olds.is_empty() => bind_shared(&fd, config, address, &olds),
        other => other,
    };
    bound.map_err(could_not)?;
    let address = local_address(&fd).unwrap_or(address);
    Ok(Managed::new(fd, Bound::Inet(address), config))
}

/// Binds where another listens that is about to go: for the moment of binding all of them share the port.
fn bind_shared(
    fd: &OwnedFd,
    config: &SocketConfig,
    address: SocketAddr,
    olds: &[Descriptor],
) -> Result<(), Errno> {
    let shared = olds.iter().filter(|old| sockopt::socket_reuseport(old) == Ok(false));
    let plain: Vec<&Descriptor> = shared.collect();
    plain.iter().try_for_each(|old| sockopt::set_socket_reuseport(old, true))?;
    sockopt::set_socket_reuseport(fd, true)?;
    let bound = bind(fd, &address).and_then(|()| listen_if(fd, config));
    plain.iter().try_for_each(|old| sockopt::set_socket_reuseport(old, false))?;
    sockopt::set_socket_reuseport(fd, false)?;
    bound
}

/// A socket of its own for one slot.
pub fn listener(config: &SocketConfig, address: SocketAddr) -> Result<OwnedFd, OpenError> {
    let could_not = |source: Errno| OpenError::Bind { place: address.to_string(), source: source.into() };
    let fd = create(config, address)?;
    bind(&fd, &address).map_err(could_not)?;
    listen_if(&fd, config).map_err(could_not)?;
    Ok(fd)
}

fn create(config: &SocketConfig, address: SocketAddr) -> Result<OwnedFd, OpenError> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let fd = new(config, family)?;
    if let Some(interface) = &config.interface {
        let device = nix::sys::socket::sockopt::BindToDevice;
        nix::sys::socket::setsockopt(&fd, device, &interface.into())
            .map_err(refused("bind to the interface"))?;
    }
    if config.so_reuseport {
        sockopt::set_socket_reuseport(&fd, true).map_err(refused("share its port"))?;
    }
    Ok(fd)
}

/// A socket in the range of managed ones, with what all have in common.
fn new(config: &SocketConfig, family: AddressFamily) -> Result<OwnedFd, OpenError> {
    let protocol = match &config.proto {
        Some(name) => protocol::number(name).ok_or_else(|| OpenError::Protocol(name.clone()))?,
        None => 0,
    };
    let blocking = if config.blocking { SocketFlags::empty() } else { SocketFlags::NONBLOCK };
    let protocol = std::num::NonZero::new(protocol).map(Protocol::from_raw);
    let fd = socket_with(family, type_of(config.kind), SocketFlags::CLOEXEC | blocking, protocol)
        .map_err(refused("create a socket"))?;
    let fd = high(fd)?;
    sockopt::set_socket_reuseaddr(&fd, true).map_err(refused("reuse its address"))?;
    Ok(fd)
}

/// Moves a descriptor into the range of managed sockets.
pub fn high(fd: OwnedFd) -> Result<OwnedFd, OpenError> {
    rustix::io::fcntl_dupfd_cloexec(fd, LOWEST).map_err(refused("move it to a descriptor from 64 up"))
}

/// The kernel's name of a type.
pub const fn type_of(kind: SocketKind) -> SocketType {
    match kind {
        SocketKind::Stream => SocketType::STREAM,
        SocketKind::Datagram => SocketType::DGRAM,
        SocketKind::Raw => SocketType::RAW,
        SocketKind::ReliableDatagram => SocketType::RDM,
        SocketKind::SeqPacket => SocketType::SEQPACKET,
    }
}

fn listen_if(fd: &OwnedFd, config: &SocketConfig) -> Result<(), Errno> {
    if config.kind.listens() { rustix::net::listen(fd, backlog(config)) } else { Ok(()) }
}

/// Listens, once more if it does already: that sets the backlog.
pub fn listen(fd: impl AsFd, config: &SocketConfig) -> io::Result<()> {
    Ok(rustix::net::listen(fd, backlog(config))?)
}

fn backlog(config: &SocketConfig) -> i32 {
    i32::try_from(config.backlog).unwrap_or(i32::MAX)
}

/// The address of a name: for IPv4 the first of IPv4, for IPv6 the first of IPv6.
pub fn resolve(host: &str, port: u16, v6: bool) -> Result<SocketAddr, OpenError> {
    let mut found =
        (host, port).to_socket_addrs().map_err(|source| OpenError::Host { host: host.to_owned(), source })?;
    let family = if v6 { "IPv6" } else { "IPv4" };
    found
        .find(|address| address.is_ipv6() == v6)
        .ok_or_else(|| OpenError::NoAddress { host: host.to_owned(), family })
}

/// Where a socket is bound, if that is an internet address.
pub fn local_address(fd: impl AsFd) -> Option<SocketAddr> {
    SocketAddr::try_from(getsockname(fd).ok()?).ok()
}

/// The path a socket is bound at, if it is one of Unix.
pub fn local_path(fd: impl AsFd) -> Option<String> {
    let address = SocketAddrUnix::try_from(getsockname(fd).ok()?).ok()?;
    Some(address.path()?.to_str().ok()?.to_owned())
}

fn open_unix(
    config: &SocketConfig,
    path: &Path,
    umask: Option<u16>,
    replace: bool,
    before: &[Arc<Managed>],
) -> Result<Managed, OpenError> {
    let text = path.display().to_string();
    let could_not = |source: io::Error| OpenError::Bind { place: text.clone(), source };
    let fd = new(config, AddressFamily::UNIX)?;
    let taken_over = before.iter().any(|before| match &before.bound {
        Bound::Unix { path: old, file } => old == path && file.is_some(),
        Bound::Inet(_) => false,
    });
    let at = if taken_over {
        path::beside(path)
    } else {
        path::make_room(path, config.kind, replace)?;
        path.to_owned()
    };
    if let Some(mask) = umask {
        // The file is made with the mode of the socket, less circusd's mask: never wider than asked for, not even for
        // a moment, and without a change of the mask of the whole process.
        let mode = rustix::fs::Mode::from_raw_mode(0o777 & !u32::from(mask));
        rustix::fs::fchmod(&fd, mode).map_err(refused("set its mode"))?;
    }
    let address = SocketAddrUnix::new(&at).map_err(|error| could_not(error.into()))?;
    bind(&fd, &address).map_err(|error| could_not(error.into()))?;
    // From here on the file goes when something fails.
    let file = SocketFile::of(&at).map_err(could_not)?;
    if let Some(mask) = umask {
        set_mode(&at, mask).map_err(refused("set its mode"))?;
    }
    listen_if(&fd, config).map_err(|error| could_not(error.into()))?;
    let file = Some(UnixFile { at, file: Mutex::new(file) });
    Ok(Managed::new(fd, Bound::Unix { path: path.to_owned(), file }, config))
}
