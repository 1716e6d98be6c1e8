//! The table: titles, watchers, processes, sockets.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use super::{
    figure::{UNKNOWN, age, fit, left, percent, picture, right, size},
    line_of,
    look::Look,
    put,
};
use crate::state::{
    At, State,
    history::History,
    host::{Host, Socket},
    layout::columns,
    report::{Control, Link},
    rows::Row,
    sort::Column,
    watcher::{Process, Sum, Watcher},
};

/// The text of a cell and how it looks.
type Cell = (String, Style);

/// The titles of the columns, with a mark at the one that gives the order.
pub(super) fn titles(buffer: &mut Buffer, area: Rect, state: &State, look: Look) {
    put(buffer, area, &" ".repeat(usize::from(area.width)), look.bar());
    let mut x = area.x;
    for (column, width) in columns(area.width) {
        let cells = usize::from(width);
        let mut title = column.title().to_owned();
        if column == state.sort.column {
            title.push_str(look.arrow(column.falls() != state.sort.reversed));
        }
        let text = aligned(column, &title, cells, look);
        put(buffer, Rect { x, width, ..area }, &text, look.bar());
        x += width;
    }
}

/// The rows that have room, from the cursor's offset on.
pub(super) fn rows(buffer: &mut Buffer, area: Rect, state: &State, at: usize, host: &Host, look: Look) {
    let rows = state.rows(at);
    if rows.is_empty() {
        put(buffer, line_of(area, 1), &format!("  {}", nothing(state, host)), look.quiet());
        return;
    }
    let Some(cursor) = state.cursor(at) else { return };
    for (line, (index, row)) in (0..area.height).zip(rows.iter().enumerate().skip(cursor.offset)) {
        let place = line_of(area, line);
        paint(buffer, place, row, state.shown_at(), look);
        if index == cursor.index && (at == state.focus || state.hosts().len() == 1) {
            buffer.set_style(place, look.selected());
        }
    }
}

/// Why there is no row.
fn nothing(state: &State, host: &Host) -> String {
    if !state.filter.is_empty() && host.has_data() {
        return format!("nothing matches `{}`", state.filter);
    }
    match (host.stats, &host.control) {
        (
            Link::Waiting,
            Control::Found { .. } | Control::Seeking | Control::Absent { .. } | Control::Lost,
        ) => {
            format!("waiting for {}", host.endpoint)
        }
        (Link::Up, _) => "*** Waiting for data ***".to_owned(),
        (Link::Lost, _) => format!("{} went away; waiting for it to come back", host.endpoint),
    }
}

fn paint(buffer: &mut Buffer, area: Rect, row: &Row<'_>, now: At, look: Look) {
    let mut x = area.x;
    for (column, width) in columns_for(row, area.width) {
        let cells = usize::from(width);
        let (text, style) = match row {
            Row::Watcher { key, watcher, sum, folded } => {
                watcher_cell(column, cells, watcher, (key.is_empty(), sum, *folded), now, look)
            }
            Row::Process { watcher, process, grouped, .. } => {
                let name = (!grouped).then_some(watcher.name.as_str());
                process_cell(column, cells, process, name, look)
            }
            Row::Sockets { count, folded } => sockets_cell(column, *count, *folded, look),
            Row::Socket { socket, .. } => socket_cell(column, cells, socket, look),
        };
        put(buffer, Rect { x, width, ..area }, &aligned(column, &text, cells, look), style);
        x += width;
    }
}

/// An address needs more room than a name, and a socket has neither pid nor slot.
fn columns_for(row: &Row<'_>, width: u16) -> Vec<(Column, u16)> {
    let mut all = columns(width);
    if matches!(row, Row::Socket { .. }) {
        let spare = |column: Column| matches!(column, Column::Pid | Column::Wid);
        let freed: u16 = all.iter().filter(|(column, _)| spare(*column)).map(|(_, width)| width).sum();
        all.retain(|(column, _)| !spare(*column));
        if let Some((_, name)) = all.first_mut() {
            *name += freed;
        }
    }
    all
}

/// Names and states stand left, figures right.
fn aligned(column: Column, text: &str, cells: usize, look: Look) -> String {
    match column {
        Column::Name => left(&format!(" {text}"), cells, look),
        Column::State => left(&format!("  {text}"), cells, look),
        Column::History if text.starts_with("HISTORY") => left(&format!(" {text}"), cells, look),
        Column::History => right(text, cells, Look { unicode: true, ..look }),
        Column::Pid
        | Column::Wid
        | Column::Cpu
        | Column::Mem
        | Column::Rss
        | Column::Age
        | Column::Restarts => right(text, cells, look),
    }
}

