//! How each type of a watcher's field becomes JSON and is set from it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    Signal,
    config::{Account, Args, Orphans, Seconds, python_text},
};

/// More processes than any Linux has pids for (`PID_MAX_LIMIT`).
pub const MAX_PROCESSES: u32 = 4_194_304;

/// A value that an option shows and takes.
pub trait Field: Sized {
    /// What `options` and `get` report.
    fn to_json(&self) -> Value;

    /// The value of a JSON that was checked before.
    ///
    /// # Errors
    /// When it is out of range, or no such value after all.
    fn from_json(value: &Value) -> Result<Self, String>;
}

/// The refusal of a JSON of the wrong type.
fn no(value: &Value, what: &str) -> String {
    format!("{} is not {what}", python_text::repr(value))
}

impl Field for String {
    fn to_json(&self) -> Value {
        Value::from(self.as_str())
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| no(value, "a string"))
    }
}

/// Null and the empty text are both "not set".
impl Field for Option<String> {
    fn to_json(&self) -> Value {
        Value::from(self.clone())
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(no(value, "a string"))
            }
        }
    }
}

/// Names with commas between.
impl Field for Vec<String> {
    fn to_json(&self) -> Value {
        if self.is_empty() { Value::Null } else { Value::from(self.join(",")) }
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let text = Option::<String>::from_json(value)?.unwrap_or_default();
        let names = text.split(',').map(|name| name.trim().to_owned());
        Ok(names.filter(|name| !name.is_empty()).collect())
    }
}

impl Field for bool {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| no(value, "a boolean"))
    }
}

impl Field for Option<bool> {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        if value.is_null() { Ok(None) } else { bool::from_json(value).map(Some) }
    }
}

impl Field for i64 {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        value.as_i64().ok_or_else(|| no(value, "an integer"))
    }
}

/// A number of processes: negative counts as 0, as in Circus.
impl Field for u32 {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match Self::try_from(i64::from_json(value)?.max(0)) {
            Ok(count) if count <= MAX_PROCESSES => Ok(count),
            Ok(_) | Err(_) => {
                Err(format!("{value} is more than the {MAX_PROCESSES} processes a machine can have"))
            }
        }
    }
}

/// Whole seconds: negative counts as 0.
impl Field for u64 {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        Ok(i64::from_json(value)?.max(0).unsigned_abs())
    }
}

/// Tries: negative is for ever and written -1.
impl Field for Option<u32> {
    fn to_json(&self) -> Value {
        self.map_or(Value::from(-1), Value::from)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let number = i64::from_json(value)?;
        if number < 0 {
            return Ok(None);
        }
        // So many tries are for ever in all but name.
        Ok(Some(u32::try_from(number).unwrap_or(u32::MAX)))
    }
}

/// Seconds: negative counts as 0.
impl Field for f64 {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match value.as_f64() {
            Some(number) if number.is_finite() => Ok(number.max(0.0)),
            Some(_) | None => Err(no(value, "a number")),
        }
    }
}

impl Field for Seconds {
    fn to_json(&self) -> Value {
        match *self {
            Self::Whole(seconds) => Value::from(seconds),
            Self::Fraction(seconds) => Value::from(seconds),
        }
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match value.as_i64() {
            Some(seconds) => Ok(Self::Whole(seconds.max(0).unsigned_abs())),
            None => f64::from_json(value).map(Self::Fraction),
        }
    }
}

impl Field for Signal {
    fn to_json(&self) -> Value {
        Value::from(self.number())
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        Self::from_number(i64::from_json(value)?).map_err(|error| error.to_string())
    }
}

impl Field for Option<Account> {
    fn to_json(&self) -> Value {
        match self {
            None => Value::Null,
            Some(Account::Id(id)) => Value::from(*id),
            Some(Account::Name(name)) => Value::from(name.as_str()),
        }
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let id =
            |id: u64| u32::try_from(id).map(Account::Id).map_err(|_| no(value, "a user or group number"));
        match value {
            Value::Null => Ok(None),
            Value::String(text) => match text.trim() {
                "" => Ok(None),
                // Digits stay text: `options` reports them as they were configured.
                text => Ok(Some(Account::Name(text.to_owned()))),
            },
            Value::Number(number) => {
                id(number.as_u64().ok_or_else(|| no(value, "a user or group number"))?).map(Some)
            }
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(no(value, "a user or group")),
        }
    }
}

impl Field for Args {
    fn to_json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Text(text) => Value::from(text.as_str()),
            Self::List(words) => Value::from(words.as_slice()),
        }
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Self::None),
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Array(items) => Ok(Self::List(items.iter().map(python_text::str).collect())),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(no(value, "a string or a list")),
        }
    }
}

impl Field for Orphans {
    fn to_json(&self) -> Value {
        Value::from(match self {
            Self::End => "end",
            Self::Keep => "keep",
        })
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("end") => Ok(Self::End),
            Some("keep") => Ok(Self::Keep),
            Some(_) | None => Err(no(value, "`end` or `keep`")),
        }
    }
}

/// An environment; null is none at all.
impl Field for Option<BTreeMap<String, String>> {
    fn to_json(&self) -> Value {
        match self {
            None => Value::Null,
            Some(members) => {
                members.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
            }
        }
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        let Value::Object(members) = value else {
            return if value.is_null() { Ok(None) } else { Err(no(value, "an object")) };
        };
        let pair = |(name, value): (&String, &Value)| Ok((name.clone(), String::from_json(value)?));
        members.iter().map(pair).collect::<Result<_, _>>().map(Some)
    }
}
