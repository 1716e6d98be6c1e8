//! JSON values as the text Python's `str()` and `repr()` make of them.
//!
//! Variables in commands and the reasons of refusals carry these texts on the wire.

use serde_json::Value;

/// `str(value)`: a text as it is, everything else as [`repr`].
#[must_use]
pub fn str(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => repr(value),
    }
}

/// `repr(value)`.
#[must_use]
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        Value::Number(number) => number.to_string(),
        Value::String(text) => repr_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(name, value)| format!("{}: {}", repr_text(name), repr(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// `repr(text)`: in single quotes unless only those occur in it; what cannot be printed is escaped.
#[must_use]
pub fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            ' ' => out.push(' '),
            c if c.is_control() || c.is_whitespace() => match u32::from(c) {
                code @ ..=0xff => out.push_str(&format!("\\x{code:02x}")),
                code => out.push_str(&format!("\\u{code:04x}")),
            },
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// `repr(number)`: always with a fraction or an exponent, the exponent with a sign and two digits.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
            let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_as_in_python() {
        for (value, text) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(-3), "-3"),
            (json!(30.0), "30.0"),
            (json!(0.25), "0.25"),
            (json!(1e16), "1e+16"),
            (json!(1.5e-7), "1.5e-07"),
            (json!(["a", 1, "it's"]), r#"['a', 1, "it's"]"#),
            (json!({"a": [], "b": {"c": "x\ny"}}), r"{'a': [], 'b': {'c': 'x\ny'}}"),
            (json!("plain 'text'"), "plain 'text'"),
        ] {
            assert_eq!(str(&value), text);
        }
        for (text, shown) in [
            (r#"'"'"#, r#"'\'"\''"#),
            ("it's", r#""it's""#),
            ("a\nb\u{1}\u{a0}é", r"'a\nb\x01\xa0é'"),
            ("\u{2028}", r"'\u2028'"),
        ] {
            assert_eq!(repr_text(text), shown);
        }
    }
}
