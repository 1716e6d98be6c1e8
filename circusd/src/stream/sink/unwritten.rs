//! Bytes that were made for a place which has not taken them all yet.
//!
//! A place may take half a line and then be full. The other half stays here until there is room.

use std::io;

use crate::stream::batch::count_lines;

/// So many bytes are gathered before they are written.
pub(super) const GATHERED: usize = 64 * 1024;

/// So much memory is kept while nothing waits.
const KEPT: usize = 4096;

/// Bytes in order, the first of which may already be written.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) bytes: Vec<u8>,
    at: usize,
}

impl Unwritten {
    /// Writes all, or as much as the place takes.
    pub(super) fn flush(&mut self, mut write: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while self.len() > 0 {
            match write(self.rest())? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                length => self.at += length,
            }
        }
        self.bytes.clear();
        // A thousand quiet files must not keep a thousand buffers.
        self.bytes.shrink_to(KEPT);
        self.at = 0;
        Ok(())
    }

    /// Whether so much is gathered that it is time to write.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= GATHERED
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// How many lines wait; one of which a part was written counts.
    pub(super) fn lines(&self) -> u64 {
        count_lines(self.rest())
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }
}

/// Where the first line ends.
pub(super) fn line_end(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_refusal_writing_goes_on_where_it_stopped() {
        let (mut unwritten, mut place, mut room) = (Unwritten::default(), Vec::new(), 6);
        unwritten.bytes.extend_from_slice(b"one\ntwo\n");
        let mut write = |bytes: &[u8]| {
            let length = bytes.len().min(room);
            room -= length;
            place.extend_from_slice(&bytes[..length]);
            if length == 0 {
                room = 100;
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(length)
        };
        assert!(unwritten.flush(&mut write).is_err());
        assert_eq!((unwritten.len(), unwritten.lines()), (2, 1));
        unwritten.flush(&mut write).unwrap();
        assert_eq!(place, b"one\ntwo\n");
    }

    #[test]
    fn a_place_that_takes_nothing_does_not_hold_the_writer() {
        let mut unwritten = Unwritten { bytes: b"x".to_vec(), ..Unwritten::default() };
        assert_eq!(unwritten.flush(|_| Ok(0)).unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
