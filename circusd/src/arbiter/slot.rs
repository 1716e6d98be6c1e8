//! A slot: the numbered place of a process in its watcher, which outlives the processes in it.
//!
//! Holds the back-off of a crashing slot and the last exits that `why` shows.

use std::{collections::VecDeque, time::Duration};

use super::{input::Exit, process::Life, time::Timestamp};

/// Exits remembered for each slot.
pub(super) const HISTORY: usize = 5;

/// The pause before the second respawn in a row; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A numbered place for a process.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Unexpected exits of young processes in a row.
    pub failures: u32,
    /// When an end that is being seen to lets it be filled again.
    pub resume_at: Timestamp,
    /// The last exits, oldest first.
    pub history: VecDeque<LastExit>,
}

/// An exit as `why` shows it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LastExit {
    /// What ran.
    pub life: Life,
    /// How it ended.
    pub exit: Exit,
    /// When, in seconds since the epoch.
    pub time: f64,
    /// How long it had run.
    pub lifespan: Duration,
    /// Whether circusd had asked for it.
    pub expected: bool,
}

impl Slot {
    /// Remembers an exit.
    pub fn remember(&mut self, exit: LastExit) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        // Slots are many, and most have one exit to remember or none.
        self.history.reserve_exact(1);
        self.history.push_back(exit);
    }

    /// Counts an exit and returns the pause before the slot is filled again.
    pub fn pause_after(&mut self, failure: bool, cap: Duration) -> Duration {
        if failure {
            self.failures = self.failures.saturating_add(1);
        } else {
            self.failures = 0;
        }
        life_pause(self.failures, cap)
    }
}

/// The pause after that many failures in a row: none after the first, then 0.1 s, doubling up to the cap.
pub(super) fn life_pause(failures: u32, cap: Duration) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => doubled(more - 2, cap),
    }
}

/// The pause after that many failed spawns in a row: 0.1 s, doubling up to the cap.
pub(super) fn spawn_pause(tries: u32, cap: Duration) -> Duration {
    doubled(tries.saturating_sub(1), cap)
}

fn doubled(times: u32, cap: Duration) -> Duration {
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(1);

    #[test]
    fn a_first_failure_is_free_and_the_next_ones_double_up_to_the_cap() {
        let mut slot = Slot::default();
        let pauses: Vec<u128> = (0..7).map(|_| slot.pause_after(true, CAP).as_millis()).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn a_healthy_life_forgets_the_failures() {
        let mut slot = Slot { failures: 5, ..Slot::default() };
        assert_eq!(slot.pause_after(false, CAP), Duration::ZERO);
        assert_eq!(slot.pause_after(true, CAP), Duration::ZERO);
    }

    #[test]
    fn a_failed_spawn_pauses_from_the_first_on() {
        assert_eq!(spawn_pause(1, CAP).as_millis(), 100);
        assert_eq!(spawn_pause(4, CAP).as_millis(), 800);
        assert_eq!(spawn_pause(u32::MAX, CAP), CAP);
    }
}
