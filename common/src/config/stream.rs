//! Output streams: from `stdout_stream.*` to what a sink needs to know.
//!
//! A stream is read as a whole, from the text of a file or the JSON of an `add` or `set`. Keys without a meaning are
//! accepted, as in Circus: a Python class may want them, and [`StreamConfig::warnings`] names those that look misspelt.
//!
//! Invariant: what is here can be opened, as far as that can be known without looking at the system.

mod class;
mod file;
mod members;
#[cfg(test)]
mod tests;

use indexmap::IndexMap;
use serde_json::Value;

use self::{class::Kind, members::Members};
pub use self::{
    class::{Class, Color, JournalConfig, Python, Severity, SyslogConfig},
    file::{FileConfig, Format, Owner, Rotation, When},
};
use super::suggest;
pub use crate::syslog::{Facility, SyslogAddress};

/// What is kept of a stream's last output, if `log_ring` does not say otherwise.
pub const DEFAULT_RING: usize = 64 * 1024;

/// Keys that every class understands.
const COMMON: [&str; 3] = ["class", "log_ring", "on_full"];

/// Keys of former versions of Circus, without an effect since then.
const BYGONE: [&str; 2] = ["refresh_time", "stream"];

/// What becomes of output that has no place to go: a full disk, a daemon that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnFull {
    /// It is kept up to a bound, then the children wait, and nothing is lost.
    #[default]
    Block,
    /// Whole lines are dropped and counted, and the children go on.
    Drop,
}

/// One output stream as configured, checked as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamConfig {
    /// What was written, `class` included; keys without a meaning here are kept for a Python class.
    pub written: IndexMap<String, Value>,
    /// Where the output goes.
    pub class: Class,
    /// How many bytes of the last output are kept for `logs`; 0 is none.
    pub ring: usize,
    /// What becomes of output that has no place to go.
    pub on_full: OnFull,
}

impl StreamConfig {
    /// Reads the members of a stream.
    ///
    /// # Errors
    /// The key at fault and what is wrong with it.
    pub fn read(written: &IndexMap<String, Value>) -> Result<Self, (String, String)> {
        let members = Members(written);
        let kind = Kind::of(&members)?;
        let ring = members.size("log_ring")?.unwrap_or(DEFAULT_RING as u64);
        let on_full = match members.text("on_full")?.as_deref().map(str::trim) {
            None => OnFull::default(),
            Some(word) if word.eq_ignore_ascii_case("block") => OnFull::Block,
            Some(word) if word.eq_ignore_ascii_case("drop") => OnFull::Drop,
            Some(word) => return Err(members::wrong("on_full", word, "write block or drop")),
        };
        Ok(Self {
            class: kind.read(&members)?,
            ring: usize::try_from(ring).unwrap_or(usize::MAX),
            on_full,
            written: written.clone(),
        })
    }

    /// Keys that do not do what somebody may have meant: the key, and a sentence about it.
    #[must_use]
    pub fn warnings(&self) -> Vec<(String, String)> {
        let Ok(kind) = Kind::of(&Members(&self.written)) else { return Vec::new() };
        if kind == Kind::Python {
            return Vec::new();
        }
        let known = |key: &str| COMMON.contains(&key) || kind.keys().contains(&key);
        let unknown = self.written.keys().filter(|key| !known(key) && !BYGONE.contains(&key.as_str()));
        unknown.filter_map(|key| Some((key.clone(), kind.warning(key)?))).collect()
    }

    /// What a Python class is constructed with: all that was written, without what is read here.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &Value)> {
        let own = |key: &str| COMMON.contains(&key);
        self.written.iter().map(|(key, value)| (key.as_str(), value)).filter(move |(key, _)| !own(key))
    }
}

impl Kind {
    /// What to say about a key that this class does not have, if anything.
    fn warning(self, key: &str) -> Option<String> {
        if Self::ALL.iter().any(|kind| kind.keys().contains(&key)) {
            return Some(format!("`{key}` has no effect on a {}", self.name()));
        }
        let names = COMMON.iter().chain(self.keys()).copied();
        let near = suggest::nearest(key, names)?;
        Some(format!("`{key}` has no effect; did you mean `{near}`?"))
    }
}
