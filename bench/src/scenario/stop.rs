//! How long it takes until none runs, and until the daemon says so.
//!
//! The ends are seen through descriptors of the processes, the answer by the client that asked for it. Before the first
//! end lies what a daemon does to be sure that nothing will be left over: circusd looks for the descendants of each
//! process while they can still be told apart, which the others do not do. Between the last end and the answer lie
//! reaping and events.

use std::thread;

use rustix::process::setpriority_process;

use super::{BOTH, Scenario};
use crate::{
    board::Moment,
    contender::Layout,
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

const METRICS: [Metric; 4] = [
    Metric {
        what: "`stop` of {n} processes, from the first end to the last",
        unit: Unit::Time,
        target: Some(Target::OfLimit(1.5)),
    },
    Metric {
        what: "`stop` of {n} processes, before the first end (circusd looks for descendants)",
        unit: Unit::Time,
        target: None,
    },
    Metric { what: "`stop` until {n} processes have ended", unit: Unit::Time, target: None },
    Metric { what: "`stop` of {n} processes until it is answered", unit: Unit::Time, target: None },
];

/// From the command to the last end.
pub struct Stop;

impl Scenario for Stop {
    fn name(&self) -> &'static str {
        "stop"
    }

    fn layouts(&self) -> &'static [Layout] {
        BOTH
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        let (watch, limit) = (session.watch()?, session.place.limit);
        let mut control = session.connect()?;
        let begin = Moment::now();
        let (ends, answered) = thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                // The ends keep all cores busy, and the first is to be seen when it comes. Without the right to it the
                // observer waits for its turn like everybody else.
                let _refused = setpriority_process(None, -20);
                Ok((watch.wait_first(limit)?, watch.wait_all(limit)?))
            });
            let answered = control.stop().map(|()| Moment::now());
            let panicked = || Err(Failure::Broken("the observer panicked".to_owned()));
            (watcher.join().unwrap_or_else(|_| panicked()), answered)
        });
        let ((first, last), answered) = (ends?, answered?);
        session.gone()?;
        session.settle();
        let times = [last.since(first), first.since(begin), last.since(begin), answered.since(begin)];
        Ok(times.map(|time| Some(time.as_secs_f64())).into())
    }
}
