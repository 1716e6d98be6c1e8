//! The near end of a helper that runs a Python class: what is written goes to it in frames.
//!
//! A frame is one line of JSON. `{"call":"data","pid":N,"name":"stdout","timestamp":S,"size":N}` is followed by so
//! many raw bytes, which may be anything; `{"call":"open"}` and `{"call":"close"}` stand alone. The helper writes one
//! newline back for each frame it has dealt with. Until then a piece of output is kept here, and goes to the next helper
//! if this one dies: so nothing is lost, and what it died over may be dealt with twice. A helper that reads slowly holds
//! back its own stream only.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

use super::{Remarks, Sink, own_output::write_waiting};
use crate::stream::batch::{Batch, LINE_LIMIT, Segment, count_lines, piece};

/// So many frames may be unanswered: their answers fit into the socket, also while nobody reads them.
const MOST_FRAMES: usize = 64;
/// Before so many bytes are.
const MOST_BYTES: usize = 256 * 1024;
/// A piece over which so many helpers died goes to no other: it would hold up the stream for ever.
const MOST_DEATHS: u32 = 3;

/// The sink of a Python class.
#[derive(Debug)]
pub(super) struct Bridge {
    path: String,
    helper: Option<OwnedFd>,
    /// Whether the helper was told that the stream is open.
    is_open: bool,
    /// Those without an answer, oldest first.
    frames: VecDeque<Frame>,
    /// How many of them this helper was given.
    given: usize,
    /// How many helpers in a row died over the first.
    deaths: u32,
    remarks: Remarks,
}

/// Something the helper is told.
#[derive(Debug)]
struct Frame {
    bytes: Vec<u8>,
    /// How many lines of output are in it; a call of another kind is for one helper only.
    output: Option<u64>,
}

impl Frame {
    fn call(name: &str) -> Self {
        Self { bytes: format!("{{\"call\":\"{name}\"}}\n").into_bytes(), output: None }
    }

    fn output(segment: &Segment, output: &[u8]) -> Self {
        let (pid, name) = (segment.origin.pid, segment.origin.channel.name());
        let (timestamp, size) = (segment.at.as_secs_f64(), output.len());
        let head = format!(
            "{{\"call\":\"data\",\"pid\":{pid},\"name\":\"{name}\",\"timestamp\":{timestamp},\"size\":{size}}}\n"
        );
        Self { bytes: [head.as_bytes(), output].concat(), output: Some(count_lines(output)) }
    }
}

