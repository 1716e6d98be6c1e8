//! What is known of the row under the cursor.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::{
    figure::{age, fit, left, percent, picture, size, span, span_of},
    line_of,
    look::Look,
    put, put_line,
};
use crate::state::{
    State,
    history::History,
    host::Socket,
    rows::Row,
    watcher::{Process, Watcher},
    why::Why,
};

/// Cells of the names at the left.
const NAME: usize = 8;
/// Cells of the figures behind a picture.
const FIGURES: usize = 28;

/// The pane with its title.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, at: usize, look: Look) {
    if area.height == 0 {
        return;
    }
    let rows = state.rows(at);
    let row = state.cursor(at).and_then(|cursor| rows.get(cursor.index));
    let cells = usize::from(area.width);
    let (title, lines) = match row {
        Some(Row::Watcher { watcher, .. }) => (watcher.name.clone(), of_watcher(watcher, state, cells, look)),
        Some(Row::Process { watcher, process, .. }) => {
            let title = format!("{} {}", watcher.name, process.pid);
            let mut lines = of_process(process, cells, look);
            lines.extend(ends(watcher, state, look));
            (title, lines)
        }
        Some(Row::Socket { fd, socket }) => (format!("socket {fd}"), of_socket(socket, cells, look)),
        Some(Row::Sockets { .. }) => ("sockets".to_owned(), vec![plain("hits are counted each second")]),
        None => (String::new(), Vec::new()),
    };
    let rule = look.rule().repeat(cells);
    put(buffer, line_of(area, 0), &rule, look.quiet());
    if !title.is_empty() {
        let title = fit(&format!(" {title} "), cells.saturating_sub(4), look);
        let place = line_of(area, 0);
        put(
            buffer,
            Rect { x: place.x + 2.min(place.width), width: place.width.saturating_sub(2), ..place },
            &title,
            look.strong(),
        );
    }
    for (at, line) in (1..area.height).zip(lines) {
        put_line(buffer, line_of(area, at), &line);
    }
}

fn of_watcher(watcher: &Watcher, state: &State, cells: usize, look: Look) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(about) = &watcher.about {
        let text = |text: &str| fit(text, cells.saturating_sub(NAME + 2), look);
        lines.push(named("runs", text(&about.command), look));
        let user = if about.user.is_empty() { String::new() } else { format!("as {}  ", about.user) };
        if !about.directory.is_empty() {
            lines.push(named("where", text(&format!("{user}in {}", about.directory)), look));
        }
    }
    lines.push(graph("cpu", &watcher.cpu, 100.0, |value| format!("{}%", percent(Some(value))), cells, look));
    lines.push(graph("memory", &watcher.rss, 1.0, bytes, cells, look));
    lines.extend(ends(watcher, state, look));
    lines
}

/// The last exits, and what comes next.
fn ends(watcher: &Watcher, state: &State, look: Look) -> Vec<Line<'static>> {
    let Some(why) = &watcher.why else { return Vec::new() };
    let passed = state.shown_at().saturating_sub(watcher.why_at).as_secs_f64();
    let mut lines = next_tries(why, passed, look);
    lines.extend(why.exits.iter().map(|exit| {
        let lived = exit.lifespan.map(|it| format!(", lived {}", span(it))).unwrap_or_default();
        let asked = if exit.expected { ", as asked" } else { "" };
        let text = format!("{} {}{asked}{lived}", exit.pid, exit.how);
        let style = if exit.expected { look.quiet() } else { look.warning() };
        let mut line = named("ended", format!("{:>7} ago  ", age(Some(exit.ago + passed))), look);
        line.push_span(span_of(text, style));
        line
    }));
    if why.exits.is_empty() {
        lines.push(named("ended", "none yet".to_owned(), look));
    }
    lines
}

fn next_tries(why: &Why, passed: f64, look: Look) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(error) = &why.error {
        lines.push(Line::from(vec![name("error", look), span_of(error.clone(), look.bad())]));
    }
    lines.extend(why.backoff.iter().map(|wait| {
        let when = match wait.retry_in.map(|left| left - passed) {
            Some(left) if left > 0.0 => format!(", next try in {}", span(left)),
            Some(_) | None => String::new(),
        };
        let text = format!("slot {} failed {} times in a row{when}", wait.slot, wait.failures);
        Line::from(vec![name("backoff", look), span_of(text, look.warning())])
    }));
    lines
}

fn of_process(process: &Process, cells: usize, look: Look) -> Vec<Line<'static>> {
    let figures = &process.figures;
    let mut words = vec![figures.command.clone()];
    let mut told = |label: &str, text: String| {
        if !text.is_empty() {
            words.push(format!("{label} {text}"));
        }
    };
    let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    told("user", figures.user.clone());
    told("nice", figures.nice.clone());
    told("time", figures.time.clone());
    told("virtual", figures.vms.map(|bytes| size(Some(bytes))).unwrap_or_default());
    told("threads", count(figures.threads));
    told("fds", count(figures.fds));
    let words = fit(&words.join("  "), cells.saturating_sub(NAME + 2), look);
    vec![
        named("runs", words, look),
        graph("cpu", &process.cpu, 100.0, |value| format!("{}%", percent(Some(value))), cells, look),
        graph("memory", &process.rss, 1.0, bytes, cells, look),
    ]
}

fn of_socket(socket: &Socket, cells: usize, look: Look) -> Vec<Line<'static>> {
    let hits = |value: f64| format!("{value:.0}");
    vec![
        named("address", fit(&socket.address, cells.saturating_sub(NAME + 2), look), look),
        graph("hits/s", &socket.history, 1.0, hits, cells, look),
    ]
}

/// The last five minutes with the latest and the highest figure.
fn graph(
    label: &str,
    history: &History,
    least_top: f64,
    text: impl Fn(f64) -> String,
    cells: usize,
    look: Look,
) -> Line<'static> {
    let room = cells.saturating_sub(NAME + 2 + FIGURES);
    let peak = history.peak().unwrap_or_default();
    let drawn = picture(&history.squeezed(room), peak.max(least_top), room, look);
    let latest = history.last(1).next().flatten().map(&text).unwrap_or_default();
    let figures = format!(" {latest:>9}  peak {:>9}", text(peak));
    Line::from(vec![name(label, look), span_of(drawn, look.picture()), span_of(figures, look.quiet())])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they were bytes before")]
fn bytes(value: f64) -> String {
    size(Some(value as u64))
}

fn name(label: &str, look: Look) -> ratatui::text::Span<'static> {
    span_of(format!("  {}", left(label, NAME, look)), look.quiet())
}

fn named(label: &str, text: String, look: Look) -> Line<'static> {
    Line::from(vec![name(label, look), span_of(text, ratatui::style::Style::new())])
}

fn plain(text: &str) -> Line<'static> {
    Line::from(format!("  {text}"))
}
