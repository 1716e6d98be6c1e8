//! The members of a stream, read by name and type: text from a file, or JSON from the wire.

use indexmap::IndexMap;
use serde_json::Value;

use crate::config::{python_text, value};

/// A key at fault and what is wrong with it.
pub(super) type Wrong = (String, String);

/// `'10 apples' is wrong; what would be right`.
pub(super) fn wrong(key: &str, written: &str, right: &str) -> Wrong {
    (key.to_owned(), format!("{} is not understood; {right}", python_text::repr_text(written)))
}

/// All that was written.
#[derive(Clone, Copy)]
pub(super) struct Members<'w>(pub(super) &'w IndexMap<String, Value>);

impl Members<'_> {
    /// A member as text. Null is the same as absent.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Wrong> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value @ (Value::String(_) | Value::Bool(_) | Value::Number(_))) => {
                Ok(Some(python_text::str(value)))
            }
            Some(value @ (Value::Array(_) | Value::Object(_))) => {
                let text = format!("{} is not a string or number", python_text::repr(value));
                Err((key.to_owned(), text))
            }
        }
    }

    /// A text that must not be empty.
    pub(super) fn filled(&self, key: &str, right: &str) -> Result<Option<String>, Wrong> {
        match self.text(key)? {
            Some(text) if text.trim().is_empty() => Err((key.to_owned(), format!("it is empty; {right}"))),
            Some(text) if text.contains('\0') => Err((key.to_owned(), "it holds a NUL byte".to_owned())),
            text => Ok(text),
        }
    }

    /// A boolean, in any of the ways a file writes it. Any other text is an error, not true.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Wrong> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        value::flag(&text).map(Some).map_err(|error| (key.to_owned(), error))
    }

    /// A whole number; negative counts as 0, as in Circus.
    pub(super) fn count(&self, key: &str) -> Result<Option<u32>, Wrong> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let number = value::integer(&text).map_err(|error| (key.to_owned(), error))?;
        Ok(Some(u32::try_from(number.max(0)).unwrap_or(u32::MAX)))
    }

    /// A number of bytes, such as `10M`; negative counts as 0.
    pub(super) fn size(&self, key: &str) -> Result<Option<u64>, Wrong> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let right = "write bytes such as 1048576, or with a suffix such as 64K, 10M or 1G";
        size(&text).map(Some).ok_or_else(|| wrong(key, &text, right))
    }
}

/// A number of bytes with an optional suffix: `K M G T`, each 1024 of the one before; `KB` and `KiB` are the same.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let shift = match suffix.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return None,
    };
    let number = number.trim().parse::<i64>().ok()?.max(0).unsigned_abs();
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_suffixes_in_any_case() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1048576", Some(1 << 20)),
            (" 64K ", Some(64 << 10)),
            ("10m", Some(10 << 20)),
            ("10 MB", Some(10 << 20)),
            ("2GiB", Some(2 << 30)),
            ("1T", Some(1 << 40)),
            ("-5", Some(0)),
            ("-5K", Some(0)),
            ("1.5M", None),
            ("M", None),
            ("", None),
            ("10X", None),
            ("99999999999T", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
