//! One frame as JSON, for programs.

use serde_json::{Map, Value, json};

use crate::state::{
    At, State,
    host::{Host, Socket},
    report::Control,
    watcher::{Process, Watcher},
};

/// All hosts in one object. What is not known is null.
#[must_use]
pub fn value(state: &State) -> Value {
    json!({"hosts": state.hosts().iter().map(|it| host(it, state.shown_at())).collect::<Vec<_>>()})
}

fn host(host: &Host, now: At) -> Value {
    let (control, version) = match &host.control {
        Control::Found { endpoint, version } => (Some(endpoint), version.as_ref()),
        Control::Seeking | Control::Absent { .. } | Control::Lost => (None, None),
    };
    let sum = host.sum();
    json!({
        "name": host.label,
        "endpoint": host.endpoint,
        "control": control,
        "version": version,
        "cpu": sum.cpu,
        "mem": sum.mem,
        "rss": sum.rss,
        "circus": host.own.processes.values().map(process).collect::<Vec<_>>(),
        "watchers": host.watchers.values().map(|it| watcher(it, now)).collect::<Vec<_>>(),
        "sockets": host.sockets.iter().map(|(fd, it)| socket(*fd, it)).collect::<Vec<_>>(),
    })
}

fn watcher(watcher: &Watcher, now: At) -> Value {
    let sum = watcher.sum();
    let mut exits = Map::new();
    if let Some(exit) = watcher.why.as_ref().and_then(|why| why.exits.first()) {
        exits.insert("pid".to_owned(), exit.pid.as_str().into());
        exits.insert("how".to_owned(), exit.how.as_str().into());
        exits.insert("expected".to_owned(), exit.expected.into());
    }
    json!({
        "name": watcher.name,
        "state": watcher.condition(now).map(|it| it.word()),
        "wanted": watcher.about.as_ref().and_then(|about| about.wanted),
        "restarts": watcher.why.as_ref().and_then(|why| why.restarts),
        "cpu": sum.cpu,
        "mem": sum.mem,
        "rss": sum.rss,
        "age": sum.age,
        "last_exit": if exits.is_empty() { Value::Null } else { Value::Object(exits) },
        "processes": watcher.processes.values().map(process).collect::<Vec<_>>(),
    })
}

fn process(process: &Process) -> Value {
    let figures = &process.figures;
    let mut members = Map::new();
    if let Some(title) = &figures.title {
        members.insert("name".to_owned(), title.as_str().into());
    }
    let further = [
        ("pid", json!(process.pid)),
        ("wid", json!(figures.wid)),
        ("cpu", json!(figures.cpu)),
        ("mem", json!(figures.mem)),
        ("rss", json!(figures.rss)),
        ("age", json!(figures.age)),
        ("restarts", json!(figures.restarts)),
        ("command", json!(figures.command)),
        ("user", json!(figures.user)),
    ];
    members.extend(further.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(members)
}

fn socket(fd: i64, socket: &Socket) -> Value {
    json!({"fd": fd, "name": socket.name, "address": socket.address, "reads": socket.reads})
}
