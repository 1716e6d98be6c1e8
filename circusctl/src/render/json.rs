//! A reply as JSON text, laid out as Python's `json.dumps` does.

use circus_common::protocol::json;
use serde_json::{Map, Value};

/// On one line, members in the order of the reply.
pub fn line(value: &Value) -> String {
    json::to_text(value)
}

/// Indented by 2 with sorted keys (`--prettify`).
pub fn pretty(value: &Value) -> String {
    // The alternate form of a value is its indented text.
    format!("{:#}", sorted(value))
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(key, item)| (key.clone(), sorted(item))).collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            members.into_iter().collect::<Map<_, _>>().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_line_is_laid_out_as_python_dumps_it() {
        let reply = json!({"status": "ok", "time": 1_795_272_807.25, "pids": [1, 2], "tb": null, "a": "\n"});
        assert_eq!(
            line(&reply),
            r#"{"status": "ok", "time": 1795272807.25, "pids": [1, 2], "tb": null, "a": "\n"}"#
        );
    }

    #[test]
    fn prettified_keys_are_sorted_and_empty_collections_stay_short() {
        let reply = json!({"b": {}, "a": [], "c": [1, {"z": 1.5, "y": true}]});
        assert_eq!(
            pretty(&reply),
            "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n      \"y\": true,\n      \"z\": 1.5\n    }\n  ]\n}"
        );
    }
}
