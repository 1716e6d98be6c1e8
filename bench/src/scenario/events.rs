//! How many events reach their subscribers in a second.
//!
//! Each event is made by a request that is answered before the next one is sent, so no contender has to drop any.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and looks again until it is there")]

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{ONE, Scenario};
use crate::{
    contender::{Layout, Name},
    failure::Failure,
    session::Session,
    sheet::{Metric, Unit},
    subscriber::Subscriber,
};

/// Events of one measurement.
const EVENTS: usize = 3000;
/// How often it is looked whether all have come.
const LOOK: Duration = Duration::from_millis(1);
/// For events that are still on their way.
const QUIET: Duration = Duration::from_millis(300);

const METRICS: [Metric; 2] = [
    Metric { what: "Events received per second by 1 subscriber", unit: Unit::Rate, target: None },
    Metric { what: "Events received per second by 10 subscribers together", unit: Unit::Rate, target: None },
];

/// Makes events one after the other, with 1 subscriber and with 10.
pub struct Events;

impl Scenario for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn layouts(&self) -> &'static [Layout] {
        ONE
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn applies(&self, name: Name) -> bool {
        matches!(name, Name::Circusd | Name::Circus)
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        [1, 10].into_iter().map(|subscribers| rate(session, subscribers).map(Some)).collect()
    }
}

fn rate(session: &Session<'_>, subscribers: usize) -> Result<f64, Failure> {
    let missing = || Failure::Broken("no events are published".to_owned());
    let endpoint = session.events().ok_or_else(missing)?;
    let mut control = session.connect()?;
    let all: Vec<Subscriber> =
        (0..subscribers).map(|_| Subscriber::start(endpoint, "watcher.pause.updated")).collect();
    let limit = session.place.limit;
    // A subscription takes a moment: it stands when an event has come.
    wait(limit, || {
        control.make_event()?;
        thread::sleep(LOOK);
        Ok(all.iter().all(|it| it.seen() > 0))
    })?;
    thread::sleep(QUIET);
    let before: Vec<usize> = all.iter().map(Subscriber::seen).collect();
    let begin = Instant::now();
    for _ in 0..EVENTS {
        control.make_event()?;
    }
    wait(limit, || {
        thread::sleep(LOOK);
        Ok(all.iter().zip(&before).all(|(it, before)| it.seen() >= before + EVENTS))
    })?;
    Ok((EVENTS * subscribers) as f64 / begin.elapsed().as_secs_f64())
}

fn wait(limit: Duration, mut done: impl FnMut() -> Result<bool, Failure>) -> Result<(), Failure> {
    let begin = Instant::now();
    while !done()? {
        if begin.elapsed() > limit {
            return Err(Failure::Over(limit));
        }
    }
    Ok(())
}
