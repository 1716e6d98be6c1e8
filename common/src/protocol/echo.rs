//! The `id` of a request, which goes back as it came.

use serde_json::{Value, value::RawValue};

use super::json;

/// JSON text that is not read: so a number that no type of ours can hold stays what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo(Box<str>);

impl Echo {
    /// What goes back where there was no `id`.
    #[must_use]
    pub fn null() -> Self {
        Self(Box::from("null"))
    }

    pub(super) fn of(written: &RawValue) -> Self {
        Self(Box::from(written.get()))
    }

    /// The text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl From<&Value> for Echo {
    fn from(value: &Value) -> Self {
        Self(json::to_text(value).into())
    }
}
