//! How long it takes until none runs, and until the daemon says so.
//!
//! The ends are seen through descriptors of the processes, the answer by the client that asked for it. What lies between
//! the two is what a daemon does to be sure: reaping the last, events, the search for leftovers.

use std::thread;

use super::{BOTH, Scenario};
use crate::{
    board::Moment,
    contender::Layout,
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

const METRICS: [Metric; 2] = [
    Metric {
        what: "`stop` until {n} processes have ended",
        unit: Unit::Time,
        target: Some(Target::OfLimit(1.5)),
    },
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
        let (ended, answered) = thread::scope(|scope| {
            let watcher = scope.spawn(|| watch.wait_all(limit));
            let answered = control.stop().map(|()| Moment::now());
            let panicked = || Err(Failure::Broken("the observer panicked".to_owned()));
            (watcher.join().unwrap_or_else(|_| panicked()), answered)
        });
        let (ended, answered) = (ended?, answered?);
        session.gone()?;
        session.settle();
        Ok(vec![Some(ended.since(begin).as_secs_f64()), Some(answered.since(begin).as_secs_f64())])
    }
}
