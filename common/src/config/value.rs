//! The kinds of option values: how a text is read, and what JSON is accepted in its place.

use serde_json::{Map, Value};

use super::{hook::HookName, python_text::repr_text};
use crate::Signal;

/// The resource limits of Linux, by the name that follows `RLIMIT_`, in lower case.
pub const RLIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "ofile",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// How many letters of a wrong text are shown.
const MAX_SHOWN: usize = 60;

/// What an option holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Integer,
    /// A number.
    Number,
    /// An integer in a file, a number on the wire.
    Delay,
    /// A boolean.
    Flag,
    /// Text.
    Text,
    /// A signal: name or number in a file, number on the wire.
    Signal,
    /// A user or group, by name or number.
    Account,
    /// One text, or a list of words (on the wire only).
    Words,
    /// An object of texts (on the wire only).
    Env,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A mask in octal.
    Octal,
    /// An object with a `class`: a whole stream (on the wire only).
    Stream,
    /// One member of a stream.
    StreamMember,
    /// An object of hooks (on the wire only).
    Hooks,
    /// One hook: `callable[, ignore failure]`.
    Hook,
    /// A resource limit: an integer; empty or -1 is no limit.
    Rlimit,
}

/// Which environment the `$(circus.env.X)` of a value see when the file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expansion {
    /// None: the value is taken as written.
    None,
    /// `[env]` and circusd's own.
    Global,
    /// `[env:PATTERNS]` in front of these.
    Watcher,
}

impl Kind {
    /// The word for it in the reference.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Integer => "integer".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Delay => "integer in files, number by `set`".to_owned(),
            Self::Flag => "boolean".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Signal => "signal".to_owned(),
            Self::Account => "name or number".to_owned(),
            Self::Words => "text, or list by `set`".to_owned(),
            Self::Env => "object of texts".to_owned(),
            Self::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
            }
            Self::Octal => "octal number".to_owned(),
            Self::Stream => "object with `class`".to_owned(),
            Self::StreamMember => "text".to_owned(),
            Self::Hooks => "object of hooks".to_owned(),
            Self::Hook => "`callable[, boolean]`".to_owned(),
            Self::Rlimit => "integer".to_owned(),
        }
    }

    /// What is put in for variables when a file is read.
    #[must_use]
    pub const fn expansion(self) -> Expansion {
        match self {
            Self::Signal | Self::Hook | Self::Hooks | Self::Rlimit => Expansion::None,
            Self::Integer | Self::Number | Self::Delay | Self::Flag | Self::Octal => Expansion::Global,
            Self::Text
            | Self::Account
            | Self::Words
            | Self::Env
            | Self::Choice(_)
            | Self::Stream
            | Self::StreamMember => Expansion::Watcher,
        }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Integer | Self::Delay => integer(text).map(Value::from),
            Self::Number => number(text),
            Self::Flag => flag(text).map(Value::from),
            Self::Signal => match Signal::parse(text) {
                Ok(signal) => Ok(Value::from(signal.number())),
                Err(error) => Err(format!("{error}: {}; write SIGTERM, TERM or 15", shown(text))),
            },
            Self::Account => Ok(match text.trim() {
                "" => Value::Null,
                // Digits stay text: `options` reports them as they were configured.
                name => Value::from(name),
            }),
            Self::Choice(words) => {
                let known = words.iter().find(|word| word.eq_ignore_ascii_case(text.trim()));
                known
                    .map(|word| Value::from(*word))
                    .ok_or_else(|| format!("{} is not {}", shown(text), self.name()))
            }
            Self::Octal => octal(text),
            Self::Env => environment(text),
            Self::Hooks => hooks(text),
            Self::Rlimit if text.trim().is_empty() => Ok(Value::Null),
            Self::Rlimit => integer(text).map(Value::from),
            Self::Text | Self::Words | Self::StreamMember | Self::Hook | Self::Stream => {
                Ok(Value::from(text))
            }
        }
    }

    /// Whether a JSON value may stand for the option `key`; nothing is converted.
    ///
    /// # Errors
    /// The reason Circus gives, with errno 3.
    pub fn check(self, key: &str, value: &Value) -> Result<(), String> {
        let key_text = || repr_text(key);
        let (good, what) = match self {
            Self::Integer | Self::Octal => (is_integer(value), "an integer"),
            Self::Signal => {
                let number = value.as_i64().filter(|_| is_integer(value));
                let Some(number) = number else { return Err(format!("{} isn't an integer", key_text())) };
                return Signal::from_number(number).map(|_| ()).map_err(|error| error.to_string());
            }
            Self::Number | Self::Delay => (value.is_number(), "a number"),
            Self::Flag => (value.is_boolean(), "a valid boolean"),
            Self::Account => (is_integer(value) || value.is_string(), "an integer or string"),
            Self::Text => (value.is_string() || value.is_null(), "a string"),
            Self::Words => (is_words(value), "a string or a list of strings"),
            Self::Env => return check_env(key, value),
            Self::Choice(words) => {
                let known = value.as_str().is_some_and(|word| words.contains(&word));
                return if known { Ok(()) } else { Err(format!("{} isn't {}", key_text(), self.name())) };
            }
            Self::Stream => return check_stream(key, value),
            Self::StreamMember => (!value.is_object() && !value.is_array(), "a string or number"),
            Self::Hooks => return check_hooks(value),
            Self::Hook => return check_hook(key, value),
            Self::Rlimit => return check_rlimit(key, value),
        };
        if good { Ok(()) } else { Err(format!("{} isn't {what}", key_text())) }
    }
}

