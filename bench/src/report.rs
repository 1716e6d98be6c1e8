//! The sheet as Markdown. Every number in it is one that was measured in this run.

use std::fmt::Write;

use crate::{
    contender::{Layout, Name},
    scenario::Scenario,
    sheet::{Figure, Metric, Sheet, Target, Unit},
};

/// What stands above the tables.
#[derive(Debug)]
pub struct Circumstances {
    /// When the run began.
    pub date: String,
    /// Where it ran.
    pub machine: String,
    /// The load averages when it began and when it ended.
    pub load: [String; 2],
    /// The command line.
    pub command: String,
    /// Which commit was measured, where that is known.
    pub commit: Option<String>,
    /// The contenders and their versions.
    pub versions: Vec<(Name, String)>,
    /// How many runs there were.
    pub runs: usize,
}

const METHOD: &str = "\
The runs of the contenders alternate; each figure is the median of the runs. A program that all contenders start (`pause`)
notes in a shared file when it runs first: starts and replacements are timed by that note, alike for all, and cost the
contender nothing. The ends of processes are seen through pidfds. Each contender is driven over TCP on the loopback as its own
clients do it: circusd, Circus and the raw echo by the same ZeroMQ client, Supervisor by XML-RPC on a kept connection (for
`list` its `getState`). *limit* is a bare posix_spawn loop, one thread per core, one thread that reaps and replaces, and beside
it a ROUTER that echoes, each in a process of its own; it stands for what the system itself takes. circusd runs with
`respawn_healthy = 0`, since the benchmark kills in a row, Circus with its `check_delay` of 5 s and without statistics,
Supervisor with `startsecs = 0` and no logs. For the statistics both publish once a second to one subscriber, and what counts is
the processor time of the process that does it. For the capture one program writes all lines as fast as they are taken, into files of
50 MiB of which ten are kept; the limit is `cat > file`, without rotation. `> 60 s` means that the contender was given up
after that time.
";

/// What profiles (`perf`, `perf sched`, /proc/PID/smaps) say of the figures that come near their targets or miss them.
const REASONS: &str = "
## What stands between circusd and the limit

Measured on 2 cores with `perf`, `perf sched` and `/proc/PID/smaps`.

- *SIGKILL to its replacement*: most of the time is the old process' end and the new one's exec, alike for all. The bare
  loop spawns on the thread that has seen the end. circusd hands the spawn to another thread, because an exec waits for
  the file system and the thread that decides must not; so one more idle core has to wake up.
- *`start`*: the same hand-over, but the cores are busy and nobody has to wake up; what differs is within the noise.
- *`stop`*: before the first signal circusd looks for the descendants of all processes (a pass over `/proc`, 10 to 20 ms),
  because afterwards nobody can tell whose they were; the others leave them behind. The entries of `/proc` that this makes
  cost the kernel another 12 ms when the processes end. After that circusd needs 60 ms of processor time for a thousand
  events, log lines and entries of its tables, and shares the two cores with a thousand processes that are ending.
- *A request*: the echo is one task; a request of circusd passes the socket's task, the controller, the arbiter and the
  way back. Of the 50 µs of its processor time the kernel takes a quarter; the rest is spread over the runtime, the ZeroMQ
  crate and circusd.
- *Memory*: at work 5 to 6 MiB of a daemon are program text and constants, the same for one process or a thousand. Of those
  and of its heap it gives back what it does not use 0.2 s after a burst of work, so what is measured is a daemon at rest.
- *Capture*: `cat` reads and writes on one thread. In circusd one thread reads all pipes and never writes, so that a disk
  that hangs holds up its own stream only, and another writes: with the program that floods these are three busy threads
  on two cores, and the writer waits its turn behind the flood. With a core more there is one for each.
";

