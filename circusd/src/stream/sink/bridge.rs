//! The near end of a helper that runs a Python class: what is written goes to it in frames.
//!
//! A frame is one line of JSON. `{"call":"data","pid":N,"name":"stdout","timestamp":S,"size":N}` is followed by so
//! many raw bytes, which may be anything; `{"call":"open"}` and `{"call":"close"}` stand alone. A helper that reads
//! slowly holds back its own stream only. What a helper has taken is its own; a frame that it took in part is sent to
//! the next one as a whole.

use std::{
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
};

use super::{Sink, own_output::write_waiting};
use crate::stream::batch::{Batch, LINE_LIMIT, piece};

/// The sink of a Python class.
#[derive(Debug)]
pub(super) struct Bridge {
    path: String,
    helper: Option<OwnedFd>,
    /// Whether the helper was told that the stream is open.
    is_open: bool,
    frame: Vec<u8>,
}

impl Bridge {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), helper: None, is_open: false, frame: Vec::new() }
    }

    /// Sends the frame whole, or lets go of the helper.
    fn send(&mut self) -> io::Result<()> {
        let Some(helper) = &self.helper else { return Err(io::ErrorKind::NotConnected.into()) };
        let sent = write_all(helper, &self.frame);
        if sent.is_err() {
            self.helper = None;
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(())
    }

    fn call(&mut self, name: &str) -> io::Result<()> {
        self.frame.clear();
        writeln!(self.frame, "{{\"call\":\"{name}\"}}")?;
        self.send()
    }
}

fn write_all(helper: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = write_waiting(helper.as_fd(), bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

impl Sink for Bridge {
    fn place(&self) -> String {
        format!("the helper of `{}`", self.path)
    }

    /// Circus calls it at every start, also at those of a restart, which closes nothing.
    fn open(&mut self) -> io::Result<()> {
        self.is_open = true;
        self.call("open")
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        if !self.is_open || self.helper.is_none() {
            self.open()?;
        }
        while let Some(front) = batch.front() {
            let bytes = batch.rest().get(..front.length).unwrap_or_default();
            let size = piece(bytes, LINE_LIMIT);
            let (pid, name) = (front.origin.pid, front.origin.channel.name());
            let timestamp = front.at.as_secs_f64();
            self.frame.clear();
            writeln!(
                self.frame,
                "{{\"call\":\"data\",\"pid\":{pid},\"name\":\"{name}\",\"timestamp\":{timestamp},\"size\":{size}}}"
            )?;
            self.frame.extend_from_slice(bytes.get(..size).unwrap_or_default());
            self.send()?;
            batch.take(size);
        }
        Ok(())
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            // A helper that is gone has nothing to close.
            let _gone = self.call("close");
        }
    }

    fn wants_helper(&self) -> bool {
        self.helper.is_none()
    }

    fn adopt(&mut self, helper: OwnedFd) {
        self.helper = Some(helper);
        self.is_open = false;
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::Arc, time::Duration};

    use super::*;
    use crate::stream::{batch::Origin, order::Channel};

    fn batch(text: &[u8]) -> Batch {
        let origin = Origin { watcher: "web".to_owned(), wid: 1, pid: 7, channel: Channel::Stdout };
        let mut batch = Batch::default();
        batch.push(text, &Arc::new(origin), Duration::from_millis(1500));
        batch
    }

    #[test]
    fn calls_come_as_frames_in_order() {
        let (mut read, write) = io::pipe().unwrap();
        let mut bridge = Bridge::new("my.Class");
        assert_eq!(bridge.open().unwrap_err().kind(), io::ErrorKind::NotConnected);
        bridge.adopt(write.into());
        bridge.write(&mut batch(b"\xff\n\n")).unwrap();
        bridge.close();
        drop(bridge);
        let mut all = Vec::new();
        read.read_to_end(&mut all).unwrap();
        let data =
            b"{\"call\":\"data\",\"pid\":7,\"name\":\"stdout\",\"timestamp\":1.5,\"size\":3}\n\xff\n\n";
        assert_eq!(all, [b"{\"call\":\"open\"}\n", &data[..], b"{\"call\":\"close\"}\n"].concat());
    }

    #[test]
    fn what_a_dead_helper_did_not_take_goes_to_the_next() {
        let (read, write) = io::pipe().unwrap();
        let mut bridge = Bridge::new("my.Class");
        bridge.adopt(write.into());
        bridge.open().unwrap();
        drop(read);
        let mut waiting = batch(b"line\n");
        assert_eq!(bridge.write(&mut waiting).unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert_eq!(waiting.rest(), b"line\n");
        let (mut read, write) = io::pipe().unwrap();
        bridge.adopt(write.into());
        bridge.write(&mut waiting).unwrap();
        drop(bridge);
        let mut all = String::new();
        read.read_to_string(&mut all).unwrap();
        assert!(all.starts_with("{\"call\":\"open\"}\n") && all.ends_with("\"size\":5}\nline\n"), "{all}");
    }
}
