//! The last output of one stream, in memory: what `logs` reads.
//!
//! It keeps reads, not lines, since a flood has far more of these; lines are told apart when somebody asks.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use memchr::memchr;

use super::batch::{Origin, count_lines};

/// What a stretch costs beside its bytes, so that many tiny ones do not outgrow the bound.
pub(super) const STRETCH_COST: usize = 64;

/// Bytes of one origin that came at one moment.
#[derive(Debug)]
struct Stretch {
    /// The number of its first line.
    first: u64,
    /// How many it is. Counted once: in a flood that is much of the work.
    lines: u64,
    length: usize,
    at: Duration,
    origin: Arc<Origin>,
}

/// A line that is kept.
#[derive(Debug)]
pub(super) struct Kept<'r> {
    /// Its number.
    pub(super) seq: u64,
    /// When it came, since the epoch.
    pub(super) at: Duration,
    /// Who wrote it.
    pub(super) origin: &'r Origin,
    /// Without its end.
    pub(super) text: &'r [u8],
}

/// The last output of one stream. Lines go out as others come in.
#[derive(Debug)]
pub(super) struct Ring {
    bound: usize,
    bytes: VecDeque<u8>,
    stretches: VecDeque<Stretch>,
    /// The greatest number that has gone out, 0 at first.
    gone: u64,
}

impl Ring {
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, bytes: VecDeque::new(), stretches: VecDeque::new(), gone: 0 }
    }

    /// Sets another bound.
    pub(super) fn resize(&mut self, bound: usize) {
        self.bound = bound;
        self.evict_to(bound);
        self.bytes.shrink_to(bound);
    }

    /// What it takes of the bound.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() + self.stretches.len() * STRETCH_COST
    }

    /// When the oldest that is kept came.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.stretches.front().map(|stretch| stretch.at)
    }

    /// The greatest number of a line that is no longer kept.
    pub(super) const fn gone(&self) -> u64 {
        self.gone
    }

    /// Keeps lines, the first of which has the number `first`; what is beyond the bound goes out. Says how many lines
    /// these were.
    pub(super) fn push(&mut self, bytes: &[u8], origin: &Arc<Origin>, at: Duration, first: u64) -> u64 {
        let room = self.bound.saturating_sub(STRETCH_COST);
        let excess = bytes.len().saturating_sub(room);
        let (skipped, kept) = if excess == 0 { bytes.split_at(0) } else { split_at_line(bytes, excess) };
        let (before, lines) = (count_lines(skipped), count_lines(kept));
        if before > 0 {
            // What is older than a line that goes out goes before it.
            self.evict_to(0);
            self.gone = self.gone.max(first + before - 1);
        }
        if !kept.is_empty() {
            self.evict_to(self.bound.saturating_sub(STRETCH_COST + kept.len()));
            self.reserve(kept.len());
            self.bytes.extend(kept);
            let (first, length) = (first + before, kept.len());
            self.stretches.push_back(Stretch { first, lines, length, at, origin: Arc::clone(origin) });
        }
        before + lines
    }

    /// Grows twofold, but never past the bound.
    fn reserve(&mut self, more: usize) {
        let needed = self.bytes.len() + more;
        if needed > self.bytes.capacity() {
            let wanted = needed.max(self.bytes.capacity() * 2).min(self.bound);
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
    }

    /// Lets the oldest lines go until no more than this is kept.
    pub(super) fn evict_to(&mut self, weight: usize) {
        while let Some(excess) = self.weight().checked_sub(weight).filter(|excess| *excess > 0) {
            let Some(front) = self.stretches.front_mut() else { break };
            let stretch: &[u8] = {
                let length = front.length;
                let (head, tail) = self.bytes.as_slices();
                if head.len() < length && !tail.is_empty() {
                    self.bytes.make_contiguous().get(..length).unwrap_or_default()
                } else {
                    head.get(..length).unwrap_or_default()
                }
            };
            let (skipped, kept) = split_at_line(stretch, excess);
            let (skipped_length, kept_length) = (skipped.len(), kept.len());
            let lines = if kept.is_empty() { front.lines } else { count_lines(skipped) };
            front.first += lines;
            front.lines -= lines;
            front.length = kept_length;
            self.gone = self.gone.max(front.first.saturating_sub(1));
            self.bytes.drain(..skipped_length);
            if kept_length == 0 {
                self.stretches.pop_front();
            }
        }
    }

    /// The lines with a number greater than `after`, oldest first.
    pub(super) fn lines(&mut self, after: u64) -> Vec<Kept<'_>> {
        let mut rest: &[u8] = self.bytes.make_contiguous();
        let mut lines = Vec::new();
        for stretch in &self.stretches {
            let (mut bytes, others) = rest.split_at(stretch.length.min(rest.len()));
            rest = others;
            let mut seq = stretch.first;
            while !bytes.is_empty() {
                let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
                let text = bytes.get(..end).unwrap_or_default();
                bytes = bytes.get(end + 1..).unwrap_or_default();
                if seq > after {
                    lines.push(Kept { seq, at: stretch.at, origin: &stretch.origin, text });
                }
                seq += 1;
            }
        }
        lines
    }
}

