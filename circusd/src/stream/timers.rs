//! When the plane's thread has to look at something, although nothing has come.

use std::{collections::BTreeSet, time::Instant};

use crate::arbiter::id::RequestId;

/// The name of a source or an outlet within the plane. Never reused.
pub(super) type Number = u64;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// An unfinished line may have waited long enough.
    Piece(Number),
    /// An outlet that was refused is tried again.
    Retry(Number),
    /// Lines that were dropped are to be told of.
    Losses(Number),
    /// Writers may be held up.
    Writers,
    /// A question has waited long enough.
    Question(RequestId),
    /// The end comes, whatever is unwritten.
    End,
}

/// All deadlines, earliest first. One that no longer matters does no harm when it comes.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Due)>);

impl Timers {
    /// Adds a deadline.
    pub(super) fn set(&mut self, at: Instant, due: Due) {
        self.0.insert((at, due));
    }

    /// Removes one again.
    pub(super) fn unset(&mut self, at: Instant, due: Due) {
        self.0.remove(&(at, due));
    }

    /// The earliest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes out one that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, due)| due)
    }
}
