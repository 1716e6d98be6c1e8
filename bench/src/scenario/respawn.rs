//! SIGKILL of one process to its replacement, all others running on.
//!
//! The time ends when the replacement itself notes that it runs. Between two kills lies a pause by chance, up to as long as
//! the last replacement took: a contender that only looks now and then is met at any moment of its interval.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and gives others some")]

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{ONE, Scenario};
use crate::{
    board::Moment,
    contender::Layout,
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit, quantile},
};

/// Kills in one run, where there is time for them.
const KILLS: usize = 200;
/// The time there is.
const TIME: Duration = Duration::from_secs(20);
/// The least pause between two kills.
const PAUSE: Duration = Duration::from_millis(5);

const METRICS: [Metric; 2] = [
    Metric {
        what: "SIGKILL of one of {n} to its replacement, p50",
        unit: Unit::Time,
        target: Some(Target::OfLimit(1.3)),
    },
    Metric {
        what: "SIGKILL of one of {n} to its replacement, p99",
        unit: Unit::Time,
        target: Some(Target::OfLimit(2.5)),
    },
];

/// Kills one after the other.
pub struct Respawn;

impl Scenario for Respawn {
    fn name(&self) -> &'static str {
        "respawn"
    }

    fn layouts(&self) -> &'static [Layout] {
        ONE
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        let begin = Instant::now();
        let mut times = Vec::new();
        let mut last = Duration::ZERO;
        while times.len() < KILLS && begin.elapsed() < TIME {
            thread::sleep(PAUSE + last.mul_f64(fastrand::f64()));
            let Some(victim) = session.any() else { break };
            let killed = Moment::now();
            if !session.kill(victim) {
                return Err(Failure::Broken("a process was gone before it was killed".to_owned()));
            }
            last = session.wait_next()?.at.since(killed);
            times.push(last.as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(vec![quantile(&times, 0.5), quantile(&times, 0.99)])
    }
}
