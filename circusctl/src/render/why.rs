//! `why`: how the processes of a watcher ended lately, and what is tried next.

use serde_json::{Map, Value};

use circus_common::config::python_text::str as str_of;

use super::{Reply, age::age, member};

const TITLES: [&str; 5] = ["SLOT", "PID", "ENDED", "LIVED", "HOW"];

/// A table of the last exits, newest last in each slot, then waiting back-offs and spawn errors.
pub fn why(reply: &Reply) -> String {
    let mut lines = vec![heading(reply)];
    let rows = rows(reply);
    if rows.is_empty() {
        lines.push("no process has ended yet".to_owned());
    } else {
        lines.extend(aligned(&rows));
    }
    lines.extend(last_words(reply));
    lines.extend(members(reply, "backoff").map(|(slot, wait)| backoff(slot, wait)));
    // A spawn that keeps failing fails the same way each time.
    lines.extend(spawn_errors(reply).chunk_by(|one, next| one == next).map(spawn_error));
    lines.join("\n")
}

/// How one process ended, in a few words.
pub fn ending(exit: &Reply) -> String {
    let (how, expectation) = match (exit.get("signal").and_then(Value::as_str), exit.get("exit_code")) {
        (Some(signal), _) => (format!("killed by {signal}"), "as asked"),
        // It may have been asked to end, or to run once and be done: the reply does not tell.
        (None, Some(code)) => (format!("exited with {}", str_of(code)), "as expected"),
        (None, None) => (member(exit, "text"), "as expected"),
    };
    let expected = exit.get("expected").and_then(Value::as_bool).unwrap_or(false);
    if expected { format!("{how}, {expectation}") } else { how }
}

/// The same in a word or two, for a narrow place: `SIGKILL`, `exit 1`.
pub fn short_ending(exit: &Reply) -> String {
    match (exit.get("signal").and_then(Value::as_str), exit.get("exit_code")) {
        (Some(signal), _) => signal.to_owned(),
        (None, Some(code)) => format!("exit {}", str_of(code)),
        (None, None) => member(exit, "text"),
    }
}

/// The seconds between an exit and the reply that tells of it, both by the daemon's clock.
pub fn seconds_since(exit: &Reply, reply: &Reply) -> f64 {
    number(reply, "time") - number(exit, "time")
}

/// The latest exit of all slots.
pub fn latest(reply: &Reply) -> Option<&Reply> {
    exits(reply).map(|(_, exit)| exit).max_by(|a, b| number(a, "time").total_cmp(&number(b, "time")))
}

/// Why the last attempt to start a process failed, of those that are remembered.
pub fn latest_spawn_error(reply: &Reply) -> Option<String> {
    spawn_errors(reply).last().map(|error| spawn_error(std::slice::from_ref(error)))
}

fn spawn_errors(reply: &Reply) -> &[Value] {
    reply.get("errors").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn heading(reply: &Reply) -> String {
    let restarts = member(reply, "restarts");
    let times = if restarts == "1" { "restart" } else { "restarts" };
    format!("{}: {restarts} {times}", member(reply, "name"))
}

fn rows(reply: &Reply) -> Vec<[String; 5]> {
    let row = |(slot, exit): (&String, &Reply)| {
        [
            slot.clone(),
            member(exit, "pid"),
            format!("{} ago", age(seconds_since(exit, reply))),
            age(number(exit, "lifespan")),
            ending(exit),
        ]
    };
    exits(reply).map(row).collect()
}

fn exits(reply: &Reply) -> impl Iterator<Item = (&String, &Reply)> {
    members(reply, "slots").flat_map(|(slot, exits)| {
        let exits = exits.as_array().map_or(&[][..], Vec::as_slice);
        exits.iter().filter_map(Value::as_object).map(move |exit| (slot, exit))
    })
}

/// What the last process of each slot wrote on stderr before it ended, where circusd remembers that.
fn last_words(reply: &Reply) -> Vec<String> {
    let mut lines = Vec::new();
    for (slot, exits) in members(reply, "slots") {
        let last = exits.as_array().and_then(|exits| exits.last()).and_then(Value::as_object);
        let Some((exit, Some(words))) = last.map(|exit| (exit, exit.get("stderr").and_then(Value::as_array)))
        else {
            continue;
        };
        lines.push(format!("slot {slot}, pid {} on stderr:", member(exit, "pid")));
        lines.extend(words.iter().map(|word| format!("  {}", str_of(word))));
    }
    lines
}

fn backoff(slot: &str, wait: &Value) -> String {
    let empty = Map::new();
    let wait = wait.as_object().unwrap_or(&empty);
    let failed = match member(wait, "failures").as_str() {
        "1" => "failed once".to_owned(),
        failures => format!("failed {failures} times in a row"),
    };
    format!("slot {slot}: {failed}, next try in {}", age(number(wait, "retry_in")))
}

/// One line for an error that came so many times in a row.
fn spawn_error(same: &[Value]) -> String {
    let text = same.first().map(str_of).unwrap_or_default();
    match same.len() {
        0 | 1 => format!("cannot start: {text}"),
        times => format!("cannot start: {text} ({times} times)"),
    }
}

fn members<'a>(reply: &'a Reply, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    reply.get(name).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn number(members: &Reply, name: &str) -> f64 {
    members.get(name).and_then(Value::as_f64).unwrap_or(0.0)
}

/// Columns as wide as their widest cell, two blanks apart, nothing after the last.
fn aligned(rows: &[[String; 5]]) -> Vec<String> {
    let titles = TITLES.map(str::to_owned);
    let all: Vec<_> = std::iter::once(&titles).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &&[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}
