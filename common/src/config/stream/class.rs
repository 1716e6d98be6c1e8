//! The classes of streams, by the names Circus gave them and a few of our own.

use super::{
    file::{self, FileConfig, Format, Rotation},
    members::{Members, Wrong, wrong},
};
use crate::{
    config::suggest,
    syslog::{Facility, SyslogAddress},
};

/// Where output goes, with all that class needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// A file: `FileStream`, `WatchedFileStream`, `TimedRotatingFileStream`.
    File(FileConfig),
    /// circusd's own standard output.
    Stdout(Format),
    /// The same in colour, each line with time and pid.
    FancyStdout {
        /// The colour; one by chance if absent.
        color: Option<Color>,
        /// The format of the time.
        time_format: String,
    },
    /// Nowhere but the ring that `logs` reads.
    Queue,
    /// A syslog daemon.
    Syslog(SyslogConfig),
    /// journald.
    Journal(JournalConfig),
    /// A class of the user's in a helper process.
    Python(Python),
}

/// A class of the user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// Its path: `module.Class` or `module:Class`.
    pub path: String,
}

/// A colour of `FancyStdoutStream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Color {
    Red,
    Green,
    Yellow,
    Blue,
    Magenta,
    Cyan,
    White,
}

impl Color {
    /// In the order of their codes.
    pub const ALL: [Self; 7] =
        [Self::Red, Self::Green, Self::Yellow, Self::Blue, Self::Magenta, Self::Cyan, Self::White];

    /// The digit of its escape sequence.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8 + 1
    }

    /// Circus knows these words in lower case only; no other word means anything, so case is forgiven.
    fn parse(text: &str) -> Option<Self> {
        const NAMES: [&str; 7] = ["red", "green", "yellow", "blue", "magenta", "cyan", "white"];
        let at = NAMES.iter().position(|name| name.eq_ignore_ascii_case(text.trim()))?;
        Self::ALL.get(at).copied()
    }
}

/// A stream to a syslog daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogConfig {
    /// Where it listens.
    pub address: SyslogAddress,
    /// On whose behalf it is logged.
    pub facility: Facility,
    /// How bad it is; if absent `info` for stdout and `err` for stderr.
    pub severity: Option<Severity>,
    /// What the lines are tagged with; the watcher's name if absent.
    pub ident: Option<String>,
}

/// A stream to journald.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The socket of journald's native protocol.
    pub path: String,
    /// As for syslog.
    pub severity: Option<Severity>,
    /// As for syslog.
    pub ident: Option<String>,
}

/// A severity of syslog, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Severity(u8);

impl Severity {
    const NAMES: [&'static str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

    /// What is ordinary.
    pub const INFO: Self = Self(6);
    /// What went wrong.
    pub const ERR: Self = Self(3);

    /// Its number: the lower, the worse.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let name = match text.trim().to_ascii_lowercase().as_str() {
            "emergency" | "panic" => "emerg".to_owned(),
            "critical" => "crit".to_owned(),
            "error" => "err".to_owned(),
            "warn" => "warning".to_owned(),
            name => name.to_owned(),
        };
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(at).ok().map(Self)
    }
}

/// A class before its options were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    WatchedFile,
    TimedRotatingFile,
    Queue,
    Stdout,
    FancyStdout,
    Syslog,
    Journal,
    Json,
    Python,
}

impl Kind {
    /// All that have a short name.
    pub(super) const ALL: [Self; 9] = [
        Self::File,
        Self::WatchedFile,
        Self::TimedRotatingFile,
        Self::Queue,
        Self::Stdout,
        Self::FancyStdout,
        Self::Syslog,
        Self::Journal,
        Self::Json,
    ];