/// The whole page. `plot` is the picture's file name, where there is one.
#[must_use]
pub fn render(
    circumstances: &Circumstances,
    sheets: &[(usize, Sheet)],
    scenarios: &[&dyn Scenario],
    plot: Option<&str>,
) -> String {
    let mut page = String::from("# Benchmarks\n\nWritten by the benchmark itself; do not edit.\n\n");
    head(&mut page, circumstances);
    page.push('\n');
    page.push_str(METHOD);
    if let Some(plot) = plot {
        page.push_str(&format!("\n![Times and costs of the others, circusd being 1]({plot})\n"));
    }
    let names: Vec<Name> = circumstances.versions.iter().map(|(name, _)| *name).collect();
    let lines: Vec<(Layout, &Metric)> = scenarios.iter().flat_map(|it| lines(*it)).collect();
    for (processes, sheet) in sheets {
        page.push_str(&format!("\n## Medians, {processes} processes\n\n"));
        medians(&mut page, *processes, sheet, &names, &lines);
    }
    page.push_str(REASONS);
    for (processes, sheet) in sheets {
        page.push_str(&format!("\n## All runs in their order, {processes} processes\n\n"));
        all_runs(&mut page, *processes, sheet, &names, &lines);
    }
    page
}

fn head(page: &mut String, it: &Circumstances) {
    let mut item = |text: String| {
        page.push_str("- ");
        page.push_str(&text);
        page.push('\n');
    };
    item(format!("Date: {}", it.date));
    item(format!("Machine: {}", it.machine));
    item(format!(
        "Load averages: {} at the beginning, {} at the end (above 1 before: others were at work)",
        it.load[0], it.load[1]
    ));
    let versions: Vec<String> =
        it.versions.iter().map(|(name, version)| format!("{} {version}", name.title())).collect();
    let commit = it.commit.as_deref().map(|it| format!(" (circusd of commit {it})")).unwrap_or_default();
    item(format!("Versions: {}{commit}", versions.join("; ")));
    item(format!("Command: `{}`: runs: {}", it.command, it.runs));
    if cfg!(debug_assertions) {
        item(
            "**Not optimised**: a debug build, whose figures of circusd and of the echo mean nothing"
                .to_owned(),
        );
    }
}

/// The lines of the table that a scenario fills: of each metric all layouts, one below the other.
pub fn lines(scenario: &dyn Scenario) -> Vec<(Layout, &'static Metric)> {
    let mut found = Vec::new();
    for metric in 0.. {
        let before = found.len();
        for layout in scenario.layouts() {
            found.extend(scenario.metrics(*layout).get(metric).map(|it| (*layout, it)));
        }
        if found.len() == before {
            break;
        }
    }
    found
}

fn medians(page: &mut String, processes: usize, sheet: &Sheet, names: &[Name], lines: &[(Layout, &Metric)]) {
    let mut head = vec!["What".to_owned()];
    head.extend(names.iter().map(|name| name.title().to_owned()));
    let ratios: Vec<(Name, Name)> =
        [(Name::Circusd, Name::Limit), (Name::Circus, Name::Circusd), (Name::Supervisor, Name::Circusd)]
            .into_iter()
            .filter(|(left, right)| names.contains(left) && names.contains(right))
            .collect();
    head.extend(ratios.iter().map(|(left, right)| format!("{} / {}", left.title(), right.title())));
    head.push("target".to_owned());
    row(page, &head);
    row(page, &rule(head.len()));
    for (layout, metric) in lines {
        let median = |name: Name| sheet.median(metric, *layout, name);
        if names.iter().all(|name| median(*name).is_none()) {
            continue;
        }
        let mut cells = vec![title(metric, *layout, processes)];
        cells.extend(names.iter().map(|name| cell(metric.unit, median(*name))));
        cells.extend(ratios.iter().map(|(left, right)| ratio(median(*left), median(*right))));
        cells.push(verdict(metric, median(Name::Circusd), median(Name::Limit)));
        row(page, &cells);
    }
}

fn all_runs(page: &mut String, processes: usize, sheet: &Sheet, names: &[Name], lines: &[(Layout, &Metric)]) {
    let mut head = vec!["What".to_owned()];
    head.extend(names.iter().map(|name| name.title().to_owned()));
    row(page, &head);
    row(page, &rule(head.len()));
    for (layout, metric) in lines {
        let mut cells = vec![title(metric, *layout, processes)];
        for name in names {
            let all = sheet.all(metric, *layout, *name).iter();
            cells.push(all.map(|it| cell(metric.unit, Some(*it))).collect::<Vec<_>>().join(", "));
        }
        if cells.iter().skip(1).any(|it| !it.is_empty()) {
            row(page, &cells);
        }
    }
}

