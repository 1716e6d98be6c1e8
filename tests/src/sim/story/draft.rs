//! What stands in the configuration file that a story reads again: the cast, edited well or badly.

use std::fmt;

use super::CAST;

/// An edition of the cast's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The number of processes of `several`, if not the usual.
    pub several: Option<u64>,
    /// Edits, each once, in order.
    pub edits: Vec<Edit>,
}

/// One edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// An option of `plain` that no process shows.
    Touched,
    /// `plain` ignores its stop signal's grace for longer.
    Patient,
    /// `other` stands in the place of `hydra`.
    Other,
    /// `once` is to be left down.
    Unstarted,
    /// A setting of `[circus]` that is applied live.
    Live,
    /// A setting of `[circus]` that needs a restart in place.
    Moved,
    /// A further watcher with a stream.
    Streamed,
    /// A further watcher whose stream cannot be had.
    Unwritable,
    /// The socket of `called` has another address.
    Rebound,
    /// It has another backlog.
    Backlog,
    /// The sockets of `sharing` have another address.
    Resocketed,
    /// There is a further socket.
    Extra,
    /// A mistake of type.
    Mistyped,
    /// A section that is broken.
    Broken,
    /// A line that is no ini.
    Garbled,
}

impl Edit {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Touched,
        Self::Patient,
        Self::Other,
        Self::Unstarted,
        Self::Live,
        Self::Moved,
        Self::Streamed,
        Self::Unwritable,
        Self::Rebound,
        Self::Backlog,
        Self::Resocketed,
        Self::Extra,
        Self::Mistyped,
        Self::Broken,
        Self::Garbled,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Touched => "touched",
            Self::Patient => "patient",
            Self::Other => "other",
            Self::Unstarted => "unstarted",
            Self::Live => "live",
            Self::Moved => "moved",
            Self::Streamed => "streamed",
            Self::Unwritable => "unwritable",
            Self::Rebound => "rebound",
            Self::Backlog => "backlog",
            Self::Resocketed => "resocketed",
            Self::Extra => "extra",
            Self::Mistyped => "mistyped",
            Self::Broken => "broken",
            Self::Garbled => "garbled",
        }
    }

    fn apply(self, text: &str) -> String {
        match self {
            Self::Touched => text.replace("cmd = plain\n", "cmd = plain\nmax_age_variance = 3\n"),
            Self::Patient => {
                text.replace("cmd = plain\ngraceful_timeout = 3\n", "cmd = plain\ngraceful_timeout = 4\n")
            }
            Self::Other => text.replace("[watcher:hydra]\ncmd = hydra\n", "[watcher:other]\ncmd = other\n"),
            Self::Unstarted => text.replace("cmd = once\n", "cmd = once\nautostart = False\n"),
            Self::Live => text.replace("[circus]\n", "[circus]\nloglevel = debug\n"),
            Self::Moved => text.replace("[circus]\n", "[circus]\npubsub_endpoint = tcp://127.0.0.1:6666\n"),
            Self::Streamed => {
                format!("{text}[watcher:streamed]\ncmd = streamed\nstderr_stream.class = QueueStream\n")
            }
            Self::Unwritable => {
                format!(
                    "{text}[watcher:unwritable]\ncmd = unwritable\nstderr_stream.filename = /nowhere/log\n"
                )
            }
            Self::Rebound => text.replace("port = 80\n", "port = 82\n"),
            Self::Backlog => text.replace("port = 80\n", "port = 80\nbacklog = 9\n"),
            Self::Resocketed => text.replace("port = 81\n", "port = 83\n"),
            Self::Extra => format!("{text}[socket:extra]\nport = 84\n"),
            Self::Mistyped => format!("{text}[watcher:wrong]\ncmd = wrong\nnumprocesses = many\n"),
            Self::Broken => {
                format!("{text}[watcher:wrong]\ncmd = wrong\nsingleton = True\nnumprocesses = 2\n")
            }
            Self::Garbled => format!("{text}[watcher:wrong\n"),
        }
    }
}

impl Draft {
    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = CAST.to_owned();
        if let Some(number) = self.several {
            text = text.replace("numprocesses = 4", &format!("numprocesses = {number}"));
        }
        self.edits.iter().fold(text, |text, edit| edit.apply(&text))
    }

    /// Reads ` several=3 touched broken`.
    pub(super) fn parse(words: &[&str]) -> Option<Self> {
        let mut draft = Self::default();
        for word in words {
            match word.strip_prefix("several=") {
                Some(number) => draft.several = Some(number.parse().ok()?),
                None => draft.edits.push(Edit::ALL.into_iter().find(|edit| edit.word() == *word)?),
            }
        }
        Some(draft)
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.several {
            write!(f, " several={number}")?;
        }
        self.edits.iter().try_for_each(|edit| write!(f, " {}", edit.word()))
    }
}
