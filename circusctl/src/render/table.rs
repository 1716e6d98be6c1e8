//! `status` for a person: one row for each watcher. Printed on a terminal only.
//!
//! A row stays on one line: where the terminal is too narrow for all there is to tell, less is told, down to the plain
//! list that a pipe gets. A name is never cut: it is what the next command is given.

use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets::NOTHING};

use super::age::{age, short_age};

/// What is known of one watcher. A column that no watcher has a value for is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its name as written.
    pub name: String,
    /// Its state as `status` says it.
    pub state: String,
    /// Running and wanted processes, as `2/3`.
    pub processes: Option<String>,
    /// The pids of its processes.
    pub pids: Vec<String>,
    /// The age of its oldest process in seconds.
    pub uptime: Option<f64>,
    /// How often a process had to be started again.
    pub restarts: Option<String>,
    /// When and how a process ended last.
    pub last_exit: Option<LastExit>,
}

/// When and how a process ended, or why none ever began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastExit {
    /// How, in a few words.
    pub ending: String,
    /// How, in a word or two.
    pub short_ending: String,
    /// How long ago, where that means anything.
    pub seconds_since: Option<f64>,
}

/// How much is told.
#[derive(Clone, Copy, Debug)]
struct Detail {
    /// More pids than this are counted, not listed; without any the column is left out.
    pids: usize,
    /// Whether lengths of time and endings are said in full.
    full: bool,
    /// The columns behind the state, apart from the pids.
    columns: Columns,
}

/// Which columns there are. Each step tells less than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Columns {
    /// All of them.
    All,
    /// Not how often a process was started again.
    NoRestarts,
    /// Not how the last one ended, either.
    NoExit,
    /// Only how many processes there are.
    Processes,
    /// None.
    State,
}

/// From the widest table to the narrowest.
const DETAILS: [Detail; 9] = [
    Detail { pids: 4, full: true, columns: Columns::All },
    Detail { pids: 4, full: false, columns: Columns::All },
    Detail { pids: 2, full: false, columns: Columns::All },
    Detail { pids: 1, full: false, columns: Columns::All },
    Detail { pids: 0, full: false, columns: Columns::All },
    Detail { pids: 0, full: false, columns: Columns::NoRestarts },
    Detail { pids: 0, full: false, columns: Columns::NoExit },
    Detail { pids: 0, full: false, columns: Columns::Processes },
    Detail { pids: 0, full: false, columns: Columns::State },
];

/// The blanks between two columns.
const GAP: u16 = 2;

/// The table with as much detail as fits into `width` columns, states in colour; the plain list where none fits.
pub fn table(rows: &[Row], width: u16) -> String {
    let mut tables = DETAILS.into_iter().map(|detail| laid_out(rows, detail));
    match tables.find(|table| width_of(table) <= usize::from(width)) {
        Some(table) => {
            let lines = table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
            coloured(&lines, rows).join("\n")
        }
        None => list(rows),
    }
}

/// What a pipe gets, with the states in colour.
fn list(rows: &[Row]) -> String {
    let line = |row: &Row| format!("{}: {}", row.name, painted(&row.state, style(&row.state)));
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn laid_out(rows: &[Row], detail: Detail) -> Table {
    let columns = columns(rows, detail);
    let mut table = Table::new();
    // Nothing is ever wrapped: what does not fit is laid out with less.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.load_style(NOTHING).set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(columns.iter().map(|column| (column.cell)(row, detail)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(built) = table.column_mut(index) {
            built.set_padding((0, if index + 1 == columns.len() { 0 } else { GAP }));
            built.set_cell_alignment(column.alignment);
        }
    }
    table
}

/// How wide the table is when nothing is wrapped.
fn width_of(table: &Table) -> usize {
    let widths = table.column_max_content_widths();
    let gaps = usize::from(GAP) * widths.len().saturating_sub(1);
    widths.into_iter().map(usize::from).sum::<usize>() + gaps
}

struct Column {
    title: &'static str,
    alignment: CellAlignment,
    cell: fn(&Row, Detail) -> String,
}

