//! Where everything stands on a screen of a given size: what the view paints and what a click means.

use ratatui::layout::{Position, Rect};

use super::sort::{COLUMNS, Column};

/// The narrowest a host may be when several stand side by side.
pub const NARROWEST: u16 = 50;
/// Lines of the list of events where there is room.
const EVENTS: u16 = 3;
/// Lines of it when it is wanted large.
const MANY_EVENTS: u16 = 12;
/// Lines of the detail pane with its title.
const DETAIL: u16 = 9;
/// Rows the table keeps, whatever else is wanted.
const LEAST_ROWS: u16 = 4;

/// The places of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pane {
    /// All of it.
    pub whole: Rect,
    /// The lines at the top.
    pub header: Rect,
    /// The titles of the columns.
    pub titles: Rect,
    /// The table.
    pub rows: Rect,
    /// What is known of the selected row.
    pub detail: Rect,
    /// The last events.
    pub events: Rect,
}

/// The places of the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The names of the hosts, where not all of them have room.
    pub tabs: Rect,
    /// The hosts that are shown, from left to right.
    pub panes: Vec<(usize, Pane)>,
    /// The line of keys and questions.
    pub footer: Rect,
}

/// What is wanted on the screen.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// How many hosts there are.
    pub hosts: usize,
    /// Which one has the cursor.
    pub focus: usize,
    /// Whether the detail pane is open.
    pub detail: bool,
    /// Whether the list of events is large.
    pub events: bool,
}

impl Layout {
    /// The places for a screen of that size.
    #[must_use]
    pub fn new(screen: Rect, wanted: Wanted) -> Self {
        let hosts = u16::try_from(wanted.hosts.max(1)).unwrap_or(u16::MAX);
        let side_by_side = hosts == 1 || screen.width / hosts >= NARROWEST;
        let (footer, above) = split_bottom(screen, 1);
        let (tabs, area) = if side_by_side { (Rect::default(), above) } else { split_top(above, 1) };
        let panes = if side_by_side {
            (0..hosts)
                .map(|at| {
                    let left = area.width / hosts * at;
                    let last = at + 1 == hosts;
                    // One column between two hosts stays free, for a line.
                    let width = if last { area.width - left } else { area.width / hosts - 1 };
                    let area = Rect { x: area.x + left, width, ..area };
                    (usize::from(at), Pane::new(area, wanted))
                })
                .collect()
        } else {
            vec![(wanted.focus, Pane::new(area, wanted))]
        };
        Self { tabs, panes, footer }
    }

    /// The places of a host, if it is shown.
    #[must_use]
    pub fn pane(&self, host: usize) -> Option<&Pane> {
        self.panes.iter().find(|(at, _)| *at == host).map(|(_, pane)| pane)
    }

    /// The host at that place.
    #[must_use]
    pub fn host_at(&self, place: Position) -> Option<(usize, &Pane)> {
        self.panes.iter().find(|(_, pane)| pane.whole.contains(place)).map(|(at, pane)| (*at, pane))
    }
}

impl Pane {
    fn new(whole: Rect, wanted: Wanted) -> Self {
        let (header, rest) = split_top(whole, 2);
        let (titles, rest) = split_top(rest, 1);
        let room = |rest: Rect| rest.height.saturating_sub(LEAST_ROWS);
        let events = match (wanted.events, whole.height) {
            (true, _) => MANY_EVENTS,
            (false, 22..) => EVENTS,
            (false, _) => 1,
        };
        let (events, rest) = split_bottom(rest, events.min(room(rest)));
        let detail = if wanted.detail { DETAIL.min(room(rest)) } else { 0 };
        // A title alone tells nothing.
        let (detail, rows) = split_bottom(rest, if detail < 3 { 0 } else { detail });
        Self { whole, header, titles, rows, detail, events }
    }
}

fn split_top(area: Rect, lines: u16) -> (Rect, Rect) {
    let lines = lines.min(area.height);
    (Rect { height: lines, ..area }, Rect { y: area.y + lines, height: area.height - lines, ..area })
}

fn split_bottom(area: Rect, lines: u16) -> (Rect, Rect) {
    let lines = lines.min(area.height);
    let rest = area.height - lines;
    (Rect { y: area.y + rest, height: lines, ..area }, Rect { height: rest, ..area })
}

