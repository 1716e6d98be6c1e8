//! Waiting for a condition, with a limit and a reason.

use std::{
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take. Generous: a limit that is reached is a failure, never a measurement.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The longest pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until there is something.
///
/// # Panics
/// When there is nothing within [`LIMIT`].
pub fn wait_for<T>(reason: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {reason}");
        thread::park_timeout(pause);
        pause = (pause * 2).min(LOOK);
    }
}

/// Looks until it is so.
///
/// # Panics
/// When it is not so within [`LIMIT`].
pub fn wait_until(reason: &str, mut look: impl FnMut() -> bool) {
    wait_for(reason, || look().then_some(()));
}

/// Waits for the end of a program.
///
/// # Panics
/// When it does not end within [`LIMIT`].
pub fn wait_end(child: &mut Child) -> ExitStatus {
    wait_for("the end of a program", || child.try_wait().expect("it is our child"))
}

/// What a busy machine may need for anything besides what is measured.
pub const SLACK: Duration = Duration::from_secs(15);