impl Bridge {
    pub(super) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            helper: None,
            is_open: false,
            frames: VecDeque::new(),
            given: 0,
            deaths: 0,
            remarks: Remarks::default(),
        }
    }

    /// Gives the helper what it was not given yet, or lets go of it.
    fn give(&mut self) -> io::Result<()> {
        let Some(helper) = &self.helper else { return Err(io::ErrorKind::NotConnected.into()) };
        while let Some(frame) = self.frames.get(self.given) {
            if write_all(helper, &frame.bytes).is_err() {
                return Err(self.let_go());
            }
            self.given += 1;
        }
        Ok(())
    }

    /// Waits until there is room for another frame.
    fn make_room(&mut self) -> io::Result<()> {
        let mut heard = self.hear(RecvFlags::DONTWAIT);
        while heard.is_ok() && self.is_full() {
            heard = self.hear(RecvFlags::empty());
        }
        match heard {
            Ok(_) => Ok(()),
            Err(_) => Err(self.let_go()),
        }
    }

    fn is_full(&self) -> bool {
        let bytes: usize = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        self.frames.len() >= MOST_FRAMES || bytes >= MOST_BYTES
    }

    /// Takes in answers, and says how many.
    fn hear(&mut self, flags: RecvFlags) -> io::Result<usize> {
        let Some(helper) = &self.helper else { return Err(io::ErrorKind::NotConnected.into()) };
        let answers = match recv(helper, &mut [0_u8; MOST_FRAMES], flags) {
            Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((_, answers)) => answers.min(self.given),
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        self.given -= answers;
        if self.frames.drain(..answers).any(|frame| frame.output.is_some()) {
            self.deaths = 0;
        }
        Ok(answers)
    }

    /// The helper is gone: what it has not answered is for the next.
    fn let_go(&mut self) -> io::Error {
        // What it answered before its end is there.
        while matches!(self.hear(RecvFlags::DONTWAIT), Ok(1..)) {}
        self.helper = None;
        let died_over = self.frames.front().filter(|_| self.given > 0).and_then(|frame| frame.output);
        self.given = 0;
        if let Some(lines) = died_over {
            self.deaths += 1;
            if self.deaths == MOST_DEATHS {
                self.deaths = 0;
                self.frames.pop_front();
                self.remarks.warnings.push(format!(
                    "{MOST_DEATHS} helpers of `{}` died over the same output, which is left out (lines: {lines})",
                    self.path
                ));
            }
        }
        self.frames.retain(|frame| frame.output.is_some());
        io::ErrorKind::NotConnected.into()
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
        self.frames.insert(self.given, Frame::call("open"));
        self.give()
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        if !self.is_open || self.helper.is_none() {
            self.open()?;
        }
        while let Some(front) = batch.front() {
            self.make_room()?;
            let bytes = batch.rest().get(..front.length).unwrap_or_default();
            let size = piece(bytes, LINE_LIMIT);
            self.frames.push_back(Frame::output(front, bytes.get(..size).unwrap_or_default()));
            batch.take(size);
            self.give()?;
        }
        Ok(())
    }

    fn close(&mut self) {
        // What a dead helper has left behind goes to this one first. If that dies too, nothing is to be closed.
        if self.given < self.frames.len() && self.open().is_err() {
            return;
        }
        if std::mem::take(&mut self.is_open) {
            self.frames.push_back(Frame::call("close"));
            let _gone = self.give();
        }
    }

    fn wants_helper(&self) -> bool {
        self.helper.is_none()
    }

    fn adopt(&mut self, helper: OwnedFd) {
        self.let_go();
        self.helper = Some(helper);
        self.is_open = false;
    }

    fn kept(&self) -> u64 {
        self.frames.range(self.given..).filter_map(|frame| frame.output).sum()
    }

    fn remarks(&mut self) -> Remarks {
        std::mem::take(&mut self.remarks)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
        sync::Arc,
        time::Duration,
    };

    use super::*;
    use crate::stream::{batch::Origin, order::Channel};

    fn batch(text: &[u8]) -> Batch {
        let origin = Origin { watcher: "web".to_owned(), wid: 1, pid: 7, channel: Channel::Stdout };
        let mut batch = Batch::default();
        batch.push(text, &Arc::new(origin), Duration::from_millis(1500));
        batch
    }

    /// A helper in place of the one there may be; it answers only what a test answers.
    fn helper(bridge: &mut Bridge) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        bridge.adopt(ours.into());
        theirs
    }

    /// All that it was told and has not read, once the bridge is gone.
    fn told(mut helper: UnixStream) -> String {
        let mut all = Vec::new();
        helper.read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    }

    /// It ends with everything read, so that what it answered arrives.
    fn die(helper: UnixStream) {
        helper.set_nonblocking(true).unwrap();
        let _would_block = (&helper).read_to_end(&mut Vec::new());
    }

    fn data(line: &str) -> String {
        let head = "{\"call\":\"data\",\"pid\":7,\"name\":\"stdout\",\"timestamp\":1.5,\"size\":";
        format!("{head}{}}}\n{line}", line.len())
    }

    const OPEN: &str = "{\"call\":\"open\"}\n";
    const CLOSE: &str = "{\"call\":\"close\"}\n";

    #[test]
    fn calls_come_as_frames_in_order() {
        let mut bridge = Bridge::new("my.Class");
        assert_eq!(bridge.open().unwrap_err().kind(), io::ErrorKind::NotConnected);
        let helper = helper(&mut bridge);
        bridge.write(&mut batch(b"a\n\n")).unwrap();
        bridge.close();
        drop(bridge);
        assert_eq!(told(helper), [OPEN, &data("a\n\n"), CLOSE].concat());
    }

    #[test]
    fn what_a_dead_helper_did_not_answer_goes_to_the_next_and_nothing_else() {
        let mut bridge = Bridge::new("my.Class");
        let mut first = helper(&mut bridge);
        for line in [b"one\n", b"two\n"] {
            bridge.write(&mut batch(line)).unwrap();
        }
        // The call of open, and the first line.
        first.write_all(b"\n\n").unwrap();
        die(first);
        let mut waiting = batch(b"three\n");
        assert_eq!(bridge.write(&mut waiting).unwrap_err().kind(), io::ErrorKind::NotConnected);
        let second = helper(&mut bridge);
        bridge.write(&mut waiting).unwrap();
        bridge.close();
        drop(bridge);
        assert_eq!(told(second), [OPEN, &data("two\n"), &data("three\n"), CLOSE].concat());
    }

    #[test]
    fn one_that_died_while_nothing_was_written_is_made_up_for_as_well() {
        let mut bridge = Bridge::new("my.Class");
        let first = helper(&mut bridge);
        bridge.write(&mut batch(b"one\n")).unwrap();
        die(first);
        let second = helper(&mut bridge);
        assert_eq!(bridge.kept(), 1);
        bridge.close();
        drop(bridge);
        assert_eq!(told(second), [OPEN, &data("one\n"), CLOSE].concat());
    }

    #[test]
    fn output_over_which_several_helpers_died_is_left_out_and_told_of() {
        let mut bridge = Bridge::new("my.Class");
        for death in 0..MOST_DEATHS {
            let mut dying = helper(&mut bridge);
            if death == 0 {
                bridge.write(&mut batch(b"deadly\n")).unwrap();
                bridge.write(&mut batch(b"harmless\n")).unwrap();
            } else {
                bridge.open().unwrap();
            }
            dying.write_all(b"\n").unwrap();
            die(dying);
            assert!(bridge.remarks().warnings.is_empty());
        }
        let last = helper(&mut bridge);
        let warnings = bridge.remarks().warnings;
        assert!(matches!(&*warnings, [one] if one.contains("(lines: 1)")), "{warnings:?}");
        bridge.open().unwrap();
        drop(bridge);
        assert_eq!(told(last), [OPEN, &data("harmless\n")].concat());
    }

    #[test]
    fn a_helper_that_does_not_answer_is_given_so_much_and_no_more() {
        let mut bridge = Bridge::new("my.Class");
        let mut helper = helper(&mut bridge);
        for _ in 1..MOST_FRAMES {
            bridge.write(&mut batch(b"line\n")).unwrap();
        }
        assert!(bridge.is_full());
        helper.write_all(b"\n\n").unwrap();
        bridge.write(&mut batch(b"line\n")).unwrap();
        assert_eq!(bridge.frames.len(), MOST_FRAMES - 1);
    }
}
