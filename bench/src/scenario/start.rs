//! How long it takes until all run: from the launch of the daemon, and from the command.
//!
//! The last process's own note of its first moment ends the time; the answer to the command does not matter.

use super::{BOTH, Scenario};
use crate::{
    board::Moment,
    contender::Layout,
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

const BOOT: [Metric; 1] =
    [Metric { what: "Launch of the daemon until {n} processes run", unit: Unit::Time, target: None }];

const START: [Metric; 1] = [Metric {
    what: "`start` until {n} processes run",
    unit: Unit::Time,
    target: Some(Target::OfLimit(1.3)),
}];

/// From the launch of the daemon.
pub struct Boot;

impl Scenario for Boot {
    fn name(&self) -> &'static str {
        "boot"
    }

    fn layouts(&self) -> &'static [Layout] {
        BOTH
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &BOOT
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        Ok(vec![Some(session.boot.as_secs_f64())])
    }
}

/// From the command, with a daemon that is there.
pub struct Start;

impl Scenario for Start {
    fn name(&self) -> &'static str {
        "start"
    }

    fn layouts(&self) -> &'static [Layout] {
        BOTH
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &START
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_down()?;
        let mut control = session.connect()?;
        let begin = Moment::now();
        control.start()?;
        let end = session.wait_up()?;
        session.settle();
        Ok(vec![Some(end.since(begin).as_secs_f64())])
    }
}
