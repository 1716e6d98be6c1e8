//! A state as a frame: pure, and the same state always gives the same frame.
//!
//! Everything that came from outside was cleaned when it came in (`state/text`); here it is cut to its column.

mod detail;
mod figure;
mod footer;
mod header;
mod help;
pub mod json;
pub mod look;
pub mod plain;
mod table;

use ratatui::{Frame, buffer::Buffer, layout::Rect, style::Style, text::Line};

use self::look::Look;
use crate::state::{State, host::Host, layout::Pane, text::width};

/// Every key and what it does, as the help shows them.
#[must_use]
pub fn help_keys() -> &'static [(&'static str, &'static str)] {
    &help::KEYS
}

/// Paints the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State, look: Look) {
    let layout = state.layout();
    let buffer = frame.buffer_mut();
    header::tabs(buffer, layout.tabs, state, look);
    for (at, pane) in &layout.panes {
        if *at > 0 && layout.panes.len() > 1 {
            wall(buffer, pane.whole, look);
        }
        if let Some(host) = state.hosts().get(*at) {
            paint_host(buffer, pane, state, *at, host, look);
        }
    }
    footer::draw(buffer, layout.footer, state, look);
    if matches!(state.mode, crate::state::Mode::Help) {
        help::draw(buffer, state, look);
    }
}

fn paint_host(buffer: &mut Buffer, pane: &Pane, state: &State, at: usize, host: &Host, look: Look) {
    header::draw(buffer, pane.header, state, at, host, look);
    table::titles(buffer, pane.titles, state, look);
    table::rows(buffer, pane.rows, state, at, host, look);
    detail::draw(buffer, pane.detail, state, at, look);
    footer::events(buffer, pane.events, state, host, look);
}

/// A line at the left of a host that has another one beside it.
fn wall(buffer: &mut Buffer, whole: Rect, look: Look) {
    for y in whole.top()..whole.bottom() {
        put(buffer, Rect { x: whole.x.saturating_sub(1), y, width: 1, height: 1 }, look.wall(), look.quiet());
    }
}

/// Writes a text into an area of one line. What lies outside the frame is not painted: the terminal may have shrunk.
fn put(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let area = area.intersection(buffer.area);
    if area.area() > 0 {
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), style);
    }
}

/// Writes a line with its styles; returns the area that is left.
fn put_line(buffer: &mut Buffer, area: Rect, line: &Line<'_>) -> Rect {
    let area = area.intersection(buffer.area);
    if area.area() == 0 {
        return area;
    }
    let (x, _) = buffer.set_line(area.x, area.y, line, area.width);
    Rect { x, width: area.right().saturating_sub(x), ..area }
}

/// Writes a line at the right end, if it fits into what is left.
fn put_right(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    let needed: usize = line.spans.iter().map(|span| width(&span.content)).sum();
    let Ok(needed) = u16::try_from(needed) else { return };
    if needed <= area.width {
        put_line(buffer, Rect { x: area.right() - needed, width: needed, ..area }, line);
    }
}

/// The nth line of an area; empty if there is none.
fn line_of(area: Rect, at: u16) -> Rect {
    if at < area.height { Rect { y: area.y + at, height: 1, ..area } } else { Rect { height: 0, ..area } }
}

#[cfg(test)]
mod tests;
