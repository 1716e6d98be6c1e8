//! Figures of processes: `stats` and `dstats`.

use serde_json::{Map, Value};

use circus_common::config::python_text::str as str_of;

use super::{Reply, member};

/// The members of an info line; the pid stands before them, two blanks apart.
const COLUMNS: [&str; 8] = ["cmdline", "username", "nice", "mem_info1", "mem_info2", "cpu", "mem", "ctime"];

/// The daemon's own line.
pub fn dstats(reply: &Reply) -> String {
    let info = reply.get("info").and_then(Value::as_object);
    let mut lines = vec!["Main Process:".to_owned()];
    lines.extend(info.map(|info| format!("    {}", info_line(info))));
    let children = info.map_or(&[][..], children);
    if !children.is_empty() {
        lines.push("Children:".to_owned());
        lines.extend(children.iter().filter_map(Value::as_object).map(|it| format!("    {}", info_line(it))));
    }
    lines.join("\n")
}

/// The processes of all watchers, of one, or one process.
pub fn stats(reply: &Reply) -> String {
    let mut lines = Vec::new();
    if reply.contains_key("name") {
        watcher(&member(reply, "name"), reply.get("info"), &mut lines);
    } else if let Some(infos) = reply.get("infos").and_then(Value::as_object) {
        for (name, info) in infos {
            watcher(name, Some(info), &mut lines);
        }
    } else {
        let info = reply.get("info").map(process).unwrap_or_default();
        // Circus ends this form, and only this one, with an empty line.
        lines.push(format!("{}: {info}\n", member(reply, "process")));
    }
    lines.join("\n")
}

fn watcher(name: &str, processes: Option<&Value>, lines: &mut Vec<String>) {
    lines.push(format!("{name}:"));
    for (pid, info) in processes.and_then(Value::as_object).into_iter().flat_map(Map::iter) {
        lines.push(format!("{pid}: {}", process(info)));
    }
}

/// A process with its children below it; or the text that stands in for one that is gone.
fn process(info: &Value) -> String {
    let Value::Object(info) = info else {
        return str_of(info);
    };
    let mut lines = vec![info_line(info)];
    let children = children(info).iter().filter_map(Value::as_object);
    lines.extend(children.map(|child| format!("   {}", info_line(child))));
    lines.join("\n")
}

fn children(info: &Reply) -> &[Value] {
    info.get("children").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn info_line(info: &Reply) -> String {
    let columns: Vec<_> = COLUMNS.iter().map(|name| member(info, name)).collect();
    format!("{}  {}", member(info, "pid"), columns.join(" "))
}