    /// The name in a configuration.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "FileStream",
            Self::WatchedFile => "WatchedFileStream",
            Self::TimedRotatingFile => "TimedRotatingFileStream",
            Self::Queue => "QueueStream",
            Self::Stdout => "StdoutStream",
            Self::FancyStdout => "FancyStdoutStream",
            Self::Syslog => "SyslogStream",
            Self::Journal => "JournalStream",
            Self::Json => "JsonStream",
            Self::Python => "Python class",
        }
    }

    /// The keys it understands beside those that all do.
    pub(super) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::File | Self::Json => &[
                "filename",
                "max_bytes",
                "backup_count",
                "time_format",
                "format",
                "compress",
                "owner",
                "mode",
            ],
            Self::WatchedFile => &["filename", "time_format", "format", "owner", "mode"],
            Self::TimedRotatingFile => &[
                "filename",
                "backup_count",
                "time_format",
                "format",
                "compress",
                "owner",
                "mode",
                "rotate_when",
                "rotate_interval",
                "utc",
            ],
            Self::Queue | Self::Python => &[],
            Self::Stdout => &["format"],
            Self::FancyStdout => &["color", "time_format"],
            Self::Syslog => &["address", "facility", "severity", "ident"],
            Self::Journal => &["path", "severity", "ident"],
        }
    }

    /// The class that is meant.
    pub(super) fn of(members: &Members<'_>) -> Result<Self, Wrong> {
        let Some(written) = members.text("class")? else {
            if members.text("filename")?.is_some() {
                return Ok(Self::File);
            }
            let text = "stream configuration invalid: it has neither `class` nor `filename`";
            return Err(("class".to_owned(), text.to_owned()));
        };
        let path = written.trim().replace(':', ".");
        let modules = ["circus.stream.file_stream.", "circus.stream."];
        let short = modules.iter().find_map(|module| path.strip_prefix(module)).unwrap_or(&path);
        if let Some(kind) = Self::ALL.into_iter().find(|kind| kind.name() == short) {
            return Ok(kind);
        }
        let near = suggest::nearest(short, Self::ALL.iter().map(|kind| kind.name()));
        // A slip in the name of one of ours is no class of the user's.
        let is_path = path.contains('.') && path.split('.').all(|part| !part.is_empty());
        if is_path && (near.is_none() || short == path) {
            return Ok(Self::Python);
        }
        let right = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("write one of {names}, or the path of a Python class")
            }
        };
        Err(wrong("class", &written, &right))
    }

    /// Reads its options.
    pub(super) fn read(self, members: &Members<'_>) -> Result<Class, Wrong> {
        let file = |rotation| FileConfig::read(members, rotation).map(Class::File);
        match self {
            Self::File => file(file::by_size(members)?),
            Self::WatchedFile => file(Rotation::Watched),
            Self::TimedRotatingFile => file(file::by_time(members)?),
            Self::Queue => Ok(Class::Queue),
            Self::Stdout => Ok(Class::Stdout(match file::format(members)? {
                // Circus takes no time_format here, and ignores one.
                Format::Raw | Format::Timed(_) => Format::Raw,
                Format::Json => Format::Json,
            })),
            Self::FancyStdout => Ok(Class::FancyStdout {
                color: members.text("color")?.and_then(|text| Color::parse(&text)),
                time_format: members
                    .text("time_format")?
                    .filter(|format| !format.is_empty())
                    .unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".to_owned()),
            }),
            Self::Syslog => syslog(members).map(Class::Syslog),
            Self::Journal => Ok(Class::Journal(JournalConfig {
                path: members
                    .filled("path", "write the path of journald's socket")?
                    .unwrap_or_else(|| "/run/systemd/journal/socket".to_owned()),
                severity: severity(members)?,
                ident: members.filled("ident", "leave it out for the watcher's name")?,
            })),
            Self::Json if members.text("filename")?.is_some() => {
                let config = FileConfig::read(members, file::by_size(members)?)?;
                Ok(Class::File(FileConfig { format: Format::Json, ..config }))
            }
            Self::Json => Ok(Class::Stdout(Format::Json)),
            Self::Python => Ok(Class::Python(Python {
                path: members.text("class")?.unwrap_or_default().trim().to_owned(),
            })),
        }
    }
}

fn syslog(members: &Members<'_>) -> Result<SyslogConfig, Wrong> {
    let address = members.filled("address", "write a socket such as /dev/log, or host:port")?;
    let facility = match members.text("facility")? {
        None => Facility::DAEMON,
        Some(text) => {
            let right = || wrong("facility", &text, "write one of syslog's, such as daemon, user or local0");
            Facility::parse(&text).ok_or_else(right)?
        }
    };
    Ok(SyslogConfig {
        address: match address {
            None => SyslogAddress::Path("/dev/log".to_owned()),
            Some(text) => {
                SyslogAddress::parse(text.trim()).map_err(|right| wrong("address", &text, right))?
            }
        },
        facility,
        severity: severity(members)?,
        ident: members.filled("ident", "leave it out for the watcher's name")?,
    })
}

fn severity(members: &Members<'_>) -> Result<Option<Severity>, Wrong> {
    let Some(text) = members.text("severity")? else { return Ok(None) };
    let right = || wrong("severity", &text, "write emerg, alert, crit, err, warning, notice, info or debug");
    Severity::parse(&text).map(Some).ok_or_else(right)
}
