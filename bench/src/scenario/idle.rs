//! What the daemon does when nobody wants anything of it: everything runs, no client is connected.
//!
//! Each wake-up of a thread ends in a context switch, voluntary or not; processor time is the scheduler's own figure.
#![expect(clippy::disallowed_methods, reason = "a benchmark waits and sees")]

use std::{thread, time::Duration};

use super::{ONE, Scenario};
use crate::{
    activity::Activity,
    contender::{Layout, Name},
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

/// For connections to be closed, and for whatever a daemon does soon after, as to end threads that have nothing to do.
const QUIET: Duration = Duration::from_secs(12);

const METRICS: [Metric; 2] = [
    Metric {
        what: "Idle with {n} processes: wake-ups per second",
        unit: Unit::Rate,
        target: Some(Target::AtMost(0.0)),
    },
    Metric {
        what: "Idle with {n} processes: processor time per second",
        unit: Unit::Time,
        target: Some(Target::AtMost(0.0)),
    },
];

/// Leaves the daemon alone.
pub struct Idle;

impl Scenario for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn layouts(&self) -> &'static [Layout] {
        ONE
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn applies(&self, name: Name) -> bool {
        // The limit is nothing at all.
        name != Name::Limit
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        thread::sleep(QUIET);
        let before = Activity::of(session.daemon())?;
        thread::sleep(session.place.idle);
        let after = Activity::of(session.daemon())?;
        let seconds = session.place.idle.as_secs_f64();
        let done = after.since(&before);
        Ok(vec![Some(done.switches / seconds), Some(done.seconds / seconds)])
    }
}
