//! `key: value` lines: `get`, `options`, `globaloptions`.

use serde_json::{Map, Value};

use circus_common::config::python_text::str as str_of;

use super::Reply;

/// The options in the order of the reply, which is the order they were asked for.
pub fn lines(reply: &Reply) -> String {
    options(reply).map(|(key, value)| line(key, value)).collect::<Vec<_>>().join("\n")
}

/// The options in order of their names.
pub fn sorted_lines(reply: &Reply) -> String {
    let mut pairs: Vec<_> = options(reply).collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs.into_iter().map(|(key, value)| line(key, value)).collect::<Vec<_>>().join("\n")
}

fn options(reply: &Reply) -> impl Iterator<Item = (&String, &Value)> {
    reply.get("options").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn line(key: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Object(variables) if key == "env" => environment(variables),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            str_of(value)
        }
    };
    format!("{key}: {text}")
}

fn environment(variables: &Map<String, Value>) -> String {
    let mut pairs: Vec<_> = variables.iter().collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs.into_iter().map(|(name, value)| format!("{name}={}", str_of(value))).collect::<Vec<_>>().join(",")
}
