//! Options that stand for many keys: streams, resource limits, hooks, and what is kept for plugins.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::Field;
use crate::config::{HookConfig, HookName, WatcherConfig};

/// A stream's keys as `options` shows them: without `class`; null when an `add` or circusd itself said nothing.
pub(super) fn stream(watcher: &WatcherConfig, stream: &Option<IndexMap<String, Value>>) -> Value {
    match stream {
        None if !watcher.from_file || watcher.brought_along => Value::Null,
        None => Value::Object(Map::new()),
        Some(members) => {
            let shown = members.iter().filter(|(name, _)| *name != "class");
            Value::Object(shown.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
    }
}

/// Sets one key of a stream.
pub(super) fn write_stream(
    stream: &mut Option<IndexMap<String, Value>>,
    member: &str,
    value: &Value,
) -> Result<(), String> {
    if member.is_empty() {
        return Err("a stream option needs a name after the dot, such as `stdout_stream.class`".to_owned());
    }
    stream.get_or_insert_default().insert(member.to_owned(), value.clone());
    Ok(())
}

/// Replaces a stream by an object.
pub(super) fn replace_stream(
    stream: &mut Option<IndexMap<String, Value>>,
    value: &Value,
) -> Result<(), String> {
    let Value::Object(members) = value else { return Err("a stream is an object".to_owned()) };
    *stream = Some(members.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
    Ok(())
}

/// Sets one limit; null and -1 are none.
pub(super) fn write_rlimit(watcher: &mut WatcherConfig, member: &str, value: &Value) -> Result<(), String> {
    let limit = match value {
        Value::Null => None,
        Value::Number(number) if number.as_i64() == Some(-1) => None,
        Value::Number(number) => match number.as_u64() {
            Some(limit) => Some(limit),
            None => return Err(format!("{number} is no resource limit; write a number, or -1 for no limit")),
        },
        Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            return Err(format!("{value} is no resource limit"));
        }
    };
    watcher.rlimits.insert(member.to_lowercase(), limit);
    Ok(())
}

/// Sets one hook from `callable[, boolean]`. Circus keeps a hook of another name and never calls it.
pub(super) fn write_hook(watcher: &mut WatcherConfig, member: &str, value: &Value) -> Result<(), String> {
    let hook = HookConfig::parse(&String::from_json(value)?)?;
    if let Some(name) = HookName::find(member) {
        watcher.hooks.insert(name, hook);
    }
    Ok(())
}

/// Sets several hooks. A value is a text, or a pair of a text and a boolean.
pub(super) fn write_hooks(watcher: &mut WatcherConfig, _: &str, value: &Value) -> Result<(), String> {
    let Value::Object(members) = value else { return Err("hooks are an object".to_owned()) };
    for (name, value) in members {
        match (value.as_array().map(Vec::as_slice), HookName::find(name)) {
            (Some([Value::String(text), Value::Bool(ignore_failure)]), Some(name)) => {
                let hook = HookConfig { ignore_failure: *ignore_failure, ..HookConfig::parse(text)? };
                watcher.hooks.insert(name, hook);
            }
            (Some(_) | None, _) => write_hook(watcher, name, value)?,
        }
    }
    Ok(())
}

/// Keeps a value that only plugins understand.
pub(super) fn write_extra(watcher: &mut WatcherConfig, key: &str, value: &Value) -> Result<(), String> {
    watcher.extra.insert(key.to_owned(), value.clone());
    Ok(())
}
