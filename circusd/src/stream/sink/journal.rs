//! journald by its native protocol: one datagram a line, each a set of fields.
//!
//! A set that is too large for a datagram goes in a sealed memory file whose descriptor is sent in its place.

use std::{
    io::{self, IoSlice, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixDatagram,
    },
};

use circus_common::config::stream::{JournalConfig, Severity};
use rustix::{
    fs::{MemfdFlags, SealFlags},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
};

use super::{Sink, syslog::severity};
use crate::stream::{
    batch::{Batch, LINE_LIMIT, Line},
    order::Channel,
};

/// A connection to journald, made when there is something to say.
#[derive(Debug)]
pub(super) struct Journal {
    path: String,
    severity: Severity,
    ident: String,
    socket: Option<UnixDatagram>,
    fields: Vec<u8>,
}

impl Journal {
    pub(super) fn new(config: &JournalConfig, watcher: &str, channel: Channel) -> Self {
        Self {
            path: config.path.clone(),
            severity: severity(config.severity, channel),
            ident: config.ident.clone().unwrap_or_else(|| watcher.to_owned()),
            socket: None,
            fields: Vec::new(),
        }
    }

    fn fill(&mut self, line: &Line<'_>) {
        let origin = &line.segment.origin;
        self.fields.clear();
        field(&mut self.fields, "MESSAGE", line.text);
        field(&mut self.fields, "PRIORITY", self.severity.number().to_string().as_bytes());
        field(&mut self.fields, "SYSLOG_IDENTIFIER", self.ident.as_bytes());
        field(&mut self.fields, "SYSLOG_PID", origin.pid.to_string().as_bytes());
        field(&mut self.fields, "SYSLOG_TIMESTAMP", line.segment.at.as_micros().to_string().as_bytes());
        field(&mut self.fields, "CIRCUS_WATCHER", origin.watcher.as_bytes());
        field(&mut self.fields, "CIRCUS_WID", origin.wid.to_string().as_bytes());
        field(&mut self.fields, "CIRCUS_STREAM", origin.channel.name().as_bytes());
    }

    /// Sends the fields. A journald that was restarted has a new socket under the same name.
    fn send(&mut self) -> io::Result<()> {
        let fresh = self.socket.is_none();
        match self.transmit() {
            Err(_) if !fresh => {
                self.socket = None;
                self.transmit()
            }
            sent => sent,
        }
        .inspect_err(|_| self.socket = None)
    }

    fn transmit(&mut self) -> io::Result<()> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(&self.path)?;
                socket
            }
        };
        let socket = self.socket.insert(socket);
        match socket.send(&self.fields) {
            Err(error) if too_large(&error) => send_file(socket, &self.fields),
            sent => sent.map(drop),
        }
    }
}

impl Sink for Journal {
    fn place(&self) -> String {
        format!("journald at `{}`", self.path)
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        while let Some(line) = batch.line(LINE_LIMIT) {
            let length = line.length;
            if !line.text.is_empty() {
                self.fill(&line);
                self.send()?;
            }
            batch.take(length);
        }
        Ok(())
    }

    fn close(&mut self) {
        self.socket = None;
    }
}

/// Appends a field: on one line, or with its length where it has several.
fn field(fields: &mut Vec<u8>, name: &str, value: &[u8]) {
    fields.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        fields.push(b'\n');
        fields.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        fields.push(b'=');
    }
    fields.extend_from_slice(value);
    fields.push(b'\n');
}

fn too_large(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::ENOBUFS))
}

/// journald takes only a memory file that nobody can change any more.
fn send_file(socket: &UnixDatagram, fields: &[u8]) -> io::Result<()> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file: OwnedFd = rustix::fs::memfd_create("journal-entry", flags)?;
    let mut file = std::fs::File::from(file);
    file.write_all(fields)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [file.as_fd()];
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(&[])], &mut control, SendFlags::empty())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Read, io::Seek, sync::Arc, time::Duration};

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

    use super::*;
    use crate::stream::batch::Origin;

    fn journal(path: &std::path::Path) -> Journal {
        let config = JournalConfig { path: path.display().to_string(), severity: None, ident: None };
        Journal::new(&config, "web", Channel::Stdout)
    }

    fn batch(text: &[u8]) -> Batch {
        let origin = Origin { watcher: "web".to_owned(), wid: 2, pid: 7, channel: Channel::Stdout };
        let mut batch = Batch::default();
        batch.push(text, &Arc::new(origin), Duration::from_micros(5));
        batch
    }

    #[test]
    fn a_line_is_a_set_of_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let daemon = UnixDatagram::bind(&path).unwrap();
        journal(&path).write(&mut batch(b"hel\xfflo\n")).unwrap();
        let mut buffer = [0; 1024];
        let length = daemon.recv(&mut buffer).unwrap();
        let rest = "\nPRIORITY=6\nSYSLOG_IDENTIFIER=web\nSYSLOG_PID=7\nSYSLOG_TIMESTAMP=5\n\
                    CIRCUS_WATCHER=web\nCIRCUS_WID=2\nCIRCUS_STREAM=stdout\n";
        assert_eq!(&buffer[..length], [b"MESSAGE=hel\xfflo", rest.as_bytes()].concat());
    }

    #[test]
    fn a_value_of_several_lines_comes_with_its_length() {
        let mut fields = Vec::new();
        field(&mut fields, "X", b"a\nb");
        assert_eq!(fields, b"X\n\x03\0\0\0\0\0\0\0a\nb\n");
    }

    #[test]
    fn a_large_set_comes_as_a_sealed_memory_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        send_file(&sender, b"MESSAGE=large\n").unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0; 16];
        let mut parts = [io::IoSliceMut::new(&mut buffer)];
        let message = rustix::net::recvmsg(&daemon, &mut parts, &mut control, RecvFlags::empty()).unwrap();
        assert_eq!(message.bytes, 0);
        let Some(RecvAncillaryMessage::ScmRights(mut descriptors)) = control.drain().next() else {
            panic!("a descriptor was sent");
        };
        let mut file = std::fs::File::from(descriptors.next().unwrap());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "MESSAGE=large\n");
        assert!(file.write_all(b"x").is_err());
    }
}
