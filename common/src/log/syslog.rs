//! Syslog as far as a log needs it: one datagram a line, `<PRIORITY>` in front, over UDP or a unix socket.
//!
//! A daemon that was restarted is found again; a name that does not resolve is asked for again only after a while,
//! since each question may take seconds.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use super::level::Level;
use crate::syslog::{Facility, SyslogAddress};

/// How long a host that could not be reached is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// A connection to a syslog daemon, made when the first line is sent.
#[derive(Debug)]
pub(super) struct Syslog {
    to: SyslogAddress,
    facility: Facility,
    link: Link,
}

#[derive(Debug)]
enum Link {
    Down,
    /// The last try failed; the next is not before this moment.
    Paused {
        until: Instant,
    },
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) const fn new(to: SyslogAddress, facility: Facility) -> Self {
        Self { to, facility, link: Link::Down }
    }

    /// Sends one line. A broken link is made anew once.
    pub(super) fn send(&mut self, level: Level, line: &str) -> io::Result<()> {
        let datagram = format!("<{}>{line}", u32::from(self.facility.number()) * 8 + level.severity());
        let fresh = !matches!(self.link, Link::Unix(_) | Link::Udp(_));
        self.connect()?;
        match self.transmit(datagram.as_bytes()) {
            Ok(()) => Ok(()),
            Err(error) if fresh => {
                self.link = Link::Down;
                Err(error)
            }
            Err(_) => {
                self.link = Link::Down;
                self.connect()?;
                self.transmit(datagram.as_bytes())
            }
        }
    }

    fn transmit(&self, datagram: &[u8]) -> io::Result<()> {
        let sent = match &self.link {
            Link::Down | Link::Paused { .. } => return Err(io::ErrorKind::NotConnected.into()),
            Link::Unix(socket) => socket.send(datagram),
            Link::Udp(socket) => socket.send(datagram),
        };
        sent.map(drop)
    }

    fn connect(&mut self) -> io::Result<()> {
        match &self.link {
            Link::Unix(_) | Link::Udp(_) => return Ok(()),
            Link::Paused { until } if now() < *until => return Err(io::ErrorKind::HostUnreachable.into()),
            Link::Down | Link::Paused { .. } => {}
        }
        self.link = match &self.to {
            SyslogAddress::Path(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                Link::Unix(socket)
            }
            SyslogAddress::Host { host, port } => match udp(host, *port) {
                Ok(socket) => Link::Udp(socket),
                Err(error) => {
                    self.link = Link::Paused { until: now() + PAUSE };
                    return Err(error);
                }
            },
        };
        Ok(())
    }
}

/// A socket to the first of a host's addresses that can be sent to. Looks the name up, so it may take its time.
///
/// # Errors
/// When there is none.
pub fn udp(host: &str, port: u16) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the log thread is an edge of its own, and nothing is decided by this"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &std::path::Path) -> SyslogAddress {
        SyslogAddress::Path(path.display().to_string())
    }

    fn received(receive: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> String {
        let mut buffer = [0; 1024];
        let length = receive(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_line_goes_to_a_unix_socket_with_its_priority() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(at(&path), Facility::DAEMON);
        syslog.send(Level::Error, "hello").unwrap();
        assert_eq!(received(|buffer| daemon.recv(buffer)), "<27>hello");
    }

    #[test]
    fn a_restarted_daemon_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(at(&path), Facility::USER);
        syslog.send(Level::Info, "one").unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.send(Level::Info, "lost").is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        syslog.send(Level::Info, "two").unwrap();
        assert_eq!(received(|buffer| second.recv(buffer)), "<14>two");
    }

    #[test]
    fn a_line_goes_to_a_udp_port() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = daemon.local_addr().unwrap().port();
        let mut syslog = Syslog::new(
            SyslogAddress::Host { host: "localhost".to_owned(), port },
            Facility::parse("local7").unwrap(),
        );
        syslog.send(Level::Debug, "hello").unwrap();
        assert_eq!(received(|buffer| daemon.recv(buffer)), "<191>hello");
    }

    #[test]
    fn a_host_that_does_not_resolve_is_left_alone_for_a_while() {
        let mut syslog =
            Syslog::new(SyslogAddress::Host { host: "no such host".to_owned(), port: 1 }, Facility::USER);
        assert!(syslog.send(Level::Info, "x").is_err());
        assert_eq!(syslog.send(Level::Info, "x").unwrap_err().kind(), io::ErrorKind::HostUnreachable);
    }
}
