//! The table of all watcher options, and what is read from it.
//!
//! One row of [`TABLE`] is all there is to an option: files, `add`, `set`, `get`, `options`, the reference page and
//! the search for misspelt keys know it from there. What stands in no row is free-form: kept, not understood.

mod field;
mod members;
mod table;

use serde_json::Value;

pub(super) use field::Field;
pub use field::MAX_PROCESSES;
pub use table::TABLE;

use super::{WatcherConfig, python_text::repr_text, value::Kind};

/// One option.
pub struct OptionSpec {
    /// Its name; one that ends in `.` or `_` stands for all keys that begin so.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The default as it would be written in a file; empty is "not set".
    pub default: &'static str,
    /// Where it may be given.
    pub legal: Legal,
    /// What a `set` of it changes.
    pub change: Change,
    /// The name `options` and `get` report it by, if they do.
    pub reported: Option<&'static str>,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// Its value; `None` when there is nothing to report.
    pub(super) read: fn(&WatcherConfig) -> Option<Value>,
    /// Sets it from a checked value; the text is what follows the name of a row for many keys.
    pub(super) write: fn(&mut WatcherConfig, &str, &Value) -> Result<(), String>,
}

/// Where an option may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legal {
    /// In a `[watcher:NAME]` section.
    pub file: bool,
    /// In the `options` of `add`.
    pub add: bool,
    /// In the `options` of `set`.
    pub set: bool,
}

/// What a change of an option asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Nothing: it is looked at when it is needed.
    None,
    /// The number of processes is compared with the one wanted.
    Manage,
    /// The processes are replaced gracefully, unless the watcher is stopped.
    Reload,
}

impl OptionSpec {
    /// Whether the row stands for all keys that begin with its name.
    #[must_use]
    pub fn is_family(&self) -> bool {
        self.name.ends_with(['.', '_'])
    }

    /// What follows the row's name in a key of its family; empty for a single option.
    pub(super) fn member<'k>(&self, key: &'k str) -> &'k str {
        key.strip_prefix(self.name).unwrap_or_default()
    }
}

/// The row of a key, wherever it is legal.
#[must_use]
pub fn find(key: &str) -> Option<&'static OptionSpec> {
    let concerns = |spec: &&OptionSpec| spec.name == key || spec.is_family() && key.starts_with(spec.name);
    TABLE.iter().find(concerns)
}

/// Whether `add` or `set` know the key; others may still be free-form options of one watcher.
#[must_use]
pub fn is_known(key: &str) -> bool {
    find(key).is_some_and(|spec| spec.legal.add || spec.legal.set)
}

/// Checks one key and value of `add` or `set` as the server does: no conversion, booleans are no integers.
///
/// # Errors
/// The reason, to be answered with errno 3.
pub fn check(key: &str, value: &Value) -> Result<(), String> {
    match find(key).filter(|spec| spec.legal.add || spec.legal.set) {
        None => Err(format!("unknown key {}", repr_text(key))),
        Some(spec) => spec.kind.check(key, value),
    }
}

/// Turns the text of a circusctl argument into the value that is sent.
///
/// # Errors
/// What circusctl prints.
pub fn convert(key: &str, text: &str) -> Result<Value, String> {
    let spec = find(key).ok_or_else(|| format!("unknown key {}", repr_text(key)))?;
    if !spec.legal.set {
        return Err(format!("{} cannot be changed with set", repr_text(key)));
    }
    let value = match spec.kind {
        Kind::Delay => Kind::Number.parse(text),
        // A size with a unit, such as `10M`, goes as it is written.
        Kind::StreamMember if matches!(spec.member(key), "max_bytes" | "backup_count") => {
            Kind::Integer.parse(text).or_else(|_| spec.kind.parse(text))
        }
        // A name that no hook has is refused here already.
        Kind::Hook => Kind::Hook.check(key, &Value::from(text)).map(|()| Value::from(text)),
        // One argument cannot say an object.
        Kind::Stream => Err(format!("{} needs a name after a dot, such as `{key}.class`", repr_text(key))),
        // The server takes names as well as numbers, and Circus' circusctl sends the text.
        Kind::Account => Ok(Value::from(text)),
        Kind::Integer
        | Kind::Number
        | Kind::Flag
        | Kind::Text
        | Kind::Signal
        | Kind::Words
        | Kind::Env
        | Kind::Choice(_)
        | Kind::Octal
        | Kind::StreamMember
        | Kind::Hooks
        | Kind::Rlimit => spec.kind.parse(text),
    };
    value.map_err(|message| format!("{key}: {message}"))
}
