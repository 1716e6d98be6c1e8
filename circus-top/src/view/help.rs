//! The help: every key, over the table.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    widgets::{Clear, Widget as _},
};

use super::{line_of, look::Look, put};
use crate::state::{State, report::Control};

/// Keys and what they do.
pub const KEYS: [(&str, &str); 22] = [
    ("up down  j k", "move; pgup pgdn home end as well"),
    ("left right", "fold, unfold;  space or enter: either"),
    ("c", "fold all, unfold all"),
    ("tab", "next host"),
    ("/", "filter by name, command, user, pid;  esc: clear"),
    ("< >", "sort by the column to the left, to the right"),
    ("I", "sort the other way round"),
    ("P M A", "sort by CPU, memory, age"),
    ("N W", "sort by pid, name"),
    ("t", "all processes in one list, or under their watchers"),
    ("d", "detail of the selected row: command, last exits"),
    ("e", "more events, fewer events"),
    ("p", "pause the picture"),
    ("ctrl-L", "paint anew"),
    ("ctrl-Z", "to the background"),
    ("q  ctrl-C", "quit"),
    ("", ""),
    ("R", "restart the selected watcher"),
    ("L", "reload it gracefully"),
    ("S  X", "start it, stop it"),
    ("+  -", "one process more, one less"),
    ("y", "confirm any of these; every other key: no"),
];

/// Cells of the keys.
const LEFT: usize = 14;
/// Cells of the box.
const WIDTH: u16 = 72;

/// Paints the box in the middle.
pub(super) fn draw(buffer: &mut Buffer, state: &State, look: Look) {
    let screen = buffer.area;
    let lines = lines(state);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(1).min(screen.height);
    let width = WIDTH.min(screen.width);
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    Clear.render(area, buffer);
    let title = format!("{:<width$}", " circus-top: any key goes back", width = usize::from(width));
    put(buffer, line_of(area, 0), &title, look.bar());
    for (at, (key, text)) in (1..height).zip(&lines) {
        let place = line_of(area, at);
        put(buffer, place, &format!(" {key:<LEFT$}"), look.strong());
        let shift = u16::try_from(LEFT + 2).unwrap_or(0).min(place.width);
        let rest = Rect { x: place.x + shift, width: place.width - shift, ..place };
        put(buffer, rest, text, ratatui::style::Style::new());
    }
}

/// The keys, and whether those that change something work here.
fn lines(state: &State) -> Vec<(&'static str, String)> {
    let mut lines: Vec<_> = KEYS.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    let reason = match state.live().get(state.focus).map(|host| &host.control) {
        Some(Control::Absent { reason }) => format!("read-only: {reason}"),
        Some(Control::Lost) => "the control endpoint does not answer".to_owned(),
        Some(Control::Found { endpoint, .. }) => format!("by way of {endpoint}"),
        Some(Control::Seeking) | None => String::new(),
    };
    if let Some(gap) = lines.iter_mut().find(|(key, text)| key.is_empty() && text.is_empty()) {
        gap.1 = reason;
    }
    lines
}