/// What a line of the table is about.
pub fn title(metric: &Metric, layout: Layout, processes: usize) -> String {
    format!("{}, {}", metric.what.replace("{n}", &processes.to_string()), layout.title())
}

fn row(page: &mut String, cells: &[String]) {
    page.push_str("| ");
    page.push_str(&cells.join(" | "));
    page.push_str(" |\n");
}

/// The first column is text, the others are numbers.
fn rule(columns: usize) -> Vec<String> {
    (0..columns).map(|column| if column == 0 { "---" } else { "---:" }.to_owned()).collect()
}

fn cell(unit: Unit, figure: Option<Figure>) -> String {
    match figure {
        Some(Figure::Value(value)) => amount(unit, value),
        Some(Figure::Over(limit)) => format!("> {} s", limit.as_secs()),
        Some(Figure::Failed) => "failed".to_owned(),
        None => "–".to_owned(),
    }
}

fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Time if value >= 10.0 => format!("{value:.1} s"),
        Unit::Time if value >= 1.0 => format!("{value:.2} s"),
        Unit::Time if value >= 0.1 => format!("{:.0} ms", value * 1e3),
        Unit::Time if value >= 0.001 => format!("{:.1} ms", value * 1e3),
        Unit::Time => format!("{:.0} µs", value * 1e6),
        Unit::Memory => format!("{:.1} MiB", value / 1024.0 / 1024.0),
        Unit::Rate => format!("{value:.1}"),
        Unit::Count => format!("{value:.0}"),
    }
}

fn ratio(left: Option<Figure>, right: Option<Figure>) -> String {
    match (left, right) {
        (Some(Figure::Value(left)), Some(Figure::Value(right))) if right > 0.0 => {
            let ratio = left / right;
            if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
        }
        // No more than a lower bound, but that it is.
        (Some(Figure::Over(left)), Some(Figure::Value(right))) if right > 0.0 => {
            format!("> {:.0}", left.as_secs_f64() / right)
        }
        _ => "–".to_owned(),
    }
}

fn verdict(metric: &Metric, ours: Option<Figure>, limit: Option<Figure>) -> String {
    let (bound, mut text) = match metric.target {
        None => return String::new(),
        Some(Target::AtMost(bound)) => (Some(bound), format!("≤ {}", amount(metric.unit, bound))),
        Some(Target::OfLimit(times)) => {
            let limit = limit.map(Figure::rank).filter(|it| it.is_finite());
            (limit.map(|it| it * times), format!("≤ {times:.2} × limit"))
        }
    };
    if let (Some(bound), Some(ours)) = (bound, ours) {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {}", if ours.rank() <= bound { "met" } else { "**missed**" });
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_amount_has_the_unit_that_suits_it() {
        let times = [12.34, 1.234, 0.2345, 0.0123, 0.000_123].map(|it| amount(Unit::Time, it));
        assert_eq!(times, ["12.3 s", "1.23 s", "234 ms", "12.3 ms", "123 µs"]);
        assert_eq!(amount(Unit::Memory, 8_388_608.0), "8.0 MiB");
    }

    #[test]
    fn what_took_too_long_gives_a_lower_bound_of_the_ratio() {
        let over = Some(Figure::Over(Duration::from_secs(60)));
        assert_eq!(ratio(over, Some(Figure::Value(0.5))), "> 120");
        assert_eq!(ratio(Some(Figure::Value(1.0)), over), "–");
        assert_eq!(cell(Unit::Time, over), "> 60 s");
    }

    #[test]
    fn a_target_is_met_missed_or_not_known() {
        let metric = Metric { what: "it", unit: Unit::Time, target: Some(Target::OfLimit(1.5)) };
        let value = |it| Some(Figure::Value(it));
        assert_eq!(verdict(&metric, value(1.5), value(1.0)), "≤ 1.50 × limit: met");
        assert_eq!(verdict(&metric, value(1.6), value(1.0)), "≤ 1.50 × limit: **missed**");
        assert_eq!(verdict(&metric, value(1.6), None), "≤ 1.50 × limit");
    }
}