/// JSON integers only; a boolean is none, and neither is `2.0`.
fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn is_words(value: &Value) -> bool {
    match value {
        Value::Null | Value::String(_) => true,
        Value::Array(items) => items.iter().all(|item| item.is_string() || item.is_number()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

/// A text as a message shows it. It may be all of a file that is none of ours.
fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", repr_text(&text[..end])),
        None => repr_text(text),
    }
}

/// An integer as Python's `int` reads it.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{} is not an integer; write digits only, such as 5", shown(text)))
}

/// A finite number.
fn number(text: &str) -> Result<Value, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::from(number)),
        Ok(_) | Err(_) => Err(format!("{} is not a number; write seconds such as 2.5", shown(text))),
    }
}

/// `yes true on 1` or `no false off 0`, in any case.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(format!("{} is not a boolean; write True or False", shown(text))),
    }
}

/// A file mode mask; empty is none.
fn octal(text: &str) -> Result<Value, String> {
    let text = text.trim();
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix("0O")).unwrap_or(text);
    match u16::from_str_radix(digits, 8) {
        _ if text.is_empty() => Ok(Value::Null),
        Ok(bits) if bits <= 0o777 && !digits.starts_with('+') => Ok(Value::from(bits)),
        Ok(_) | Err(_) => Err(format!("{} is not an octal mask; write one such as 022", shown(text))),
    }
}

/// `A=1,B=2`, as circusctl prints an environment.
fn environment(text: &str) -> Result<Value, String> {
    let mut members = Map::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                members.insert(name.trim().to_owned(), Value::from(value.trim()))
            }
            Some(_) | None => return Err(format!("{} is not NAME=VALUE", shown(pair))),
        };
    }
    Ok(Value::Object(members))
}

/// `name:function,name:function`.
fn hooks(text: &str) -> Result<Value, String> {
    let mut members = Map::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        match pair.split_once(':') {
            Some((name, function)) if HookName::find(name).is_some() => {
                members.insert(name.to_owned(), Value::from(function))
            }
            Some((name, _)) => return Err(format!("Unknown hook {}", shown(name))),
            None => return Err(format!("{} is not HOOK:FUNCTION", shown(pair))),
        };
    }
    Ok(Value::Object(members))
}

fn check_env(key: &str, value: &Value) -> Result<(), String> {
    let Value::Object(members) = value else {
        return Err(format!("{} isn't a valid object", repr_text(key)));
    };
    for (name, value) in members {
        if !value.is_string() {
            return Err(format!("{} isn't a string", repr_text(name)));
        }
        // The kernel's own limits: such a name cannot be handed to a process as it is.
        if name.is_empty()
            || name.contains(['=', '\0'])
            || value.as_str().is_some_and(|text| text.contains('\0'))
        {
            return Err(format!("{} isn't a valid environment variable", repr_text(name)));
        }
    }
    Ok(())
}

fn check_stream(key: &str, value: &Value) -> Result<(), String> {
    match value {
        Value::Object(members) if members.contains_key("class") => Ok(()),
        Value::Object(_) => Err(format!("{} must have a 'class' key", repr_text(key))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(format!("{} isn't a valid object", repr_text(key)))
        }
    }
}

fn check_hooks(value: &Value) -> Result<(), String> {
    let Value::Object(members) = value else {
        return Err(format!("{} isn't a valid hook dict", super::python_text::repr(value)));
    };
    if members.keys().all(|name| HookName::find(name).is_some()) {
        return Ok(());
    }
    Err(format!("Unknown hook {}", super::python_text::repr(value)))
}

fn check_hook(key: &str, value: &Value) -> Result<(), String> {
    let name = key.strip_prefix("hooks.").unwrap_or(key);
    if HookName::find(name).is_none() {
        return Err(format!("Unknown hook {}", repr_text(name)));
    }
    if value.is_string() { Ok(()) } else { Err(format!("{} isn't a string", repr_text(key))) }
}

fn check_rlimit(key: &str, value: &Value) -> Result<(), String> {
    let name = key.strip_prefix("rlimit_").unwrap_or(key).to_lowercase();
    if !RLIMITS.contains(&name.as_str()) {
        return Err(format!("{} isn't a valid rlimit setting", repr_text(key)));
    }
    let good = value.is_null() || is_integer(value) && value.as_i64().is_none_or(|limit| limit >= -1);
    if good {
        Ok(())
    } else {
        Err(format!("{} rlimit value isn't a valid int", super::python_text::repr(value)))
    }
}