/// The narrowest the column of names becomes before other columns give way.
const LEAST_NAME: u16 = 15;
/// The widest it becomes before the history gets the rest.
const MOST_NAME: u16 = 36;
/// The widest history: one column for each of these seconds.
const MOST_HISTORY: u16 = 60;
/// The narrowest history that is worth its place.
const LEAST_HISTORY: u16 = 9;

/// The columns that have room, from left to right, each with its width and the blank before it.
#[must_use]
pub fn columns(width: u16) -> Vec<(Column, u16)> {
    // What goes first when there is no room.
    let order = [Column::Wid, Column::Mem, Column::Restarts, Column::Age, Column::Rss, Column::State];
    let mut shown = COLUMNS[..COLUMNS.len() - 1].to_vec();
    let needed = |shown: &[Column]| LEAST_NAME + shown.iter().map(|it| fixed(*it)).sum::<u16>();
    for column in order {
        if needed(&shown) > width {
            shown.retain(|it| *it != column);
        }
    }
    let mut left = width.saturating_sub(needed(&shown));
    let history = if left >= LEAST_HISTORY {
        // Both grow with the screen.
        let name = ((left - LEAST_HISTORY) / 2).min(MOST_NAME - LEAST_NAME);
        (left - name).min(MOST_HISTORY)
    } else {
        0
    };
    left -= history;
    let mut all: Vec<_> = shown.into_iter().map(|column| (column, fixed(column))).collect();
    if let Some((_, name)) = all.first_mut() {
        *name = (LEAST_NAME + left).min(width);
    }
    if history > 0 {
        all.push((Column::History, history));
    }
    all
}

/// The column at that distance from the left.
#[must_use]
pub fn column_at(width: u16, x: u16) -> Option<Column> {
    let mut right = 0;
    columns(width).into_iter().find_map(|(column, width)| {
        right += width;
        (x < right).then_some(column)
    })
}

const fn fixed(column: Column) -> u16 {
    match column {
        Column::Name | Column::History => 0,
        Column::Wid | Column::Restarts => 5,
        Column::Mem => 6,
        Column::Cpu | Column::Age => 7,
        Column::Pid | Column::Rss => 8,
        Column::State => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(width: u16, height: u16, hosts: usize) -> Layout {
        let wanted = Wanted { hosts, focus: hosts.saturating_sub(1), detail: true, events: true };
        Layout::new(Rect::new(0, 0, width, height), wanted)
    }

    #[test]
    fn every_place_lies_on_the_screen_whatever_its_size() {
        for width in [0, 1, 2, 7, 49, 80, 121, 500] {
            for height in 0..60 {
                for hosts in [1, 2, 3, 9] {
                    let screen = Rect::new(0, 0, width, height);
                    let layout = layout(width, height, hosts);
                    let panes = layout.panes.iter().map(|(_, pane)| pane);
                    let places = panes
                        .flat_map(|pane| [pane.header, pane.titles, pane.rows, pane.detail, pane.events]);
                    for place in places.chain([layout.footer, layout.tabs]) {
                        assert_eq!(
                            place.intersection(screen).area(),
                            place.area(),
                            "{width}x{height} {place:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn hosts_stand_side_by_side_where_there_is_room() {
        assert_eq!(layout(120, 40, 2).panes.len(), 2);
        let narrow = layout(80, 24, 2);
        assert_eq!((narrow.panes.len(), narrow.panes[0].0, narrow.tabs.height), (1, 1, 1));
    }

    #[test]
    fn columns_fill_the_width_and_the_important_ones_stay() {
        for width in 0..300 {
            let columns = columns(width);
            let total: u16 = columns.iter().map(|(_, width)| width).sum();
            if width >= LEAST_NAME + 15 {
                assert!(total <= width, "{width}: {columns:?}");
            }
            for column in [Column::Name, Column::Pid, Column::Cpu] {
                assert!(columns.iter().any(|(it, _)| *it == column), "{width}");
            }
        }
        assert_eq!(columns(80).len(), COLUMNS.len());
    }

    #[test]
    fn a_place_in_the_titles_is_a_column() {
        assert_eq!(column_at(80, 0), Some(Column::Name));
        assert_eq!(column_at(80, 79), Some(Column::History));
        assert_eq!(column_at(80, 80), None);
    }
}
