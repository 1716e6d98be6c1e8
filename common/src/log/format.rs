//! The shape of a line: Python's `%`-style log format, since logger configurations are written in it.

use std::{fmt::Write, time::SystemTime};

use super::{level::Level, record::Record};
use crate::os::local_time::{since_epoch, strftime};

/// Circus' line.
const LINE: &str = "%(asctime)s %(name)s[%(process)d] [%(levelname)s] %(message)s";
const LINE_DATE: &str = "%Y-%m-%d %H:%M:%S";
const SYSLOG_DATE: &str = "%b %d %H:%M:%S";
/// A wider field than this is a mistake, not a wish.
const WIDTH_LIMIT: usize = 256;

/// Who says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author {
    /// The name of its logger.
    pub name: &'static str,
    /// Its pid.
    pub pid: u32,
}

/// How a record becomes a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    parts: Vec<Part>,
    /// For strftime; `None` is Python's own with milliseconds.
    date: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field { what: What, left: bool, width: usize, zeros: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Time,
    Created,
    Milliseconds,
    Name,
    Process,
    LevelName,
    LevelNumber,
    Message,
    /// Known to Python and without meaning here.
    Nothing,
}

impl Format {
    /// The line of a console and a file.
    pub(super) fn line() -> Self {
        Self::parse(LINE, Some(LINE_DATE)).0
    }

    /// The line of a syslog daemon.
    pub(super) fn syslog() -> Self {
        Self::parse(LINE, Some(SYSLOG_DATE)).0
    }

    /// Reads a format of Python's logging and says what of it has no meaning here.
    pub(super) fn parse(format: &str, date: Option<&str>) -> (Self, Vec<String>) {
        let (mut parts, mut strange) = (Vec::new(), Vec::new());
        let mut rest = format;
        while let Some(start) = rest.find('%') {
            push_text(&mut parts, &rest[..start]);
            rest = &rest[start..];
            if let Some(after) = rest.strip_prefix("%%") {
                push_text(&mut parts, "%");
                rest = after;
            } else if let Some((part, after)) = field(rest, &mut strange) {
                parts.push(part);
                rest = after;
            } else {
                push_text(&mut parts, "%");
                rest = &rest[1..];
            }
        }
        push_text(&mut parts, rest);
        (Self { parts, date: date.map(str::to_owned) }, strange)
    }

    /// Appends the line of `record` without a line end.
    pub(super) fn write(&self, record: &Record, author: Author, line: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Field { what: What::Message, width: 0, .. } => line.push_str(&record.text),
                Part::Field { what, left, width, zeros } => {
                    let text = self.value(*what, record, author);
                    // Writing to a string cannot fail.
                    let _ = match (left, zeros) {
                        (true, _) => write!(line, "{text:<width$}"),
                        (false, true) => write!(line, "{text:0>width$}"),
                        (false, false) => write!(line, "{text:>width$}"),
                    };
                }
            }
        }
    }

    fn value(&self, what: What, record: &Record, author: Author) -> String {
        let milliseconds = since_epoch(record.at).subsec_millis();
        match what {
            What::Time => self.time(record.at, milliseconds),
            What::Created => since_epoch(record.at).as_secs_f64().to_string(),
            What::Milliseconds => milliseconds.to_string(),
            What::Name => author.name.to_owned(),
            What::Process => author.pid.to_string(),
            What::LevelName => record.level.name().to_owned(),
            What::LevelNumber => Level::number(record.level).to_string(),
            What::Message => record.text.clone(),
            What::Nothing => String::new(),
        }
    }

    fn time(&self, at: SystemTime, milliseconds: u32) -> String {
        match &self.date {
            Some(date) => strftime(date, at),
            None => format!("{},{milliseconds:03}", strftime(LINE_DATE, at)),
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(before)) => before.push_str(text),
        Some(Part::Field { .. }) | None => parts.push(Part::Text(text.to_owned())),
    }
}

/// Reads `%(name)-08s` and the like; `None` if this is none.
fn field<'a>(text: &'a str, strange: &mut Vec<String>) -> Option<(Part, &'a str)> {
    let (name, rest) = text.strip_prefix("%(")?.split_once(')')?;
    let end = rest.find(|c: char| !matches!(c, '-' | '0'..='9' | '.'))?;
    let (flags, rest) = rest.split_at(end);
    let conversion = rest.chars().next().filter(|c| c.is_ascii_alphabetic())?;
    let digits = flags.trim_start_matches('-');
    let width: usize = digits.split('.').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let what = match name {
        "asctime" => What::Time,
        "created" => What::Created,
        "msecs" => What::Milliseconds,
        "name" => What::Name,
        "process" => What::Process,
        "levelname" => What::LevelName,
        "levelno" => What::LevelNumber,
        "message" => What::Message,
        other => {
            strange.push(format!("`%({other}){conversion}` stays empty"));
            What::Nothing
        }
    };
    let part = Part::Field {
        what,
        left: flags.starts_with('-'),
        width: width.min(WIDTH_LIMIT),
        zeros: digits.starts_with('0'),
    };
    Some((part, &rest[1..]))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const AUTHOR: Author = Author { name: "circus", pid: 42 };

    fn record() -> Record {
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_007);
        Record { at, level: Level::Warning, text: "hello pid=3".to_owned() }
    }

    fn line(format: &str, date: Option<&str>) -> String {
        let mut line = String::new();
        Format::parse(format, date).0.write(&record(), AUTHOR, &mut line);
        line
    }

    #[test]
    fn the_line_is_circus_line() {
        let mut text = String::new();
        Format::line().write(&record(), AUTHOR, &mut text);
        let date = strftime("%Y-%m-%d %H:%M:%S", record().at);
        assert_eq!(text, format!("{date} circus[42] [WARNING] hello pid=3"));
    }

    #[test]
    fn syslog_has_a_date_of_its_own() {
        let mut text = String::new();
        Format::syslog().write(&record(), AUTHOR, &mut text);
        assert_eq!(
            text,
            format!("{} circus[42] [WARNING] hello pid=3", strftime("%b %d %H:%M:%S", record().at))
        );
    }

    #[test]
    fn widths_and_flags_are_pythons() {
        assert_eq!(
            line("%(levelname)-9s|%(levelname)9s|%(process)05d|%(msecs)03d%%", None),
            "WARNING  |  WARNING|00042|007%"
        );
        assert_eq!(line("%(message)s %(levelno)s", None), "hello pid=3 30");
    }

    #[test]
    fn without_a_date_format_there_are_milliseconds() {
        assert!(line("%(asctime)s", None).ends_with(",007"));
        assert_eq!(line("%(asctime)s", Some("%s")), "1700000000");
    }

    #[test]
    fn what_has_no_meaning_here_stays_empty_and_is_named() {
        let (format, strange) = Format::parse("%(funcName)s:%(message)s", None);
        let mut text = String::new();
        format.write(&record(), AUTHOR, &mut text);
        assert_eq!(text, ":hello pid=3");
        assert_eq!(strange, ["`%(funcName)s` stays empty"]);
    }

    #[test]
    fn no_format_is_refused() {
        for format in [
            "%",
            "%(",
            "%(x",
            "%(x)",
            "%(x)é",
            "%(message)99999999999999999999s",
            "%é",
            "%(message)-.",
            "100%",
        ] {
            let _ = line(format, Some(format));
        }
        assert_eq!(line("100% %(x", None), "100% %(x");
    }
}
