//! The table's rows: what is unfolded, passes the filter, in the order asked for.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{
    host::{Host, Socket},
    sort::{Column, Sort},
    watcher::{Process, Sum, Watcher},
};

/// The key of Circus' own group among the folded ones; no watcher's name is empty.
pub const OWN: &str = "";
/// The key of the sockets' group; no watcher's name ends in a blank.
pub const SOCKETS: &str = " ";

/// What identifies a row, so that the cursor stays on it when the order changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A watcher or a group.
    Group(String),
    /// A process of a watcher.
    Process(String, u32),
    /// A socket.
    Socket(i64),
}

/// One row.
#[derive(Clone, Debug)]
pub enum Row<'a> {
    /// A watcher, or Circus' own processes.
    Watcher {
        /// Its name in topics.
        key: &'a str,
        /// What is known of it.
        watcher: &'a Watcher,
        /// All its processes together.
        sum: Sum,
        /// Whether its processes are hidden.
        folded: bool,
    },
    /// A process.
    Process {
        /// Its watcher's name in topics.
        key: &'a str,
        /// Its watcher.
        watcher: &'a Watcher,
        /// What is known of it.
        process: &'a Process,
        /// Whether its watcher stands above it.
        grouped: bool,
    },
    /// The head of the sockets.
    Sockets {
        /// How many.
        count: usize,
        /// Whether they are hidden.
        folded: bool,
    },
    /// A socket.
    Socket {
        /// Its descriptor.
        fd: i64,
        /// What is known of it.
        socket: &'a Socket,
    },
}

/// What decides which rows there are.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The order.
    pub sort: Sort,
    /// Processes under their watchers, or all in one list.
    pub grouped: bool,
    /// The text that rows must contain.
    pub filter: &'a str,
    /// Groups whose members are hidden.
    pub folded: &'a BTreeSet<String>,
}

impl Row<'_> {
    /// What identifies it.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Watcher { key, .. } => Key::Group((*key).to_owned()),
            Self::Process { key, process, .. } => Key::Process((*key).to_owned(), process.pid),
            Self::Sockets { .. } => Key::Group(SOCKETS.to_owned()),
            Self::Socket { fd, .. } => Key::Socket(*fd),
        }
    }
}

/// All rows of a host, from top to bottom.
#[must_use]
pub fn rows<'a>(host: &'a Host, choice: &Choice<'_>) -> Vec<Row<'a>> {
    let needle = choice.filter.to_lowercase();
    let mut watchers: Vec<(&str, &Watcher, Sum)> =
        host.watchers.iter().map(|(key, watcher)| (key.as_str(), watcher, watcher.sum())).collect();
    watchers.sort_by(|(_, one, a), (_, other, b)| choice.sort.watchers((one, a), (other, b)));
    let mut rows = Vec::new();
    if choice.grouped {
        for (key, watcher, sum) in watchers {
            group(&mut rows, key, watcher, sum, &needle, choice);
        }
    } else {
        one_list(&mut rows, &watchers, &needle, choice.sort);
    }
    if !host.own.processes.is_empty() {
        group(&mut rows, OWN, &host.own, host.own.sum(), &needle, choice);
    }
    sockets(&mut rows, host, &needle, choice);
    rows
}

/// A watcher and what is unfolded of it. A match of its name shows all of it, otherwise the matching processes.
fn group<'a>(
    rows: &mut Vec<Row<'a>>,
    key: &'a str,
    watcher: &'a Watcher,
    sum: Sum,
    needle: &str,
    choice: &Choice<'_>,
) {
    let is_named = matches(&watcher.name, needle);
    let mut shown: Vec<&Process> =
        watcher.processes.values().filter(|process| is_named || process_matches(process, needle)).collect();
    if !is_named && shown.is_empty() {
        return;
    }
    let folded = choice.folded.contains(key);
    rows.push(Row::Watcher { key, watcher, sum, folded });
    if folded {
        return;
    }
    shown.sort_by(|one, other| choice.sort.processes(one, other));
    rows.extend(shown.into_iter().map(|process| Row::Process { key, watcher, process, grouped: true }));
}

/// Every process of every watcher.
fn one_list<'a>(rows: &mut Vec<Row<'a>>, watchers: &[(&'a str, &'a Watcher, Sum)], needle: &str, sort: Sort) {
    let all = (0_usize..).zip(watchers).flat_map(|(place, (key, watcher, _))| {
        watcher.processes.values().map(move |process| (place, *key, *watcher, process))
    });
    let mut shown: Vec<_> = all
        .filter(|(_, _, watcher, process)| matches(&watcher.name, needle) || process_matches(process, needle))
        .collect();
    let by_watcher = matches!(sort.column, Column::Name | Column::State);
    shown.sort_by(|(one, _, _, a), (other, _, _, b)| {
        let watchers = if by_watcher { one.cmp(other) } else { Ordering::Equal };
        watchers.then_with(|| sort.processes(a, b))
    });
    rows.extend(shown.into_iter().map(|(_, key, watcher, process)| Row::Process {
        key,
        watcher,
        process,
        grouped: false,
    }));
}

fn sockets<'a>(rows: &mut Vec<Row<'a>>, host: &'a Host, needle: &str, choice: &Choice<'_>) {
    let is_named = matches("sockets", needle);
    let shown = host.sockets.iter().filter(|(_, socket)| {
        is_named
            || matches(&socket.address, needle)
            || socket.name.as_deref().is_some_and(|it| matches(it, needle))
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() {
        return;
    }
    let folded = choice.folded.contains(SOCKETS);
    rows.push(Row::Sockets { count: shown.len(), folded });
    if !folded {
        rows.extend(shown.into_iter().map(|(fd, socket)| Row::Socket { fd: *fd, socket }));
    }
}

fn process_matches(process: &Process, needle: &str) -> bool {
    let figures = &process.figures;
    let title = figures.title.as_deref().unwrap_or_default();
    [&figures.command, &figures.user, title].into_iter().any(|text| matches(text, needle))
        || process.pid.to_string().contains(needle)
}

fn matches(text: &str, needle: &str) -> bool {
    needle.is_empty() || text.to_lowercase().contains(needle)
}
