//! How grave a line is, in Python's words.

use tracing::{Metadata, level_filters::LevelFilter};

/// The target of events that are graver than tracing's `ERROR`: `error!(target: log::CRITICAL, "...")`.
pub const CRITICAL: &str = "circusd::critical";

/// How grave a line is. As a threshold: the least grave that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Each input and effect.
    Debug,
    /// A watcher changed.
    Info,
    /// Someone may have to act.
    Warning,
    /// Something was not done.
    Error,
    /// The daemon cannot go on.
    Critical,
}

impl Level {
    /// The names the command line knows, in the order Circus lists them.
    pub const NAMES: [&str; 5] = ["critical", "error", "warning", "info", "debug"];

    const ALL: [Self; 5] = [Self::Debug, Self::Info, Self::Warning, Self::Error, Self::Critical];

    /// A level by a name of [`Level::NAMES`] in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(text))
    }

    /// A level by one of Python's names or numbers, which know more of them.
    #[must_use]
    pub fn parse_python(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "NOTSET" => Some(Self::Debug),
            "WARN" => Some(Self::Warning),
            "FATAL" => Some(Self::Critical),
            name => match name.parse::<u32>() {
                Ok(number) => {
                    Some(Self::ALL.into_iter().find(|l| l.number() >= number).unwrap_or(Self::Critical))
                }
                Err(_) => Self::parse(name),
            },
        }
    }

    /// The name in a log line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    /// Python's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Debug => 10,
            Self::Info => 20,
            Self::Warning => 30,
            Self::Error => 40,
            Self::Critical => 50,
        }
    }

    /// Syslog's severity.
    #[must_use]
    pub const fn severity(self) -> u32 {
        match self {
            Self::Debug => 7,
            Self::Info => 6,
            Self::Warning => 4,
            Self::Error => 3,
            Self::Critical => 2,
        }
    }

    /// How grave an event is.
    pub(super) fn of(event: &Metadata<'_>) -> Self {
        match *event.level() {
            tracing::Level::ERROR if event.target() == CRITICAL => Self::Critical,
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG | tracing::Level::TRACE => Self::Debug,
        }
    }

    /// The widest tracing level a threshold lets through.
    pub(super) const fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warning => LevelFilter::WARN,
            Self::Error | Self::Critical => LevelFilter::ERROR,
        }
    }

    /// The level kept in an atomic as `level as u8`.
    pub(super) fn from_byte(byte: u8) -> Self {
        Self::ALL.get(usize::from(byte)).copied().unwrap_or(Self::Info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case() {
        for name in Level::NAMES {
            let level = Level::parse(name).unwrap();
            assert_eq!(Level::parse(&name.to_uppercase()), Some(level));
            assert_eq!(level.name().to_lowercase(), name);
            assert_eq!(Level::from_byte(level as u8), level);
        }
        assert_eq!(Level::parse("loud"), None);
        assert_eq!(Level::parse("warn"), None);
    }

    #[test]
    fn python_knows_more_names_and_numbers() {
        let cases = [("WARN", Level::Warning), ("FATAL", Level::Critical), ("NOTSET", Level::Debug)];
        let numbers =
            [("10", Level::Debug), ("0", Level::Debug), ("25", Level::Warning), ("99", Level::Critical)];
        for (text, level) in cases.into_iter().chain(numbers) {
            assert_eq!(Level::parse_python(text), Some(level), "{text}");
        }
        assert_eq!(Level::parse_python("loud"), None);
    }
}
