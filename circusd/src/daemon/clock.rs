//! The clocks, read here and nowhere else.

use std::{
    future,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::arbiter::{Now, Timestamp};

/// Reads both clocks and waits for deadlines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins to count.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Both clocks now.
    #[expect(clippy::disallowed_methods, reason = "this is the edge where the clocks are read")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono: Timestamp::since_start(self.start.elapsed()), wall: wall.as_secs_f64() }
    }

    /// Waits until that moment; for ever if there is none.
    pub async fn until(&self, deadline: Option<Timestamp>) {
        match deadline.and_then(|at| self.start.checked_add(at.elapsed())) {
            Some(at) => tokio::time::sleep_until(at).await,
            None => future::pending().await,
        }
    }
}
