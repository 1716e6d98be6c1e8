//! `reloadconfig --plan`: what applying the configuration again would do.

use serde_json::Value;

use circus_common::config::python_text::str as str_of;

use super::{Reply, member};

/// One line for each thing that would happen; what stays comes last.
pub fn plan(plan: &Value) -> String {
    let Some(plan) = plan.as_object() else {
        return str_of(plan);
    };
    let mut lines = Vec::new();
    if plan.get("restart").and_then(Value::as_bool) == Some(true) {
        let reasons = texts(plan, "reasons");
        let because = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
        lines.push(format!("! the daemon restarts in place{because}"));
    }
    lines.extend(texts(plan, "settings").into_iter().map(|key| format!("~ setting   {key}")));
    lines.extend(texts(plan, "add").into_iter().map(|name| format!("+ add       {name}")));
    lines.extend(texts(plan, "remove").into_iter().map(|name| format!("- remove    {name}")));
    lines.extend(
        objects(plan, "recreate")
            .map(|it| format!("~ recreate  {} ({})", member(it, "name"), texts(it, "keys").join(", "))),
    );
    lines.extend(objects(plan, "resize").map(|it| {
        let (from, to) = (member(it, "from"), member(it, "to"));
        format!("~ resize    {} from {from} to {to} processes", member(it, "name"))
    }));
    if let Some(sockets) = plan.get("sockets").and_then(Value::as_object) {
        let line = |sign: &'static str, what: &'static str| {
            move |name: String| {
                if what.is_empty() {
                    format!("{sign} socket    {name}")
                } else {
                    format!("{sign} socket    {name} ({what})")
                }
            }
        };
        lines.extend(texts(sockets, "add").into_iter().map(line("+", "")));
        lines.extend(texts(sockets, "remove").into_iter().map(line("-", "")));
        lines.extend(texts(sockets, "replace").into_iter().map(line("~", "opened anew")));
        lines.extend(texts(sockets, "adjust").into_iter().map(line("~", "adjusted")));
    }
    if lines.is_empty() {
        lines.push("nothing would change".to_owned());
    }
    lines.extend(texts(plan, "unchanged").into_iter().map(|name| format!("= keep      {name}")));
    lines.join("\n")
}

fn texts(members: &Reply, name: &str) -> Vec<String> {
    items(members, name).iter().map(str_of).collect()
}

fn objects<'a>(members: &'a Reply, name: &str) -> impl Iterator<Item = &'a Reply> {
    items(members, name).iter().filter_map(Value::as_object)
}

fn items<'a>(members: &'a Reply, name: &str) -> &'a [Value] {
    members.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
