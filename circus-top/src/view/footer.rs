//! The bottom: what happened last, and what the keys do.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    figure::{age, fit, left, span_of},
    line_of,
    look::Look,
    put, put_line, put_right,
};
use crate::state::{Mode, State, host::Host, report::Link, text::width};

/// Cells of an event's age.
const AGE: usize = 7;

/// The keys that are named at the bottom, the most wanted first.
const KEYS: [(&str, &str); 9] = [
    ("q", "quit"),
    ("?", "help"),
    ("/", "filter"),
    ("<>", "sort"),
    ("space", "fold"),
    ("d", "detail"),
    ("p", "pause"),
    ("e", "events"),
    ("R", "restart"),
];

/// The last events, the latest at the bottom.
pub(super) fn events(buffer: &mut Buffer, area: Rect, state: &State, host: &Host, look: Look) {
    let room = usize::from(area.height);
    let first = host.lines.len().saturating_sub(room);
    let empty = room - host.lines.len().min(room);
    if host.lines.is_empty() {
        let text = match host.events {
            Link::Up => "no event yet",
            Link::Waiting | Link::Lost => "no event channel",
        };
        if let Some(last) = area.height.checked_sub(1) {
            put(buffer, line_of(area, last), &format!(" {text}"), look.quiet());
        }
        return;
    }
    let lines = host.lines.iter().skip(first);
    for (at, line) in (0..area.height).skip(empty).zip(lines) {
        let passed = state.shown_at().saturating_sub(line.at).as_secs_f64();
        let cells = usize::from(area.width).saturating_sub(AGE + 7);
        let name = fit(&line.watcher, cells / 3, look);
        let text = fit(&line.text, cells.saturating_sub(name.chars().count()), look);
        let spans = vec![
            span_of(format!(" {:>AGE$} ago  ", age(Some(passed))), look.quiet()),
            span_of(format!("{name} "), look.strong()),
            span_of(text, look.tone(line.tone)),
        ];
        put_line(buffer, line_of(area, at), &Line::from(spans));
    }
}

/// The last line: a question, what is typed, an answer, or the keys.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, state: &State, look: Look) {
    let cells = usize::from(area.width);
    match (&state.mode, &state.notice) {
        (Mode::Question { host, shown, action, .. }, _) => {
            let label = match (state.live().len(), state.live().get(*host)) {
                (2.., Some(host)) => format!("{}: ", host.label),
                _ => String::new(),
            };
            // The end of the question must stay on the screen, so it is the name that is cut.
            let fixed = action.question("").len() + label.len() + 16;
            let name = fit(shown, cells.saturating_sub(fixed).max(8), look);
            let text = format!(" {label}{}  y = yes, n = no", action.question(&name));
            put(buffer, area, &left(&text, cells, look), look.warning().patch(look.selected()));
        }
        (Mode::Filter, _) => {
            let text = format!(" filter: {}_   enter = keep, esc = clear", state.filter);
            put(buffer, area, &left(&text, cells, look), look.bar());
        }
        (Mode::Table | Mode::Help, Some(notice)) => {
            let style = if notice.bad { look.bad() } else { look.good() };
            put(buffer, area, &fit(&format!(" {}", notice.text), cells, look), style);
        }
        (Mode::Table | Mode::Help, None) => keys(buffer, area, state, look),
    }
}

fn keys(buffer: &mut Buffer, area: Rect, state: &State, look: Look) {
    let mut spans: Vec<Span<'static>> = Vec::new();
    if !state.filter.is_empty() {
        spans.push(span_of(format!(" filter: {} ", state.filter), look.warning()));
    }
    let place = place(state);
    let used: usize = spans.iter().chain(&place).map(|span| width(&span.content)).sum();
    let mut left = usize::from(area.width).saturating_sub(used);
    for (key, word) in KEYS {
        // Half a key would be a riddle.
        let Some(rest) = left.checked_sub(key.len() + word.len() + 3) else { break };
        left = rest;
        spans.push(span_of(format!(" {key}"), look.strong()));
        spans.push(span_of(format!(" {word} "), look.quiet()));
    }
    let rest = put_line(buffer, area, &Line::from(spans));
    if let Some(place) = place {
        put_right(buffer, rest, &Line::from(place));
    }
}

/// Which of how many rows the cursor is on, where not all of them have room.
fn place(state: &State) -> Option<Span<'static>> {
    let rows = state.rows(state.focus).len();
    let room = usize::from(state.layout().pane(state.focus)?.rows.height);
    let at = state.cursor(state.focus)?.index + 1;
    (rows > room).then(|| Span::raw(format!(" {at}/{rows} ")))
}
