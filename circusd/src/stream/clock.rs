//! Both clocks, read once each time the plane's thread wakes up: lines that come together have the same time.

use std::time::{Duration, Instant, SystemTime};

use crate::os::local_time::since_epoch;

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For deadlines.
    pub(super) mono: Instant,
    /// Since the epoch: what lines are stamped with.
    pub(super) wall: Duration,
}

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "the plane's thread is an edge of its own")]
    pub(super) fn now() -> Self {
        Self { mono: Instant::now(), wall: since_epoch(SystemTime::now()) }
    }
}
