//! Output on its way to a sink: bytes, and of each stretch of them who wrote it and when it came.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use memchr::memchr;

use super::order::Channel;

/// A line that is longer is passed on in pieces of this size.
pub(super) const LINE_LIMIT: usize = 64 * 1024;

/// A batch with more memory than this has carried a flood.
const LARGE: usize = 64 * 1024;

/// Where bytes come from: what a formatted line can say of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The watcher's name.
    pub(super) watcher: String,
    /// The slot of the process.
    pub(super) wid: u32,
    /// Its number.
    pub(super) pid: i32,
    /// Which of its outputs.
    pub(super) channel: Channel,
}

/// A stretch of bytes of one origin that came at one moment: whole lines, the last of which may be unfinished.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Bytes not yet taken.
    pub(super) length: usize,
    /// Who wrote them.
    pub(super) origin: Arc<Origin>,
    /// When they came, since the epoch.
    pub(super) at: Duration,
}

/// A line, or a piece of one.
#[derive(Debug)]
pub(super) struct Line<'b> {
    /// Without its end.
    pub(super) text: &'b [u8],
    /// How many bytes it takes in the batch, its end included.
    pub(super) length: usize,
    /// Who wrote it and when it came.
    pub(super) segment: &'b Segment,
}

/// Bytes in the order in which they are to be written.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    taken: usize,
    segments: VecDeque<Segment>,
}

impl Batch {
    /// Appends bytes of one origin.
    pub(super) fn push(&mut self, bytes: &[u8], origin: &Arc<Origin>, at: Duration) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        match self.segments.back_mut() {
            Some(last) if last.at == at && Arc::ptr_eq(&last.origin, origin) => last.length += bytes.len(),
            Some(_) | None => {
                let segment = Segment { length: bytes.len(), origin: Arc::clone(origin), at };
                self.segments.push_back(segment);
            }
        }
    }

    /// Ends the line that the last bytes left unfinished, because another process' line follows.
    pub(super) fn end_line(&mut self, origin: &Arc<Origin>, at: Duration) {
        match self.segments.back_mut() {
            Some(last) => {
                self.bytes.push(b'\n');
                last.length += 1;
            }
            None => self.push(b"\n", origin, at),
        }
    }

    /// How many bytes are left.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether none is.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has no memory yet.
    pub(super) fn is_bare(&self) -> bool {
        self.bytes.capacity() == 0
    }

    /// Whether it has more memory than is kept for nothing.
    pub(super) fn is_large(&self) -> bool {
        self.bytes.capacity() > LARGE
    }

    /// How many stretches are left.
    pub(super) fn stretches(&self) -> usize {
        self.segments.len()
    }

    /// What is left.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    /// The first stretch.
    pub(super) fn front(&self) -> Option<&Segment> {
        self.segments.front()
    }

    /// How many bytes come before the first stretch that came at `moment` or later.
    pub(super) fn length_before(&self, moment: Duration) -> usize {
        self.segments.iter().take_while(|segment| segment.at < moment).map(|segment| segment.length).sum()
    }

    /// The first line, of which no more than `limit` bytes.
    pub(super) fn line(&self, limit: usize) -> Option<Line<'_>> {
        let segment = self.segments.front()?;
        let bytes = self.rest().get(..segment.length)?;
        Some(match memchr(b'\n', bytes.get(..limit).unwrap_or(bytes)) {
            Some(end) => Line { text: bytes.get(..end)?, length: end + 1, segment },
            None => {
                let end = piece(bytes, limit);
                Line { text: bytes.get(..end)?, length: end, segment }
            }
        })
    }

    /// Removes so many bytes from the front.
    pub(super) fn take(&mut self, length: usize) {
        let mut left = length.min(self.len());
        self.taken += left;
        while let Some(front) = self.segments.front_mut() {
            if front.length > left {
                front.length -= left;
                break;
            }
            left -= front.length;
            self.segments.pop_front();
        }
        if self.taken == self.bytes.len() {
            self.clear();
        }
    }

    /// Removes everything and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
        self.taken = 0;
    }
}

/// How long the first piece of an unfinished line is: at most `limit`, and no character is cut in two.
pub(super) fn piece(bytes: &[u8], limit: usize) -> usize {
    if bytes.len() <= limit {
        return bytes.len();
    }
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let start = (limit.saturating_sub(3)..=limit).rev().find(|at| !continues(at));
    start.filter(|start| *start > 0).unwrap_or(limit)
}

/// How many lines these bytes are, an unfinished one at the end included.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    let ended = memchr::memchr_iter(b'\n', bytes).count() as u64;
    ended + u64::from(bytes.last().is_some_and(|last| *last != b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn origin(pid: i32) -> Arc<Origin> {
        Arc::new(Origin { watcher: "web".to_owned(), wid: 1, pid, channel: Channel::Stdout })
    }

    fn lines(mut batch: Batch, limit: usize) -> Vec<(i32, String)> {
        let mut lines = Vec::new();
        while let Some(line) = batch.line(limit) {
            lines.push((line.segment.origin.pid, String::from_utf8_lossy(line.text).into_owned()));
            let length = line.length;
            batch.take(length);
        }
        lines
    }

    #[test]
    fn lines_come_out_with_their_origin_whatever_was_joined() {
        let (one, two) = (origin(1), origin(2));
        let mut batch = Batch::default();
        batch.push(b"a\nb\n", &one, Duration::ZERO);
        batch.push(b"c\n", &one, Duration::ZERO);
        batch.push(b"d\npart", &two, Duration::ZERO);
        batch.push(b"e\n", &one, Duration::ZERO);
        assert_eq!(batch.stretches(), 3);
        let text = |(pid, text): (i32, &str)| (pid, text.to_owned());
        let wanted = [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "part"), (1, "e")].map(text);
        assert_eq!(lines(batch, 100), wanted);
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_cut_no_character() {
        let mut batch = Batch::default();
        batch.push("aé€𝄞xyz\n".as_bytes(), &origin(1), Duration::ZERO);
        let pieces: Vec<_> = lines(batch, 5).into_iter().map(|(_, text)| text).collect();
        assert_eq!(pieces, ["aé", "€", "𝄞x", "yz"]);
        assert_eq!(piece(&[0x80; 10], 5), 5);
        assert_eq!(piece(b"abc", 3), 3);
    }

    #[test]
    fn taking_and_pushing_may_alternate() {
        let mut batch = Batch::default();
        batch.push(b"one\ntwo\n", &origin(1), Duration::from_secs(1));
        batch.take(4);
        batch.push(b"three\n", &origin(1), Duration::from_secs(2));
        assert_eq!(batch.rest(), b"two\nthree\n");
        assert_eq!(batch.length_before(Duration::from_secs(2)), 4);
        batch.take(100);
        assert!(batch.is_empty() && batch.line(10).is_none() && batch.stretches() == 0);
    }

    #[test]
    fn an_unfinished_line_counts() {
        assert_eq!(count_lines(b""), 0);
        assert_eq!(count_lines(b"a\n\nb"), 3);
        assert_eq!(count_lines(b"a\n"), 1);
    }
}
