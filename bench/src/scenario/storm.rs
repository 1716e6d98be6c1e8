//! How long a small request takes while everything starts, crashes or stops.
//!
//! The limit is the raw echo during the same storm, driven by the bare loop: it has no part in the storm, and yet the
//! machine is as busy. One client makes the storm, another asks, with a pause after each answer.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and gives others some")]

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{ONE, Scenario};
use crate::{
    asking::{self, Pace},
    contender::{Control, Layout, Question},
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

/// How long processes are killed.
const CRASHES_LAST: Duration = Duration::from_secs(3);
/// From one kill to the next.
const CRASH_INTERVAL: Duration = Duration::from_millis(2);

const START_METRICS: [Metric; 2] = [
    Metric { what: "`list` while {n} processes start, p50", unit: Unit::Time, target: None },
    Metric {
        what: "`list` while {n} processes start, p99",
        unit: Unit::Time,
        target: Some(Target::OfLimit(3.0)),
    },
];
const CRASH_METRICS: [Metric; 3] = [
    Metric { what: "`list` while {n} processes crash, 500 a second, p50", unit: Unit::Time, target: None },
    Metric {
        what: "`list` while {n} processes crash, 500 a second, p99",
        unit: Unit::Time,
        target: Some(Target::OfLimit(3.0)),
    },
    Metric {
        what: "Replacements per second while {n} processes crash, 500 a second",
        unit: Unit::Rate,
        target: None,
    },
];
const STOP_METRICS: [Metric; 2] = [
    Metric { what: "`list` while {n} processes stop, p50", unit: Unit::Time, target: None },
    Metric {
        what: "`list` while {n} processes stop, p99",
        unit: Unit::Time,
        target: Some(Target::OfLimit(3.0)),
    },
];

/// What goes on meanwhile.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Starts,
    Crashes,
    Stops,
}

/// A storm.
pub struct Storm {
    kind: Kind,
    name: &'static str,
    metrics: &'static [Metric],
}

/// All processes start.
pub const STARTS: Storm = Storm { kind: Kind::Starts, name: "start-storm", metrics: &START_METRICS };
/// Processes are killed at random.
pub const CRASHES: Storm = Storm { kind: Kind::Crashes, name: "crash-storm", metrics: &CRASH_METRICS };
/// All processes stop.
pub const STOPS: Storm = Storm { kind: Kind::Stops, name: "stop-storm", metrics: &STOP_METRICS };

impl Scenario for Storm {
    fn name(&self) -> &'static str {
        self.name
    }

    fn layouts(&self) -> &'static [Layout] {
        ONE
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        self.metrics
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        match self.kind {
            Kind::Starts => session.bring_down()?,
            Kind::Crashes | Kind::Stops => session.bring_up()?,
        }
        let mut asker = session.connect()?;
        let mut maker = session.connect()?;
        let limit = session.place.limit;
        let mut replaced = None;
        let times = match self.kind {
            Kind::Starts => during(&mut *asker, limit, || {
                maker.start()?;
                session.wait_up().map(drop)
            }),
            Kind::Crashes => during(&mut *asker, limit, || {
                replaced = Some(crash(session)?);
                Ok(())
            }),
            Kind::Stops => during(&mut *asker, limit, || {
                let watch = session.watch()?;
                maker.stop()?;
                watch.wait_all(limit)?;
                session.gone()
            }),
        }?;
        session.settle();
        // The third line is the crash storm's own.
        let [p50, p99] = asking::p50_and_p99(times);
        Ok(vec![p50, p99, replaced])
    }
}

/// Asks while the storm goes on.
fn during(
    asker: &mut dyn Control,
    limit: Duration,
    storm: impl FnOnce() -> Result<(), Failure>,
) -> Result<Vec<f64>, Failure> {
    let on = AtomicBool::new(true);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            asking::ask(asker, Question::List, Pace::Paced, limit, &mut || on.load(Ordering::Relaxed))
        });
        let outcome = storm();
        on.store(false, Ordering::Relaxed);
        let panicked = || Err(Failure::Broken("the asker panicked".to_owned()));
        let times = asking.join().unwrap_or_else(|_| panicked());
        outcome.and(times)
    })
}

/// Kills one after the other, at the same rate for every contender, and waits until all are back. Returns the
/// replacements per second: who replaces late has a quiet storm, and its answers are to be read with that.
fn crash(session: &mut Session<'_>) -> Result<f64, Failure> {
    let begin = Instant::now();
    let (mut turns, mut replaced) = (0, 0);
    while begin.elapsed() < CRASHES_LAST {
        replaced += session.look()?;
        // Where nobody is left the replacements are slower than the kills.
        if let Some(victim) = session.any() {
            session.kill(victim);
        }
        turns += 1;
        thread::sleep((CRASH_INTERVAL * turns).saturating_sub(begin.elapsed()));
    }
    let rate = f64::from(replaced) / begin.elapsed().as_secs_f64();
    session.wait_up()?;
    Ok(rate)
}
