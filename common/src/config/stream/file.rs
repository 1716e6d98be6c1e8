//! Streams that end in a file: its name, what stands in it, and when it is rolled over.

use super::members::{Members, Wrong, wrong};

/// A stream into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileConfig {
    /// Where; a new temporary file if absent.
    pub filename: Option<String>,
    /// What a line looks like.
    pub format: Format,
    /// When the file is put away.
    pub rotation: Rotation,
    /// Whether files that were put away are compressed.
    pub compress: bool,
    /// Whose the file is to be.
    pub owner: Option<Owner>,
    /// Its permissions; if absent 0666 less the umask.
    pub mode: Option<u32>,
}

/// What is written for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The bytes as they came.
    Raw,
    /// `TIME [PID] | line`, the time after this `strftime` format.
    Timed(String),
    /// One JSON object a line.
    Json,
}

/// User and group of a file, by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: Option<String>,
    /// The group; the user's own if absent.
    pub group: Option<String>,
}

/// When a file is put away and a new one begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Before a line that would make it as large as `max_bytes`, where that is not 0.
    Size {
        /// The size that is not reached.
        max_bytes: u64,
        /// How many old files are kept; with none the file is never put away.
        backup_count: u32,
    },
    /// When somebody else has moved it.
    Watched,
    /// At moments of the clock.
    Time {
        /// At which.
        when: When,
        /// At every how many of them.
        interval: u32,
        /// How many old files are kept; 0 is all.
        backup_count: u32,
        /// Whether the clock is that of UTC.
        utc: bool,
    },
}

/// The grain of a rotation by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Seconds.
    Second,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days, from the first moment on.
    Day,
    /// Midnights.
    Midnight,
    /// The end of a day of the week, 0 is Monday.
    Weekday(u8),
}

impl When {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.trim().to_ascii_uppercase().as_str() {
            "S" => Self::Second,
            "M" => Self::Minute,
            "H" => Self::Hour,
            "D" => Self::Day,
            "MIDNIGHT" => Self::Midnight,
            text => match text.as_bytes() {
                [b'W', day @ b'0'..=b'6'] => Self::Weekday(day - b'0'),
                _ => return None,
            },
        })
    }

    /// The length of one in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day | Self::Midnight => 86_400,
            Self::Weekday(_) => 604_800,
        }
    }
}

impl FileConfig {
    /// Reads what all file streams have, with that rotation.
    pub(super) fn read(members: &Members<'_>, rotation: Rotation) -> Result<Self, Wrong> {
        Ok(Self {
            filename: members.filled("filename", "write a path")?,
            format: format(members)?,
            rotation,
            compress: members.flag("compress")?.unwrap_or(false),
            owner: members.filled("owner", OWNER)?.map(|text| owner(&text)).transpose()?,
            mode: members.filled("mode", MODE)?.map(|text| mode(&text)).transpose()?,
        })
    }
}

/// Reads `max_bytes` and `backup_count`.
pub(super) fn by_size(members: &Members<'_>) -> Result<Rotation, Wrong> {
    Ok(Rotation::Size {
        max_bytes: members.size("max_bytes")?.unwrap_or(0),
        backup_count: members.count("backup_count")?.unwrap_or(0),
    })
}

/// Reads `rotate_when` and what belongs to it.
pub(super) fn by_time(members: &Members<'_>) -> Result<Rotation, Wrong> {
    const RIGHT: &str = "write S, M, H, D, MIDNIGHT, or W0 (Monday) to W6";
    let Some(when) = members.text("rotate_when")? else {
        return Err(("rotate_when".to_owned(), format!("it is missing; {RIGHT}")));
    };
    let when = When::parse(&when).ok_or_else(|| wrong("rotate_when", &when, RIGHT))?;
    let interval = members.count("rotate_interval")?.unwrap_or(1);
    if interval == 0 {
        return Err(("rotate_interval".to_owned(), "it must be 1 or more".to_owned()));
    }
    Ok(Rotation::Time {
        when,
        interval,
        backup_count: members.count("backup_count")?.unwrap_or(0),
        utc: members.flag("utc")?.unwrap_or(false),
    })
}

/// Reads `format`, or a `time_format` in its place.
pub(super) fn format(members: &Members<'_>) -> Result<Format, Wrong> {
    let timed = members.text("time_format")?;
    match members.text("format")?.as_deref().map(str::trim) {
        Some(word) if word.eq_ignore_ascii_case("json") => Ok(Format::Json),
        Some(word) if !word.eq_ignore_ascii_case("text") => Err(wrong("format", word, "write text or json")),
        Some(_) | None => Ok(timed.map_or(Format::Raw, Format::Timed)),
    }
}

const OWNER: &str = "write a user, user:group, or :group, each by name or number";
const MODE: &str = "write an octal mode such as 640";

fn owner(text: &str) -> Result<Owner, Wrong> {
    let part = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let owner = match text.split_once(':') {
        Some((user, group)) => Owner { user: part(user), group: part(group) },
        None => Owner { user: part(text), group: None },
    };
    let empty = owner.user.is_none() && owner.group.is_none();
    if empty { Err(wrong("owner", text, OWNER)) } else { Ok(owner) }
}

fn mode(text: &str) -> Result<u32, Wrong> {
    let digits = text.trim().trim_start_matches("0o");
    let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| *bits <= 0o777 && !digits.starts_with('+'));
    bits.ok_or_else(|| wrong("mode", text, MODE))
}
