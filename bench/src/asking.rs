//! Asks again and again, and notes how long each answer takes.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and gives others some")]

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    contender::{Control, Question},
    failure::Failure,
    sheet::quantile,
};

/// The pause of [`Pace::Paced`]: short enough to meet what goes on, long enough not to be a part of it.
const PAUSE: Duration = Duration::from_millis(1);

/// When the next request follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// With the answer.
    AtOnce,
    /// After a pause.
    Paced,
}

/// Asks while `on` says so, for `time` at most; the seconds each answer took, at least one.
///
/// # Errors
/// A request fails.
pub fn ask(
    control: &mut dyn Control,
    question: Question,
    pace: Pace,
    time: Duration,
    on: &mut dyn FnMut() -> bool,
) -> Result<Vec<f64>, Failure> {
    let begin = Instant::now();
    let mut times = Vec::new();
    loop {
        let asked = Instant::now();
        control.ask(question)?;
        times.push(asked.elapsed().as_secs_f64());
        if !on() || begin.elapsed() > time {
            return Ok(times);
        }
        if pace == Pace::Paced {
            thread::sleep(PAUSE);
        }
    }
}

/// The median and the 99th percentile.
#[must_use]
pub fn p50_and_p99(mut times: Vec<f64>) -> [Option<f64>; 2] {
    times.sort_by(f64::total_cmp);
    [quantile(&times, 0.5), quantile(&times, 0.99)]
}
