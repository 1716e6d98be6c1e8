//! What it costs to publish the figures of every process once a second.
//!
//! The statistics are a program of their own, with Circus as with circusd: what it takes is measured, not the daemon.
#![expect(clippy::disallowed_methods, reason = "a benchmark waits and sees")]

use std::{thread, time::Duration};

use super::Scenario;
use crate::{
    activity::Activity,
    contender::Layout,
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
    subscriber::Subscriber,
    tree,
};

/// Until it knows all processes.
const QUIET: Duration = Duration::from_secs(5);

const METRICS: [Metric; 1] = [Metric {
    what: "Statistics of {n} processes once a second: processor time per second",
    unit: Unit::Time,
    target: Some(Target::AtMost(0.02)),
}];

/// Leaves the statistics alone, and looks at their processor time.
pub struct Statistics;

impl Scenario for Statistics {
    fn name(&self) -> &'static str {
        "statistics"
    }

    fn layouts(&self) -> &'static [Layout] {
        &[Layout::Statistics]
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        let missing = || Failure::Broken("no statistics are published".to_owned());
        // Without a listener there is nothing to do.
        let subscriber = Subscriber::start(session.statistics().ok_or_else(missing)?, "stat.");
        thread::sleep(QUIET);
        let seen = subscriber.seen();
        let [program] = tree::children_but(session.daemon(), "pause")[..] else {
            return Err(Failure::Broken(
                "the program that publishes statistics is not to be found".to_owned(),
            ));
        };
        let before = Activity::of(program)?;
        thread::sleep(session.place.idle);
        let after = Activity::of(program)?;
        if subscriber.seen() == seen {
            return Err(Failure::Broken("no statistics arrive".to_owned()));
        }
        Ok(vec![Some(after.since(&before).seconds / session.place.idle.as_secs_f64())])
    }
}