/// Cuts after the line in which the byte number `excess` stands; all goes if that is the last line.
fn split_at_line(bytes: &[u8], excess: usize) -> (&[u8], &[u8]) {
    let from = excess.saturating_sub(1).min(bytes.len());
    let end = bytes.get(from..).and_then(|rest| memchr(b'\n', rest)).map_or(bytes.len(), |at| from + at + 1);
    bytes.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::stream::order::Channel;

    fn origin() -> Arc<Origin> {
        Arc::new(Origin { watcher: "web".to_owned(), wid: 1, pid: 7, channel: Channel::Stdout })
    }

    fn texts(ring: &mut Ring, after: u64) -> Vec<(u64, String)> {
        let text = |line: Kept<'_>| (line.seq, String::from_utf8_lossy(line.text).into_owned());
        ring.lines(after).into_iter().map(text).collect()
    }

    #[test]
    fn lines_are_numbered_and_the_oldest_go_out_first() {
        let mut ring = Ring::new(STRETCH_COST + 6);
        ring.push(b"a\nb\nc\n", &origin(), Duration::ZERO, 10);
        assert_eq!(texts(&mut ring, 10), [(11, "b".to_owned()), (12, "c".to_owned())]);
        ring.push(b"d", &origin(), Duration::ZERO, 13);
        assert_eq!(texts(&mut ring, 0), [(13, "d".to_owned())]);
        assert_eq!(ring.gone(), 12);
    }

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let mut ring = Ring::new(STRETCH_COST + 10);
        let flood = b"line\n".repeat(1000);
        ring.push(&flood, &origin(), Duration::ZERO, 1);
        assert_eq!(texts(&mut ring, 0), [(999, "line".to_owned()), (1000, "line".to_owned())]);
        assert!(ring.bytes.capacity() <= 2 * ring.bound);
    }

    #[test]
    fn nothing_older_is_kept_than_a_line_that_is_too_long() {
        let mut ring = Ring::new(STRETCH_COST + 36);
        ring.push(b"old\n", &origin(), Duration::ZERO, 1);
        assert_eq!(ring.push(&[b'x'; 40], &origin(), Duration::ZERO, 2), 1);
        assert_eq!((texts(&mut ring, 0), ring.gone(), ring.weight()), (Vec::new(), 2, 0));
    }

    #[test]
    fn a_bound_that_holds_nothing_keeps_nothing() {
        for bound in [0, 1, STRETCH_COST] {
            let mut ring = Ring::new(bound);
            ring.push(b"a\n", &origin(), Duration::ZERO, 1);
            assert_eq!(ring.weight(), 0);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_the_end_of_what_came_and_within_the_bound(
            pushes in vec(vec(prop_oneof![Just(b'\n'), Just(b'x')], 1..40), 1..40),
            bound in 0_usize..400,
        ) {
            let mut ring = Ring::new(bound);
            let (mut seq, mut all) = (1, Vec::new());
            for push in &pushes {
                let counted = ring.push(push, &origin(), Duration::ZERO, seq);
                let mut lines: Vec<_> = push.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                if push.ends_with(b"\n") { lines.pop(); }
                prop_assert_eq!(counted, lines.len() as u64);
                for line in lines { all.push((seq, String::from_utf8(line).unwrap())); seq += 1; }
                prop_assert!(ring.weight() <= bound);
            }
            let kept = texts(&mut ring, 0);
            prop_assert!(all.ends_with(&kept));
        }
    }
}
