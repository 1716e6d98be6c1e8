//! Syslog: one datagram a line, to a unix socket or a UDP port.
//!
//! Over UDP nothing tells whether a line arrived; over the socket of this machine a daemon that is away or full keeps
//! the lines waiting, as a full disk does.

use std::{
    io::{self, Write},
    net::UdpSocket,
    os::unix::net::UnixDatagram,
};

use circus_common::{
    config::stream::{Severity, SyslogAddress, SyslogConfig},
    log::udp,
};

use super::{Sink, stamp::Stamp};
use crate::stream::{batch::Batch, order::Channel};

/// Longer lines come as several messages: what the usual daemons take.
const MESSAGE_LIMIT: usize = 8 * 1024;

/// A connection to a syslog daemon, made when there is something to say.
#[derive(Debug)]
pub(super) struct Syslog {
    address: SyslogAddress,
    priority: u32,
    ident: String,
    stamp: Stamp,
    link: Option<Link>,
    datagram: Vec<u8>,
}

#[derive(Debug)]
enum Link {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) fn new(config: &SyslogConfig, watcher: &str, channel: Channel) -> Self {
        let severity = severity(config.severity, channel);
        Self {
            address: config.address.clone(),
            priority: u32::from(config.facility.number()) * 8 + u32::from(severity.number()),
            ident: config.ident.clone().unwrap_or_else(|| watcher.to_owned()),
            // What every daemon reads, in the C locale that we never leave.
            stamp: Stamp::new("%b %e %H:%M:%S"),
            link: None,
            datagram: Vec::new(),
        }
    }

    fn connect(&mut self) -> io::Result<()> {
        if self.link.is_none() {
            self.link = Some(match &self.address {
                SyslogAddress::Path(path) => {
                    let socket = UnixDatagram::unbound()?;
                    socket.connect(path)?;
                    Link::Unix(socket)
                }
                SyslogAddress::Host { host, port } => Link::Udp(udp(host, *port)?),
            });
        }
        Ok(())
    }

    /// Sends the datagram. A daemon that was restarted has a new socket under the same name.
    fn send(&mut self) -> io::Result<()> {
        let fresh = self.link.is_none();
        self.connect()?;
        match self.transmit() {
            Err(_) if !fresh => {
                self.link = None;
                self.connect()?;
                self.transmit()
            }
            sent => sent,
        }
        .inspect_err(|_| self.link = None)
    }

    fn transmit(&self) -> io::Result<()> {
        let sent = match &self.link {
            None => return Err(io::ErrorKind::NotConnected.into()),
            Some(Link::Unix(socket)) => socket.send(&self.datagram),
            Some(Link::Udp(socket)) => socket.send(&self.datagram),
        };
        sent.map(drop)
    }
}

impl Sink for Syslog {
    fn place(&self) -> String {
        match &self.address {
            SyslogAddress::Path(path) => format!("the syslog daemon at `{path}`"),
            SyslogAddress::Host { host, port } => format!("the syslog daemon at `{host}:{port}`"),
        }
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        while let Some(line) = batch.line(MESSAGE_LIMIT) {
            let length = line.length;
            // An empty message says nothing to anybody.
            if !line.text.is_empty() {
                self.datagram.clear();
                write!(self.datagram, "<{}>", self.priority)?;
                self.stamp.write(line.segment.at, &mut self.datagram);
                write!(self.datagram, " {}[{}]: ", self.ident, line.segment.origin.pid)?;
                self.datagram.extend_from_slice(line.text);
                self.send()?;
            }
            batch.take(length);
        }
        Ok(())
    }

    fn close(&mut self) {
        self.link = None;
    }
}

/// What is configured, else what the channel is for.
pub(super) fn severity(configured: Option<Severity>, channel: Channel) -> Severity {
    configured.unwrap_or(match channel {
        Channel::Stdout => Severity::INFO,
        Channel::Stderr => Severity::ERR,
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use circus_common::config::stream::Facility;

    use super::*;
    use crate::stream::batch::Origin;

    fn syslog(address: SyslogAddress, ident: Option<&str>) -> Syslog {
        let ident = ident.map(str::to_owned);
        let config = SyslogConfig { address, facility: Facility::DAEMON, severity: None, ident };
        Syslog::new(&config, "web", Channel::Stderr)
    }

    fn batch(text: &[u8]) -> Batch {
        let origin = Origin { watcher: "web".to_owned(), wid: 1, pid: 7, channel: Channel::Stderr };
        let mut batch = Batch::default();
        batch.push(text, &Arc::new(origin), Duration::ZERO);
        batch
    }

    fn received(receive: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> String {
        let mut buffer = [0; 16 * 1024];
        let length = receive(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn each_line_is_a_datagram_with_priority_time_and_tag() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let mut syslog = syslog(SyslogAddress::Path(path.display().to_string()), None);
        syslog.write(&mut batch(b"one\n\ntwo\n")).unwrap();
        for line in ["one", "two"] {
            let text = received(|buffer| daemon.recv(buffer));
            assert!(text.starts_with("<27>") && text.ends_with(&format!(" web[7]: {line}")), "{text}");
            assert_eq!(text.len(), "<27>Jan  1 00:00:00 web[7]: one".len());
        }
    }

    #[test]
    fn lines_wait_for_a_daemon_that_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut syslog = syslog(SyslogAddress::Path(path.display().to_string()), Some("app"));
        syslog.write(&mut batch(b"one\n")).unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let mut waiting = batch(b"two\n");
        assert!(syslog.write(&mut waiting).is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        syslog.write(&mut waiting).unwrap();
        assert!(received(|buffer| second.recv(buffer)).ends_with(" app[7]: two"));
    }

    #[test]
    fn a_long_line_goes_to_a_udp_port_in_several_messages() {
        let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = daemon.local_addr().unwrap().port();
        let mut syslog = syslog(SyslogAddress::Host { host: "localhost".to_owned(), port }, None);
        syslog.write(&mut batch(&[&[b'x'; MESSAGE_LIMIT + 10][..], b"\n"].concat())).unwrap();
        let lengths = [0; 2].map(|_| received(|buffer| daemon.recv(buffer)).matches('x').count());
        assert_eq!(lengths, [MESSAGE_LIMIT, 10]);
    }
}
