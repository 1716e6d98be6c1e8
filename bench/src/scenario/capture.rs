//! How fast a program's output gets into files, what that costs, and whether it is all there.
//!
//! The files are read at the end: every line must be there once, whole, and in its place.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time and looks again until it is there")]

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, ErrorKind},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::Scenario;
use crate::{
    activity::Activity,
    contender::Layout,
    failure::Failure,
    flood::{LINE, LINES, number},
    place::Place,
    session::Session,
    sheet::{Metric, Target, Unit},
    tree,
};

/// The size of a file.
pub const MAX_BYTES: usize = 50 * 1024 * 1024;
/// How many are kept besides the one that is written: more than are filled.
pub const BACKUPS: usize = 10;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(2);

const METRICS: [Metric; 3] = [
    Metric {
        what: "200 MB in lines of 100 bytes, from the first one to the last one in the files",
        unit: Unit::Time,
        target: Some(Target::OfLimit(1.0 / 0.7)),
    },
    Metric { what: "Processor time of who takes them, for 1 GB", unit: Unit::Time, target: None },
    Metric { what: "Lines lost, torn or out of order", unit: Unit::Count, target: Some(Target::AtMost(0.0)) },
];

/// Opens the gate and waits for the last byte.
pub struct Capture;

impl Scenario for Capture {
    fn name(&self) -> &'static str {
        "capture"
    }

    fn layouts(&self) -> &'static [Layout] {
        &[Layout::Capture]
    }

    fn metrics(&self, _layout: Layout) -> &'static [Metric] {
        &METRICS
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        // Who takes the lines: the daemon, or, below the shell, `cat`.
        let taker = match tree::children_but(session.daemon(), "flood")[..] {
            [cat] => cat,
            _ => session.daemon(),
        };
        let (wanted, limit) = (u64::from(LINES) * LINE as u64, session.place.limit);
        let before = Activity::of(taker)?;
        let begin = Instant::now();
        drop(File::options().write(true).open(session.place.gate())?);
        while bytes(session.place)? < wanted {
            if begin.elapsed() > limit {
                return Err(Failure::Over(limit));
            }
            thread::sleep(LOOK);
        }
        let time = begin.elapsed().as_secs_f64();
        let cost = Activity::of(taker)?.since(&before).seconds * 1e9 / wanted as f64;
        Ok(vec![Some(time), Some(cost), Some(f64::from(wrong(session.place)?))])
    }
}

/// Makes the gate, closed, and removes what an earlier capture left.
///
/// # Errors
/// The run folder cannot be written.
pub fn prepare(place: &Place) -> Result<(), Failure> {
    let gate = place.gate();
    match mknodat(CWD, &gate, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        Err(rustix::io::Errno::EXIST) | Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    for file in files(place)? {
        fs::remove_file(file)?;
    }
    Ok(())
}

/// All files of the capture, the oldest first.
fn files(place: &Place) -> io::Result<Vec<PathBuf>> {
    let captured = place.captured();
    let backup = |number: &usize| place.run.join(format!("captured.log.{number}"));
    let backups = (1..=BACKUPS).rev().map(|number| backup(&number));
    Ok(backups.chain([captured]).filter(|it| it.exists()).collect())
}

fn bytes(place: &Place) -> io::Result<u64> {
    let mut sum = 0;
    for file in files(place)? {
        sum += match fs::metadata(file) {
            Ok(it) => it.len(),
            // Renamed just now.
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
    }
    Ok(sum)
}

/// How many lines are not what they should be.
fn wrong(place: &Place) -> Result<u32, Failure> {
    let (mut next, mut wrong) = (0, 0);
    let mut text = Vec::with_capacity(LINE);
    for file in files(place)? {
        let mut file = BufReader::with_capacity(1 << 20, File::open(file)?);
        while file.read_until(b'\n', &mut text)? > 0 {
            match number(&text) {
                Some(number) if number >= next => {
                    wrong += number - next;
                    next = number + 1;
                }
                Some(_) | None => wrong += 1,
            }
            text.clear();
        }
    }
    Ok(wrong + (LINES - next))
}
