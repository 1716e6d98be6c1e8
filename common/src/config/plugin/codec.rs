//! A plugin's options as one argument of circus-plugin: Circus' `key:value:::key:value`, or JSON where that cannot
//! say it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Between two options.
const BETWEEN: &str = ":::";

/// The options by name.
pub type Options = BTreeMap<String, String>;

/// Reads Circus' form: what has no colon is passed over, and blanks around keys and values do not count.
#[must_use]
pub fn decode(text: &str) -> Options {
    let pairs = text.split(BETWEEN).filter_map(|pair| pair.split_once(':'));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Writes Circus' form; `None` when it would not be read back as the same.
#[must_use]
pub fn encode(options: &Options) -> Option<String> {
    let pairs: Vec<String> = options.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    let text = pairs.join(BETWEEN);
    (decode(&text) == *options).then_some(text)
}

/// Reads the JSON form: an object; what is no text is taken as it is written.
///
/// # Errors
/// When it is no object.
pub fn decode_json(text: &str) -> Result<Options, String> {
    let members: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            other.to_string()
        }
    };
    Ok(members.into_iter().map(|(key, value)| (key, text(value))).collect())
}

/// Writes the JSON form.
#[must_use]
pub fn encode_json(options: &Options) -> String {
    let members: Map<String, Value> =
        options.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn circus_form_is_read_and_written_as_recorded() {
        let text = "max_retry:2:::name:plugin:flapping:::retry_in:2:::window:3";
        let read = decode(text);
        assert_eq!(
            read,
            options(&[("max_retry", "2"), ("name", "plugin:flapping"), ("retry_in", "2"), ("window", "3")])
        );
        assert_eq!(encode(&read).as_deref(), Some(text));
        assert_eq!(decode(" a : b ::: nothing ::: c::d"), options(&[("a", "b"), ("c", ":d")]));
    }

    #[test]
    fn what_circus_form_would_lose_is_not_written_in_it() {
        for (key, value) in [("a", "x:::y:z"), ("a", " x"), ("a:b", "x"), ("a", ":")] {
            let wanted = options(&[(key, value), ("z", "1")]);
            assert_eq!(encode(&wanted), None, "{key} {value}");
            assert_eq!(decode_json(&encode_json(&wanted)), Ok(wanted));
        }
    }

    #[test]
    fn json_of_other_types_becomes_text() {
        assert_eq!(decode_json(r#"{"a": 1, "b": true}"#), Ok(options(&[("a", "1"), ("b", "true")])));
        assert!(decode_json("[]").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(wanted in btree_map("[a-z:]{0,4}", "[a:; ]{0,6}", 0..4)) {
            if let Some(text) = encode(&wanted) {
                prop_assert_eq!(&decode(&text), &wanted);
            }
            prop_assert_eq!(decode_json(&encode_json(&wanted)), Ok(wanted));
        }
    }
}
