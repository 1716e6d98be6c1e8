//! From reads to lines: what is passed on at once, and what is held until its line is complete.
//!
//! Invariant: the bytes passed on and the bytes held are, in order, the bytes that were read. What is passed on ends a
//! line, unless the line is too long or was ended by force.

use memchr::{memchr, memrchr};

use super::batch::{LINE_LIMIT, piece};

/// The unfinished last line of one output of a process.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<u8>);

impl Held {
    /// Takes what was read, and passes on what is complete.
    pub(super) fn take(&mut self, mut read: &[u8], mut pass_on: impl FnMut(&[u8])) {
        if !self.0.is_empty() {
            let end = memchr(b'\n', read).map_or(read.len(), |at| at + 1);
            let (first, others) = read.split_at(end);
            self.0.extend_from_slice(first);
            read = others;
            if self.0.last() == Some(&b'\n') {
                pass_on(&self.0);
                self.0.clear();
            }
        }
        let end = memrchr(b'\n', read).map_or(0, |at| at + 1);
        let (complete, begun) = read.split_at(end);
        if !complete.is_empty() {
            pass_on(complete);
        }
        self.0.extend_from_slice(begun);
        while self.0.len() >= LINE_LIMIT {
            let end = piece(&self.0, LINE_LIMIT);
            pass_on(self.0.get(..end).unwrap_or_default());
            self.0.drain(..end);
        }
        self.shrink();
    }

    /// Passes on what is held, finished or not.
    pub(super) fn end(&mut self, pass_on: impl FnOnce(&[u8])) {
        if !self.0.is_empty() {
            pass_on(&self.0);
            self.0 = Vec::new();
        }
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives back the memory of a long line that is over.
    fn shrink(&mut self) {
        if self.0.is_empty() && self.0.capacity() > 4096 {
            self.0 = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn pieces(reads: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let (mut held, mut pieces) = (Held::default(), Vec::new());
        for read in reads {
            held.take(read, |bytes| pieces.push(bytes.to_vec()));
        }
        (pieces, held.0)
    }

    #[test]
    fn a_line_is_held_until_it_ends() {
        let (pieces, held) = pieces(&[b"a", b"b\nc\nd", b"", b"e", b"\n", b"f"]);
        assert_eq!(pieces, [&b"ab\n"[..], b"c\n", b"de\n"]);
        assert_eq!(held, b"f");
    }

    #[test]
    fn a_line_without_end_is_passed_on_in_pieces() {
        let (pieces, held) = pieces(&[&[b'x'; LINE_LIMIT + 5], &[b'y'; LINE_LIMIT]]);
        assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [LINE_LIMIT, LINE_LIMIT]);
        assert_eq!(held, b"yyyyy");
    }

    proptest! {
        #[test]
        fn however_reads_are_cut_the_bytes_are_the_same_and_pieces_end_lines(
            reads in vec(vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..50), 0..50)
        ) {
            let reads: Vec<&[u8]> = reads.iter().map(Vec::as_slice).collect();
            let (pieces, held) = pieces(&reads);
            prop_assert!(pieces.iter().all(|piece| piece.ends_with(b"\n")));
            prop_assert!(!held.contains(&b'\n'));
            prop_assert_eq!([pieces.concat(), held].concat(), reads.concat());
        }
    }
}
