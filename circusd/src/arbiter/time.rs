//! The two clocks as the core sees them.

use std::time::Duration;

/// A moment on the monotonic clock: time since the daemon's start. Deadlines are made of these only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(Duration);

impl Timestamp {
    /// The moment that long after the start.
    #[must_use]
    pub const fn since_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long ago `earlier` was; zero if it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The elapsed time since the daemon's start.
    #[must_use]
    pub const fn elapsed(self) -> Duration {
        self.0
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

/// Both clocks, read once at the edge for each input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// For deadlines and ages.
    pub mono: Timestamp,
    /// Seconds since the epoch: payload of events and replies, never compared.
    pub wall: f64,
}

/// A configured number of seconds as a duration; what is not finite or negative counts as zero.
#[must_use]
pub fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(if value > 0.0 { Duration::MAX } else { Duration::ZERO })
}