fn watcher_cell(
    column: Column,
    cells: usize,
    watcher: &Watcher,
    (own, sum, folded): (bool, &Sum, bool),
    now: At,
    look: Look,
) -> Cell {
    let is_empty = sum.processes == 0;
    let figure = |text: String| if is_empty { String::new() } else { text };
    let wanted = watcher.about.as_ref().and_then(|about| about.wanted);
    match column {
        Column::Name => {
            let mark = if folded { look.folded() } else { look.unfolded() };
            // The mark is ours and fits any terminal; only the name is a stranger's.
            (format!("{mark} {}", fit(&watcher.name, cells, look)), look.strong())
        }
        Column::Pid => match wanted {
            Some(wanted) => (format!("{}/{wanted}", sum.processes), look.quiet()),
            None => (format!("x{}", sum.processes), look.quiet()),
        },
        Column::Wid => (String::new(), Style::new()),
        Column::Cpu => (figure(percent(sum.cpu)), look.load(sum.cpu)),
        Column::Mem => (figure(percent(sum.mem)), Style::new()),
        Column::Rss => (figure(size(sum.rss)), Style::new()),
        Column::Age => (figure(age(sum.age)), Style::new()),
        Column::Restarts => (restarts(watcher, own), restarts_style(watcher, look)),
        Column::State => match watcher.condition(now) {
            Some(condition) => (condition.word().to_owned(), look.condition(condition)),
            None => (String::new(), Style::new()),
        },
        Column::History => (history(&watcher.cpu, cells, look), look.picture()),
    }
}

/// What the daemon counted; or what we saw, marked as being no more than that.
fn restarts(watcher: &Watcher, own: bool) -> String {
    match (watcher.why.as_ref().and_then(|why| why.restarts), watcher.ends_seen) {
        _ if own => String::new(),
        (Some(restarts), _) => restarts.to_string(),
        (None, 0) => String::new(),
        (None, seen) => format!("+{seen}"),
    }
}

fn restarts_style(watcher: &Watcher, look: Look) -> Style {
    if watcher.restarts() > 0 { look.warning() } else { look.quiet() }
}

fn process_cell(column: Column, cells: usize, process: &Process, name: Option<&str>, look: Look) -> Cell {
    let figures = &process.figures;
    let plain = |text: String| (text, Style::new());
    let count = |count: Option<u64>| plain(count.map(|count| count.to_string()).unwrap_or_default());
    // Nothing was said of a process that has just been born.
    let is_new = figures == &Default::default();
    let figure = |text: String| plain(if is_new && text == UNKNOWN { String::new() } else { text });
    match column {
        Column::Name => {
            let command = figures.title.as_ref().unwrap_or(&figures.command);
            match name {
                Some(name) => plain(format!("{name}  {command}")),
                None => plain(format!("    {command}")),
            }
        }
        Column::Pid => plain(process.pid.to_string()),
        Column::Wid => count(figures.wid),
        Column::Cpu => (figure(percent(figures.cpu)).0, look.load(figures.cpu)),
        Column::Mem => figure(percent(figures.mem)),
        Column::Rss => figure(size(figures.rss)),
        Column::Age => figure(age(figures.age)),
        Column::Restarts => count(figures.restarts),
        Column::State => {
            if process.ending {
                ("ending".to_owned(), look.warning())
            } else {
                plain(String::new())
            }
        }
        Column::History => (history(&process.cpu, cells, look), look.quiet()),
    }
}

fn sockets_cell(column: Column, count: usize, folded: bool, look: Look) -> Cell {
    match column {
        Column::Name => {
            let mark = if folded { look.folded() } else { look.unfolded() };
            (format!("{mark} sockets"), look.strong())
        }
        Column::Pid => (format!("x{count}"), look.quiet()),
        Column::Cpu => ("HITS/S".to_owned(), look.quiet()),
        Column::Rss => ("HITS".to_owned(), look.quiet()),
        Column::Wid | Column::Mem | Column::Age | Column::Restarts | Column::State | Column::History => {
            (String::new(), Style::new())
        }
    }
}

fn socket_cell(column: Column, cells: usize, socket: &Socket, look: Look) -> Cell {
    let name = match &socket.name {
        Some(name) => format!("    {name} {}", socket.address),
        None => format!("    {}", socket.address),
    };
    let text = match column {
        Column::Name => name,
        Column::Cpu => socket.reads.map_or_else(|| UNKNOWN.to_owned(), |reads| reads.to_string()),
        Column::Rss => socket.total.to_string(),
        Column::History => {
            let points: Vec<_> = socket.history.last(cells.saturating_sub(1)).collect();
            picture(&points, socket.history.peak().unwrap_or(1.0).max(1.0), cells.saturating_sub(1), look)
        }
        Column::Pid | Column::Wid | Column::Mem | Column::Age | Column::Restarts | Column::State => {
            String::new()
        }
    };
    (text, Style::new())
}

/// A second for each cell; a whole processor is the full height, unless there was more.
fn history(cpu: &History, cells: usize, look: Look) -> String {
    let cells = cells.saturating_sub(1);
    let points: Vec<_> = cpu.last(cells).collect();
    picture(&points, cpu.peak().unwrap_or_default().max(100.0), cells, look)
}
