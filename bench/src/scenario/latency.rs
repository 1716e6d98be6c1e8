//! How long a small request takes, with everything running and nothing going on.

use std::time::Duration;

use super::{ONE, Scenario};
use crate::{
    asking::{self, Pace},
    contender::{Layout, Question},
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

/// Requests of each kind in one run, where there is time for them.
const REQUESTS: usize = 2000;
/// The time there is for each kind.
const TIME: Duration = Duration::from_secs(5);
/// Requests that are not counted.
const WARM_UP: usize = 50;

const METRICS: [Metric; 4] = [
    Metric {
        what: "`list` on an idle daemon with {n} processes, p50",
        unit: Unit::Time,
        target: Some(Target::OfLimit(1.5)),
    },
    Metric { what: "`list` on an idle daemon with {n} processes, p99", unit: Unit::Time, target: None },
    Metric {
        what: "`numprocesses` on an idle daemon with {n} processes, p50",
        unit: Unit::Time,
        target: Some(Target::OfLimit(1.5)),
    },
    Metric {
        what: "`numprocesses` on an idle daemon with {n} processes, p99",
        unit: Unit::Time,
        target: None,
    },
];

/// One request after the other.
pub struct Latency;

impl Scenario for Latency {
    fn name(&self) -> &'static str {
        "latency"
    }

    fn layouts(&self) -> &'static [Layout] {
        ONE
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        let mut control = session.connect()?;
        let mut figures = Vec::new();
        for question in [Question::List, Question::NumProcesses] {
            if !control.knows(question) {
                figures.extend([None, None]);
                continue;
            }
            let mut left = WARM_UP;
            asking::ask(&mut *control, question, Pace::AtOnce, TIME, &mut || {
                left = left.saturating_sub(1);
                left > 0
            })?;
            let mut left = REQUESTS;
            let times = asking::ask(&mut *control, question, Pace::AtOnce, TIME, &mut || {
                left = left.saturating_sub(1);
                left > 0
            })?;
            figures.extend(asking::p50_and_p99(times));
        }
        Ok(figures)
    }
}
