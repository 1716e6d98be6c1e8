//! A deadline that comes again and again.

use crate::machine::Moment;

/// When to look next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker {
    every: Moment,
    next: Moment,
}

impl Ticker {
    /// The first look is after one period.
    #[must_use]
    pub const fn every(every: Moment) -> Self {
        Self { every, next: every }
    }

    /// Whether it is time; then the next look is a period from now. What was slept through is not made up for.
    pub fn is_due(&mut self, now: Moment) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }

    /// When it is time.
    #[must_use]
    pub const fn next(&self) -> Moment {
        self.next
    }

    /// The period.
    #[must_use]
    pub const fn period(&self) -> Moment {
        self.every
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_look_that_was_slept_through_is_not_made_up_for() {
        let at = Duration::from_secs;
        let mut ticker = Ticker::every(at(10));
        assert!(!ticker.is_due(at(9)) && ticker.is_due(at(45)) && !ticker.is_due(at(46)));
        assert_eq!(ticker.next(), at(55));
    }
}
