//! What a process has cost so far, as the scheduler tells.

use std::{collections::BTreeMap, fs};

use rustix::process::Pid;

use crate::failure::Failure;

/// What all threads of a process have done so far, by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Activity(BTreeMap<String, Done>);

/// What threads have done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Done {
    /// Context switches of either kind.
    pub switches: f64,
    /// Processor time.
    pub seconds: f64,
}

impl Activity {
    /// Of one process.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(pid: Pid) -> Result<Self, Failure> {
        let mut all = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()))? {
            let thread = thread?;
            let folder = thread.path();
            // A thread that ends meanwhile is none.
            let (Ok(status), Ok(times)) =
                (fs::read_to_string(folder.join("status")), fs::read_to_string(folder.join("schedstat")))
            else {
                continue;
            };
            let nanos: f64 = times.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or_default();
            let done = Done { switches: switches(&status), seconds: nanos / 1e9 };
            all.insert(thread.file_name().to_string_lossy().into_owned(), done);
        }
        Ok(Self(all))
    }

    /// What was done since then by the threads that are there now. What those did that have ended nobody knows.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Done {
        self.0.iter().fold(Done::default(), |sum, (thread, now)| {
            let then = earlier.0.get(thread).copied().unwrap_or_default();
            Done {
                switches: sum.switches + now.switches - then.switches,
                seconds: sum.seconds + now.seconds - then.seconds,
            }
        })
    }
}

fn switches(status: &str) -> f64 {
    let count = |line: &str| -> Option<f64> {
        let (name, value) = line.split_once(':')?;
        name.ends_with("ctxt_switches").then(|| value.trim().parse().ok())?
    };
    status.lines().filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_count() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t40\nnonvoluntary_ctxt_switches:\t2\n";
        assert!((switches(status) - 42.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_thread_that_has_ended_takes_nothing_away_from_the_others() {
        let one = |name: &str, switches| (name.to_owned(), Done { switches, seconds: 0.0 });
        let before = Activity([one("1", 10.0), one("2", 500.0)].into());
        let after = Activity([one("1", 13.0), one("3", 4.0)].into());
        assert_eq!(after.since(&before), Done { switches: 7.0, seconds: 0.0 });
    }
}
