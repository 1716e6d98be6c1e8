//! The properties of a request, read by name and type.
//!
//! Every refusal is errno 3 and names the property: `'nb' isn't an integer`.

use serde_json::{Map, Value};

use super::{
    command::GivenPid,
    reply::{ErrorCode, Reply},
};
use crate::{
    Signal,
    config::{
        Args,
        python_text::{repr, repr_text},
    },
};

/// The `properties` object of one request.
pub(super) struct Properties(Map<String, Value>);

impl Properties {
    /// Takes them out of a request, bearing with the misprints of Circus' own examples:
    /// `property`, `propeties`, and `waiting` at the top.
    pub(super) fn of(request: &mut Map<String, Value>) -> Result<Self, Reply> {
        let given = ["properties", "property", "propeties"].iter().find_map(|name| request.remove(*name));
        let mut properties = match given {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) => members,
            Some(Value::Array(items)) if items.is_empty() => Map::new(),
            Some(Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                return Err(wrong("properties", "an object"));
            }
        };
        if let Some(waiting) = request.remove("waiting") {
            properties.entry("waiting").or_insert(waiting);
        }
        Ok(Self(properties))
    }

    /// Refuses when one that the command cannot do without is missing.
    pub(super) fn require(&self, name: &str) -> Result<(), Reply> {
        if self.0.contains_key(name) {
            return Ok(());
        }
        Err(message(format!("message invalid {} is missing", repr_text(name))))
    }

    /// Whether it is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &str) -> Result<String, Reply> {
        self.require(name)?;
        self.optional_text(name)?.ok_or_else(|| wrong(name, "a string"))
    }

    /// A text. Null is refused: a script that passes no name must not mean every watcher.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<String>, Reply> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(wrong(name, "a string")),
        }
    }

    /// Python's truth of a value; absent is `default`.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.0.get(name).map_or(default, truth)
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Reply> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| wrong(name, "an integer")),
        }
    }

    /// A whole number that is not negative. Null is absent.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| wrong(name, "a number of 0 or more")),
        }
    }

    /// A whole number, in digits too.
    pub(super) fn pid(&self, name: &str) -> Result<Option<i64>, Reply> {
        match self.0.get(name) {
            Some(Value::String(digits)) => {
                digits.trim().parse().map(Some).map_err(|_| wrong(name, "an integer"))
            }
            Some(_) | None => self.integer(name),
        }
    }

    /// A whole number, in digits too, and how it was written.
    pub(super) fn given_pid(&self, name: &str) -> Result<Option<GivenPid>, Reply> {
        let pid = self.pid(name)?;
        Ok(pid.zip(self.0.get(name)).map(|(pid, given)| GivenPid { pid, given: given.clone() }))
    }

    /// A number of seconds, as text too: that is how Circus' circusctl sends it. Null is absent.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<f64>, Reply> {
        let number = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        match number {
            Some(seconds) if f64::is_finite(seconds) => Ok(Some(seconds)),
            Some(_) | None => Err(wrong(name, "a number")),
        }
    }

    /// The number of a signal given by number, digits or name. The range is not checked: that is errno 4, later.
    pub(super) fn signal_number(&self, name: &str) -> Result<Option<i64>, Reply> {
        let invalid = || message("signal invalid");
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => number.as_i64().map(Some).ok_or_else(invalid),
            Some(Value::String(text)) => match text.trim().parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Signal::parse(text).map(|it| Some(it.number().into())).map_err(|_| invalid()),
            },
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(invalid()),
        }
    }

    /// A signal given by number, digits or name.
    pub(super) fn signal(&self, name: &str) -> Result<Option<Signal>, Reply> {
        self.signal_number(name)?
            .map(|number| Signal::from_number(number).map_err(|_| message("signal invalid")))
            .transpose()
    }

    /// A list of texts that must be there.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, Reply> {
        self.require(name)?;
        let items = self.0.get(name).and_then(Value::as_array).ok_or_else(|| wrong(name, "a list"))?;
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| wrong(name, "a list of strings"))
    }

    /// An object; absent is empty.
    pub(super) fn object(&self, name: &str) -> Result<Map<String, Value>, Reply> {
        match self.0.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(members)) => Ok(members.clone()),
            // Circus' words, which differ from those for the other types.
            Some(_) => {
                Err(Reply::error(ErrorCode::Message, format!("'{name}' property should be an object")))
            }
        }
    }

    /// The arguments of a new watcher: a text, or words; numbers among them are taken as written.
    pub(super) fn args(&self, name: &str) -> Result<Args, Reply> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Args::None),
            Some(Value::String(text)) => Ok(Args::Text(text.clone())),
            Some(Value::Array(items)) => items
                .iter()
                .map(word)
                .collect::<Option<_>>()
                .map(Args::List)
                .ok_or_else(|| wrong(name, "a list of strings")),
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
                Err(wrong(name, "a list or string"))
            }
        }
    }
}

/// What a word of an argument list says.
fn word(item: &Value) -> Option<String> {
    match item {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether Python takes the value for true.
fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// A refusal of a property's type.
fn wrong(name: &str, wanted: &str) -> Reply {
    message(format!("{} isn't {wanted}", repr_text(name)))
}

/// A refusal with errno 3.
pub(super) fn message(reason: impl Into<String>) -> Reply {
    Reply::error(ErrorCode::Message, reason)
}

/// A refusal because there is no such command.
pub(super) fn unknown_command(name: &Value) -> Reply {
    Reply::error(ErrorCode::UnknownCommand, format!("unknown command: {}", repr(name)))
}
