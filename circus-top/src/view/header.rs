//! The top of a host: which daemon, how it is, and what it carries altogether.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    figure::{age, counted, percent, picture, size, span_of},
    line_of,
    look::Look,
    put_line, put_right,
};
use crate::state::{
    State,
    host::{Counts, Host},
    report::{Control, Link},
    text::width,
};

/// Cells of the picture of the whole CPU.
const PICTURE: usize = 20;

/// The names of all hosts, where only one of them has room.
pub(super) fn tabs(buffer: &mut Buffer, area: Rect, state: &State, look: Look) {
    let spans = state.hosts().iter().enumerate().map(|(at, host)| {
        let style = if at == state.focus { look.bar() } else { look.quiet() };
        span_of(format!(" {} ", host.label), style)
    });
    put_line(buffer, area, &Line::from(spans.collect::<Vec<_>>()));
}

/// Both lines.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, at: usize, host: &Host, look: Look) {
    let has_focus = at == state.focus && state.hosts().len() > 1;
    let name = if has_focus { look.bar() } else { look.strong() };
    let mut first = vec![span_of(format!(" {} ", host.label), name)];
    first.extend(daemon(host).into_iter().map(|text| span_of(format!(" {text} "), look.quiet())));
    let connection = connection(state, host, look);
    // Whether the picture is true matters more than what the daemon uses.
    let kept = line_of(area, 0).width.saturating_sub(needed(&connection.spans));
    put_whole(buffer, line_of(area, 0), first, kept);
    put_right(buffer, line_of(area, 0), &connection);

    let (second, width) = (line_of(area, 1), area.width);
    let rest = put_whole(buffer, second, watchers(host, state, look), width);
    let points: Vec<_> = host.cpu.last(PICTURE).collect();
    let top = host.cpu.peak().unwrap_or_default().max(100.0);
    let drawn = picture(&points, top, PICTURE, look);
    put_right(buffer, rest, &Line::from(span_of(format!(" {drawn} "), look.picture())));
}

/// What is known of circusd itself.
fn daemon(host: &Host) -> Vec<String> {
    let mut words = Vec::new();
    if let Control::Found { version: Some(version), .. } = &host.control {
        words.push(format!("circusd {version}"));
    }
    if let Some(daemon) = host.daemon() {
        let figures = &daemon.figures;
        words.extend(figures.age.map(|seconds| format!("up {}", age(Some(seconds)))));
        words.extend(figures.cpu.map(|cpu| format!("cpu {}%", percent(Some(cpu)))));
        words.extend(figures.rss.map(|rss| format!("rss {}", size(Some(rss)))));
    }
    words
}

fn connection(state: &State, host: &Host, look: Look) -> Line<'static> {
    let since = state.now.saturating_sub(host.stats_since).as_secs_f64();
    let (text, style) = match (state.is_paused(), host.stats, host.heard, &host.control) {
        (true, ..) => ("paused".to_owned(), look.warning()),
        (_, Link::Lost, ..) => {
            (format!("{} lost {} ago, trying again", look.circle(), age(Some(since))), look.bad())
        }
        (_, Link::Up, Some(_), _) => (format!("{} live", look.dot()), look.good()),
        (_, _, None, Control::Found { .. }) if host.has_data() => {
            (format!("{} live, no statistics channel", look.dot()), look.warning())
        }
        (_, Link::Waiting, ..) => (format!("{} connecting", look.circle()), look.warning()),
        (_, Link::Up, None, _) => (format!("{} waiting for data", look.circle()), look.warning()),
    };
    let mut spans = vec![span_of(format!(" {text} "), style)];
    match &host.control {
        Control::Found { .. } if state.read_only => spans.push(span_of("read-only ", look.quiet())),
        Control::Absent { .. } => spans.push(span_of("read-only ", look.quiet())),
        Control::Lost => spans.push(span_of("no control ", look.warning())),
        Control::Seeking | Control::Found { .. } => {}
    }
    Line::from(spans)
}

/// Writes as many of the spans as have room as a whole, and the first in any case; returns what is left.
fn put_whole(buffer: &mut Buffer, area: Rect, spans: Vec<Span<'static>>, room: u16) -> Rect {
    let mut used = 0;
    let fits = |span: &Span<'_>| {
        used += needed(std::slice::from_ref(span));
        used <= room
    };
    let count = spans.iter().map(fits).take_while(|fits| *fits).count().max(1);
    put_line(buffer, area, &Line::from_iter(spans.into_iter().take(count)))
}

fn needed(spans: &[Span<'_>]) -> u16 {
    let cells = spans.iter().map(|span| width(&span.content)).sum::<usize>();
    u16::try_from(cells).unwrap_or(u16::MAX)
}

fn watchers(host: &Host, state: &State, look: Look) -> Vec<Span<'static>> {
    let counts = host.counts(state.shown_at());
    let sum = host.sum();
    let mut spans =
        vec![span_of(format!(" {}  ", counted(counts.watchers, "watcher", "watchers")), look.strong())];
    let Counts { active, changing, stopped, backoff, flapping, .. } = counts;
    let parts = [
        (active, "active", look.good()),
        (changing, "changing", look.warning()),
        (stopped, "stopped", look.quiet()),
        (backoff, "backoff", look.warning()),
        (flapping, "flapping", look.bad()),
    ];
    let told = parts.into_iter().filter(|(count, ..)| *count > 0);
    spans.extend(told.map(|(count, word, style)| span_of(format!("{count} {word}  "), style)));
    spans.push(span_of(counted(sum.processes, "process", "processes"), look.strong()));
    if sum.cpu.is_some() {
        spans.push(span_of(format!("  cpu {}%", percent(sum.cpu)), look.strong()));
    }
    if sum.mem.is_some() {
        spans.push(span_of(format!("  mem {}%", percent(sum.mem)), look.strong()));
    }
    spans
}
