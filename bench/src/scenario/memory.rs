//! What the daemon itself takes: its proportional set size, helpers and workers not counted.

use std::fs;

use rustix::process::Pid;

use super::{BOTH, Scenario};
use crate::{
    contender::{Layout, Name},
    failure::Failure,
    session::Session,
    sheet::{Metric, Target, Unit},
};

const MIB: f64 = 1024.0 * 1024.0;

const ONE_WATCHER: [Metric; 1] = [Metric {
    what: "Memory of the daemon (PSS) with {n} processes",
    unit: Unit::Memory,
    target: Some(Target::AtMost(8.0 * MIB)),
}];
const A_WATCHER_EACH: [Metric; 1] = [Metric {
    what: "Memory of the daemon (PSS) with {n} processes",
    unit: Unit::Memory,
    target: Some(Target::AtMost(12.0 * MIB)),
}];

/// Looks at the daemon with everything running.
pub struct Memory;

impl Scenario for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn layouts(&self) -> &'static [Layout] {
        BOTH
    }

    fn metrics(&self, layout: Layout) -> &'static [Metric] {
        match layout {
            Layout::One | Layout::Statistics | Layout::Capture => &ONE_WATCHER,
            Layout::Each => &A_WATCHER_EACH,
        }
    }

    fn applies(&self, name: Name) -> bool {
        // The bare loop knows nothing of its processes: no limit of memory.
        name != Name::Limit
    }

    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure> {
        session.bring_up()?;
        Ok(vec![Some(pss(session.daemon())?)])
    }
}

fn pss(pid: Pid) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero()))?;
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"));
    let kilobytes: Option<f64> = kilobytes.and_then(|it| it.trim().parse().ok());
    kilobytes.map(|it| it * 1024.0).ok_or_else(|| Failure::Broken("no Pss in smaps_rollup".to_owned()))
}
