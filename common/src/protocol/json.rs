//! JSON as Python writes it: `", "` and `": "` between things.

use std::io;

use serde::Serialize;
use serde_json::{Value, ser::Formatter};

/// Separators with a blank, everything else as compact JSON.
struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The value as one line of JSON with Python's separators.
#[must_use]
pub fn to_bytes(value: &Value) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, PythonFormatter);
    value.serialize(&mut serializer).expect("a JSON value has text keys, and memory takes every byte");
    text
}

/// The same as text.
#[must_use]
pub fn to_text(value: &Value) -> String {
    String::from_utf8(to_bytes(value)).expect("JSON made of text is text")
}

/// A number as JSON has it; what is not finite becomes 0, since JSON has no word for it.
#[must_use]
pub fn number(value: f64) -> Value {
    Value::from(if value.is_finite() { value } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn separators_are_those_of_python() {
        let value = json!({"a": [1, 2.5, {"b": null}], "c": {}, "d": [], "e": "x,y: z"});
        assert_eq!(to_text(&value), r#"{"a": [1, 2.5, {"b": null}], "c": {}, "d": [], "e": "x,y: z"}"#);
    }

    #[test]
    fn what_json_cannot_say_is_zero() {
        assert_eq!(number(f64::NAN), json!(0.0));
        assert_eq!(number(f64::INFINITY), json!(0.0));
        assert_eq!(number(1.5), json!(1.5));
    }
}
