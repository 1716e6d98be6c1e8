//! Random requests of clients, as they write them.

use circus_common::config::HookName;
use serde_json::{Map, Value, json};

use super::{NAMES, dice::Dice};

/// Any request.
pub(super) fn request(dice: &mut Dice<'_>) -> String {
    let name = NAMES[dice.place(NAMES.len())];
    let (command, mut properties) = match dice.below(30) {
        0..=9 => operate(name, dice),
        10..=13 => several(dice),
        14..=21 => change(name, dice),
        22..=25 => administer(name, dice),
        26..=28 => read(name, dice),
        _ => {
            let command = dice.pick(&["start", "stop", "restart", "reload", "incr"]);
            let cast = json!({"msg_type": "cast", "command": command, "properties": {"name": name, "waiting": true}});
            return cast.to_string();
        }
    };
    properties["waiting"] = dice.flip().into();
    json!({"command": command, "properties": properties}).to_string()
}

/// A request that only asks.
pub(super) fn read_any(dice: &mut Dice<'_>) -> String {
    let name = NAMES[dice.place(NAMES.len())];
    let (command, properties) = read(name, dice);
    json!({"command": command, "properties": properties}).to_string()
}

/// start, stop, restart, reload, incr, decr of one watcher.
fn operate(name: &str, dice: &mut Dice<'_>) -> (&'static str, Value) {
    match dice.below(10) {
        0 | 1 => ("start", json!({"name": name})),
        2 => ("stop", json!({"name": name})),
        3 => ("restart", json!({"name": name})),
        4 | 5 => ("reload", json!({"name": name, "graceful": !dice.once_in(4), "sequential": dice.flip()})),
        6 | 7 => ("incr", json!({"name": name, "nb": dice.pick(&[-2, -1, 0, 1, 2])})),
        8 => ("decr", json!({"name": name, "nb": dice.below(9)})),
        _ => ("set", json!({"name": name, "options": {"numprocesses": dice.below(5)}})),
    }
}

/// The same of many.
fn several(dice: &mut Dice<'_>) -> (&'static str, Value) {
    let command = dice.pick(&["start", "stop", "restart"]);
    match dice.below(5) {
        0 | 1 => (command, json!({"name": "*s*"})),
        2 => (command, json!({"name": "^(plain|once|se|patient)", "match": "regex"})),
        3 => (dice.pick(&["start", "stop"]), json!({})),
        _ => ("reload", json!({"graceful": !dice.once_in(4), "sequential": dice.flip()})),
    }
}

/// kill, signal and set of one watcher.
fn change(name: &str, dice: &mut Dice<'_>) -> (&'static str, Value) {
    let any_signal = dice.pick(&[1, 9, 10, 15]);
    match dice.below(6) {
        0 => ("kill", json!({"name": name})),
        1 => ("kill", json!({"name": name, "signum": any_signal, "graceful_timeout": dice.below(60)})),
        2 => ("signal", json!({"name": name, "signum": any_signal})),
        3 => {
            let (children, recursive) = (dice.flip(), dice.flip());
            ("signal", json!({"name": name, "signum": 10, "children": children, "recursive": recursive}))
        }
        _ => ("set", json!({"name": name, "options": option(name, dice)})),
    }
}

fn option(name: &str, dice: &mut Dice<'_>) -> Value {
    match dice.below(13) {
        12 => hook(dice),
        0 => json!({"env": {"A": "1"}}),
        1 => json!({"cmd": format!("{name} --new")}),
        2 => json!({"stop_signal": dice.pick(&[1, 10, 15])}),
        3 => json!({"graceful_timeout": dice.below(5)}),
        4 => json!({"respawn": dice.flip()}),
        5 => json!({"singleton": dice.once_in(4)}),
        6 => json!({"stop_children": dice.flip()}),
        7 => json!({"max_retry": dice.pick(&[-1, 0, 1, 2, 3])}),
        8 => json!({"warmup_delay": dice.below(2)}),
        9 => json!({"uid": 1, "numprocesses": 2}),
        10 => stream(dice),
        _ => json!({"max_age": dice.below(4)}),
    }
}

/// A hook; some cannot be had.
fn hook(dice: &mut Dice<'_>) -> Value {
    let key = format!("hooks.{}", dice.pick(&HookName::ALL));
    Value::Object(Map::from_iter([(key, json!(dice.pick(&["m.f", "m.f, True", "missing.f"])))]))
}

/// Options of a stream; some of them cannot be had.
fn stream(dice: &mut Dice<'_>) -> Value {
    match dice.below(5) {
        0 => json!({"stdout_stream.class": "QueueStream"}),
        1 => json!({"stderr_stream.class": "FileStream", "stderr_stream.filename": "log"}),
        2 => json!({"stdout_stream.filename": "/nowhere/log", "numprocesses": 2}),
        3 => json!({"stdout_stream.class": "missing.Class"}),
        _ => json!({"close_child_stdout": dice.flip()}),
    }
}

/// add, rm, reloadconfig.
fn administer(name: &str, dice: &mut Dice<'_>) -> (&'static str, Value) {
    match dice.below(8) {
        6 => ("addsocket", json!({"name": "late", "options": {"port": 90}})),
        7 => ("rmsocket", json!({"name": dice.pick(&["late", "web", "extra"])})),
        0 | 1 => ("reloadconfig", json!({"dry_run": dice.once_in(4)})),
        2 => ("rm", json!({"name": name, "nostop": dice.flip()})),
        3 => ("rm", json!({"name": name})),
        _ => {
            let file = if dice.once_in(4) { "/nowhere/log" } else { "log" };
            let stream = json!({"class": "FileStream", "filename": file});
            let options = json!({"stdout_stream": stream, "graceful_timeout": 2, "numprocesses": dice.below(4), "max_retry": -1});
            ("add", json!({"name": name, "cmd": name, "start": dice.flip(), "options": options}))
        }
    }
}

/// What only asks.
fn read(name: &str, dice: &mut Dice<'_>) -> (&'static str, Value) {
    if dice.once_in(3) {
        return (dice.pick(&["stats", "status", "dstats", "list"]), json!({}));
    }
    if dice.once_in(6) {
        return ("stats", json!({"name": name, "extended": true}));
    }
    (dice.pick(&["why", "stats", "list", "options", "numprocesses", "status", "logs"]), json!({"name": name}))
}
