//! Replies made of names, states and counts: `list`, `status`, `incr`, `listsockets`.

use serde_json::Value;

use circus_common::config::python_text::str as str_of;

use super::{Reply, member};

/// Watcher names or pids, joined by commas without blanks.
pub fn list(reply: &Reply) -> String {
    let items = reply.get("pids").or_else(|| reply.get("watchers")).and_then(Value::as_array);
    items.map_or_else(
        || "error: Response doesn't contain 'pids' nor 'watchers'.".to_owned(),
        |items| items.iter().map(str_of).collect::<Vec<_>>().join(","),
    )
}

/// `name: state` lines in byte order of the names, or the bare state of one watcher.
pub fn status(reply: &Reply) -> String {
    let Some(states) = reply.get("statuses").and_then(Value::as_object) else {
        return member(reply, "status");
    };
    let mut lines: Vec<_> = states.iter().collect();
    lines.sort_by_key(|(name, _)| *name);
    lines.into_iter().map(|(name, state)| format!("{name}: {}", str_of(state))).collect::<Vec<_>>().join("\n")
}

/// What `incr` and `decr` led to.
pub fn count_after_change(reply: &Reply) -> String {
    if reply.contains_key("singleton") {
        return "This watcher is a Singleton - not changing the number of processes".to_owned();
    }
    // The number is known only to a request that waited.
    if reply.contains_key("numprocesses") { member(reply, "numprocesses") } else { "ok".to_owned() }
}

/// One line for each managed socket.
pub fn sockets(reply: &Reply) -> String {
    let sockets = reply.get("sockets").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    sockets.iter().filter_map(Value::as_object).map(socket).collect::<Vec<_>>().join("\n")
}

fn socket(socket: &Reply) -> String {
    let place = if socket.contains_key("path") {
        member(socket, "path")
    } else {
        format!("{}:{}", member(socket, "host"), member(socket, "port"))
    };
    format!("{}:socket '{}' at {place}", member(socket, "fd"), member(socket, "name"))
}