fn columns(rows: &[Row], detail: Detail) -> Vec<Column> {
    let text = |title, cell| Column { title, alignment: CellAlignment::Left, cell };
    let number = |title, cell| Column { title, alignment: CellAlignment::Right, cell };
    let mut columns =
        vec![text("NAME", |row, _| row.name.clone()), text("STATE", |row, _| row.state.clone())];
    let has = |least| detail.columns <= least;
    if has(Columns::Processes) && rows.iter().any(|row| row.processes.is_some()) {
        columns.push(number("PROCS", |row, _| row.processes.clone().unwrap_or_default()));
    }
    if detail.pids > 0 && rows.iter().any(|row| !row.pids.is_empty()) {
        columns.push(text("PIDS", pids));
    }
    if has(Columns::NoExit) && rows.iter().any(|row| row.uptime.is_some()) {
        columns.push(number("UPTIME", uptime));
    }
    if has(Columns::All) && rows.iter().any(|row| row.restarts.is_some()) {
        columns.push(number("RESTARTS", |row, _| row.restarts.clone().unwrap_or_default()));
    }
    if has(Columns::NoRestarts) && rows.iter().any(|row| row.restarts.is_some()) {
        columns.push(text("LAST EXIT", last_exit));
    }
    columns
}

fn pids(row: &Row, detail: Detail) -> String {
    let shown = row.pids.iter().take(detail.pids).cloned().collect::<Vec<_>>().join(" ");
    match row.pids.len().saturating_sub(detail.pids) {
        0 => shown,
        more => format!("{shown} +{more}"),
    }
}

fn uptime(row: &Row, detail: Detail) -> String {
    row.uptime.map(if detail.full { age } else { short_age }).unwrap_or_default()
}

fn last_exit(row: &Row, detail: Detail) -> String {
    let Some(exit) = &row.last_exit else { return String::new() };
    match (exit.seconds_since, detail.full) {
        (Some(seconds), true) => format!("{} {} ago", exit.ending, age(seconds)),
        (Some(seconds), false) => format!("{}, {} ago", exit.short_ending, short_age(seconds)),
        (None, true) => exit.ending.clone(),
        (None, false) => exit.short_ending.clone(),
    }
}

/// Colours the word after each row's name.
fn coloured(lines: &[String], rows: &[Row]) -> Vec<String> {
    let mut rows = rows.iter().peekable();
    let colour = |(index, line): (usize, &String)| {
        if index == 0 {
            return painted(line, Style::new().bold());
        }
        let Some(row) = rows.next_if(|row| line.starts_with(row.name.as_str())) else {
            return line.clone();
        };
        let (name, rest) = line.split_at(row.name.len());
        let blanks = rest.len() - rest.trim_start().len();
        match rest[blanks..].strip_prefix(row.state.as_str()) {
            Some(after) => {
                format!("{name}{}{}{after}", &rest[..blanks], painted(&row.state, style(&row.state)))
            }
            None => line.clone(),
        }
    };
    lines.iter().enumerate().map(colour).collect()
}

fn style(state: &str) -> Style {
    let colour = match state {
        "active" => AnsiColor::Green,
        "starting" | "stopping" => AnsiColor::Yellow,
        "stopped" => AnsiColor::Red,
        _ => return Style::new(),
    };
    Style::new().fg_color(Some(colour.into()))
}

fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    fn row(name: &str, state: &str, pids: &[&str]) -> Row {
        Row {
            name: name.to_owned(),
            state: state.to_owned(),
            processes: Some(format!("{}/2", pids.len())),
            pids: pids.iter().map(|&pid| pid.to_owned()).collect(),
            uptime: (!pids.is_empty()).then_some(303.0),
            restarts: Some("1".to_owned()),
            last_exit: None,
        }
    }

    #[test]
    fn each_watcher_has_a_row_with_its_state_in_colour() {
        let rows = [row("web", "active", &["10", "11"]), row("long name", "stopped", &[])];
        let text = table(&rows, 100);
        assert_eq!(
            plain(&text),
            "NAME       STATE    PROCS  PIDS      UPTIME  RESTARTS  LAST EXIT\n\
             web        active     2/2  10 11  5 min 3 s         1\n\
             long name  stopped    0/2                           1"
        );
        assert!(text.contains("\u{1b}[32mactive\u{1b}[0m") && text.contains("\u{1b}[31mstopped\u{1b}[0m"));
    }

    #[test]
    fn columns_that_nobody_knows_are_left_out() {
        let row = Row { name: "web".to_owned(), state: "active".to_owned(), ..Row::default() };
        assert_eq!(plain(&table(&[row], 100)), "NAME  STATE\nweb   active");
    }

    #[test]
    fn many_pids_are_counted() {
        let row = row("web", "active", &["1", "2", "3", "4", "5", "6"]);
        assert!(plain(&table(&[row], 100)).contains("1 2 3 4 +2"));
    }

    #[test]
    fn a_narrower_terminal_is_told_less_and_keeps_each_row_on_one_line() {
        let web = Row {
            last_exit: Some(LastExit {
                ending: "killed by SIGKILL, as asked".to_owned(),
                short_ending: "SIGKILL".to_owned(),
                seconds_since: Some(3_540.0),
            }),
            processes: Some("4/4".to_owned()),
            uptime: Some(84_000.0),
            ..row("web", "active", &["4100001", "4100002", "4100003", "4100004"])
        };
        let rows = [web, row("long-worker", "stopping", &["4100005"])];
        for width in 21..200 {
            let text = plain(&table(&rows, width));
            assert_eq!(text.lines().count(), 3, "{width}:\n{text}");
            assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{text}");
        }
        let second =
            |width| plain(&table(&rows, width)).lines().nth(1).map(str::to_owned).unwrap_or_default();
        assert_eq!(
            second(140),
            "web          active      4/4  4100001 4100002 4100003 4100004  23 h 20 min         1  \
             killed by SIGKILL, as asked 59 min 0 s ago"
        );
        assert_eq!(
            second(100),
            "web          active      4/4  4100001 4100002 4100003 4100004    23 h         1  SIGKILL, 59 min ago"
        );
        assert_eq!(
            second(80),
            "web          active      4/4  4100001 +3    23 h         1  SIGKILL, 59 min ago"
        );
        assert_eq!(second(60), "web          active      4/4    23 h  SIGKILL, 59 min ago");
        assert_eq!(second(40), "web          active      4/4    23 h");
        assert_eq!(second(30), "web          active      4/4");
        assert_eq!(second(21), "web          active");
    }

    #[test]
    fn what_never_ran_says_why() {
        let ending = "cannot start: [Errno 2] No such file or directory: 'nope'".to_owned();
        let last_exit = LastExit { ending, short_ending: "cannot start".to_owned(), seconds_since: None };
        let rows = [Row {
            last_exit: Some(last_exit),
            restarts: Some("0".to_owned()),
            ..row("web", "stopped", &[])
        }];
        let second =
            |width| plain(&table(&rows, width)).lines().nth(1).map(str::to_owned).unwrap_or_default();
        assert!(second(120).ends_with("  0  cannot start: [Errno 2] No such file or directory: 'nope'"));
        assert!(second(60).ends_with("  0  cannot start"));
    }

    #[test]
    fn where_no_table_fits_there_is_the_list_and_no_name_is_cut() {
        let rows = [row("a very long name of a watcher", "active", &["10", "11"]), row("b", "stopped", &[])];
        for width in [0, 1, 20, 37] {
            let text = table(&rows, width);
            assert_eq!(plain(&text), "a very long name of a watcher: active\nb: stopped", "{width}");
            assert!(text.contains("\u{1b}[32mactive\u{1b}[0m"), "{text}");
        }
        let header = |width| plain(&table(&rows, width)).lines().next().map(str::to_owned);
        assert_eq!(header(38), Some("NAME                           STATE".to_owned()));
    }
}
