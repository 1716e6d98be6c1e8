//! How many small requests are answered in a second when several clients ask as fast as they can.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{ONE, Scenario};
use crate::{
    asking::{self, Pace},
    contender::{Layout, Question},
    failure::Failure,
    session::Session,
    sheet::{Metric, Unit},
};

/// How many ask at once, each with one request under way.
const CLIENTS: usize = 8;
/// How long.
const TIME: Duration = Duration::from_secs(3);

const METRICS: [Metric; 1] =
    [Metric { what: "`list` answered per second, 8 clients, {n} processes", unit: Unit::Rate, target: None }];

/// Several clients, as fast as they are answered.
pub struct Throughput;

impl Scenario for Throughput {
    fn name(&self) -> &'static str {
        "throughput"
    }

    fn layouts(&self) -> &'static [Layout] {
        ONE
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        let mut controls = (0..CLIENTS).map(|_| session.connect()).collect::<Result<Vec<_>, _>>()?;
        let begin = Instant::now();
        let answered: Result<usize, Failure> = thread::scope(|scope| {
            let asking: Vec<_> = controls
                .iter_mut()
                .map(|control| {
                    scope.spawn(|| {
                        asking::ask(&mut **control, Question::List, Pace::AtOnce, TIME, &mut || true)
                    })
                })
                .collect();
            let panicked = || Err(Failure::Broken("an asker panicked".to_owned()));
            asking.into_iter().map(|it| it.join().unwrap_or_else(|_| panicked()).map(|it| it.len())).sum()
        });
        Ok(vec![Some(answered? as f64 / begin.elapsed().as_secs_f64())])
    }
}
