//! One frame as plain text, for scripts and terminals that can only print.
//!
//! All rows, no escape sequences, nothing cut but names: what `--once` prints.

use std::fmt::Write as _;

use super::{
    figure::{age, counted, left, percent, right, size},
    look::Look,
};
use crate::state::{
    State,
    host::Host,
    report::{Control, Link},
    rows::Row,
    watcher::{Process, Watcher},
};

/// Cells of the names.
const NAME: usize = 28;

/// All hosts, one below the other.
#[must_use]
pub fn text(state: &State, look: Look) -> String {
    let mut text = String::new();
    for (at, host) in state.hosts().iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        one(&mut text, state, at, host, look);
    }
    text
}

fn one(text: &mut String, state: &State, at: usize, host: &Host, look: Look) {
    // Writing into a string cannot fail.
    let _ = writeln!(text, "{}", heading(host, state));
    if host.has_data() {
        let _ = writeln!(text, "{}", titles());
    }
    for row in state.rows(at) {
        let line = match row {
            Row::Watcher { watcher, sum, .. } => {
                let figures = [percent(sum.cpu), percent2(sum.mem), size(sum.rss), age(sum.age)];
                let figures = if sum.processes == 0 { Default::default() } else { figures };
                let state = watcher.condition(state.shown_at()).map(|it| it.word()).unwrap_or_default();
                cells(&watcher.name, &processes(watcher), "", figures, &restarts(watcher), state, look)
            }
            Row::Process { process, .. } => process_line(process, look),
            Row::Sockets { count, .. } => format!("sockets ({count})"),
            Row::Socket { socket, .. } => {
                let name = socket.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
                let address = left(&format!("  {name}{}", socket.address), NAME + 14, look);
                let hits = socket.reads.map_or_else(|| "N/A".to_owned(), |reads| reads.to_string());
                format!("{address} {hits:>6} hits")
            }
        };
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn heading(host: &Host, state: &State) -> String {
    let mut words = vec![host.label.clone()];
    if host.endpoint != host.label {
        words.push(host.endpoint.clone());
    }
    if let Control::Found { version: Some(version), .. } = &host.control {
        words.push(format!("circusd {version}"));
    }
    if let Some(daemon) = host.daemon() {
        words.extend(daemon.figures.age.map(|seconds| format!("up {}", age(Some(seconds)))));
    }
    if !host.has_data() {
        let text = match host.stats {
            Link::Up => "no data yet",
            Link::Waiting | Link::Lost => "not connected",
        };
        words.push(text.to_owned());
        return words.join("  ");
    }
    let (counts, sum) = (host.counts(state.shown_at()), host.sum());
    words.push(counted(counts.watchers, "watcher", "watchers"));
    words.push(counted(sum.processes, "process", "processes"));
    words.extend(sum.cpu.map(|cpu| format!("cpu {}%", percent(Some(cpu)))));
    words.extend(sum.mem.map(|mem| format!("mem {}%", percent2(Some(mem)))));
    words.join("  ")
}

fn titles() -> String {
    let titles = ["PID", "WID", "CPU%", "MEM%", "RSS", "AGE", "RST"];
    let [pid, wid, cpu, mem, rss, age, restarts] = titles;
    format!("{:<NAME$} {pid:>8} {wid:>4} {cpu:>6} {mem:>6} {rss:>7} {age:>7} {restarts:>5}  STATE", "WATCHER")
}

fn process_line(process: &Process, look: Look) -> String {
    let figures = &process.figures;
    let number = |number: Option<u64>| number.map(|it| it.to_string()).unwrap_or_default();
    cells(
        &format!("  {}", figures.title.as_ref().unwrap_or(&figures.command)),
        &process.pid.to_string(),
        &number(figures.wid),
        [percent(figures.cpu), percent2(figures.mem), size(figures.rss), age(figures.age)],
        &number(figures.restarts),
        if process.ending { "ending" } else { "" },
        look,
    )
}

fn cells(
    name: &str,
    pid: &str,
    wid: &str,
    [cpu, mem, rss, age]: [String; 4],
    restarts: &str,
    state: &str,
    look: Look,
) -> String {
    let (name, pid) = (left(name, NAME, look), right(pid, 8, look));
    format!("{name} {pid} {wid:>4} {cpu:>6} {mem:>6} {rss:>7} {age:>7} {restarts:>5}  {state}")
}

/// As circus-top of Circus prints memory: two decimals, since a process has little of a machine.
fn percent2(value: Option<f64>) -> String {
    value.map_or_else(|| percent(None), |value| format!("{value:.2}"))
}

fn processes(watcher: &Watcher) -> String {
    let wanted = watcher.about.as_ref().and_then(|about| about.wanted);
    let there = watcher.processes.len();
    wanted.map_or_else(|| format!("x{there}"), |wanted| format!("{there}/{wanted}"))
}

fn restarts(watcher: &Watcher) -> String {
    let told = watcher.why.as_ref().and_then(|why| why.restarts);
    told.map(|restarts| restarts.to_string()).unwrap_or_default()
}
