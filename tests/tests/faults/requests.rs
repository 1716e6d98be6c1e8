//! Requests of every kind from several clients at once, with properties that are right, nearly right and wrong.

use std::{collections::BTreeSet, thread};

use circus_tests::daemon::{Daemon, process};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::{measured, raw::Raw, scale};

const CONFIG: &str = "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\ngraceful_timeout = 0.2\n\
    [watcher:deaf]\ncmd = sh -c \"trap '' TERM; while :; do echo x; sleep 0.1; done\"\ngraceful_timeout = 0.2\n\
    stdout_stream.class = QueueStream\n\
    [watcher:crash]\ncmd = sh -c \"exit 1\"\nnumprocesses = 2\nrespawn_healthy = 0.05\ngraceful_timeout = 0.2\n\
    [watcher:family]\ncmd = sh -c \"sleep 1000 & sleep 1000 & wait\"\ngraceful_timeout = 0.2\n\
    [watcher:absent]\ncmd = no-such-program\nmax_retry = 2\ngraceful_timeout = 0.2\n\
    [watcher:called]\ncmd = sleep 1000\nuse_sockets = True\non_demand = True\ngraceful_timeout = 0.2\n\
    [socket:open]\nhost = 127.0.0.1\nport = 0\n";

/// All but those that end the daemon, or its connections.
const COMMANDS: [&str; 27] = [
    "add",
    "addsocket",
    "decr",
    "dstats",
    "get",
    "globaloptions",
    "incr",
    "kill",
    "list",
    "listen",
    "listsockets",
    "logs",
    "notify",
    "numprocesses",
    "numwatchers",
    "options",
    "reload",
    "reloadconfig",
    "restart",
    "rm",
    "rmsocket",
    "set",
    "signal",
    "start",
    "stats",
    "status",
    "stop",
];

/// Requests that a client has under way.
const BURST: usize = 16;

fn pick<'a, T>(random: &mut Rng, all: &'a [T]) -> &'a T {
    &all[random.usize(..all.len())]
}

/// A value that is what is wanted, or not.
fn value(random: &mut Rng, wanted: &[Value]) -> Value {
    let odd = [json!(null), json!(-1), json!(""), json!("\u{0}"), json!([]), json!({"a": [{}]})];
    if random.u8(0..8) == 0 { pick(random, &odd).clone() } else { pick(random, wanted).clone() }
}

fn options(random: &mut Rng) -> Value {
    let known: [(&str, &[Value]); 14] = [
        ("cmd", &[json!("sleep 1000"), json!("sh -c 'exit 0'"), json!("no-such-program"), json!("'")]),
        ("numprocesses", &[json!(0), json!(1), json!(4), json!("2")]),
        ("graceful_timeout", &[json!(0), json!(0.1)]),
        ("warmup_delay", &[json!(0), json!(0.05)]),
        ("max_retry", &[json!(0), json!(-1), json!(2)]),
        ("max_age", &[json!(0), json!(1)]),
        ("respawn", &[json!(true), json!(false)]),
        ("singleton", &[json!(true), json!(false)]),
        ("stop_signal", &[json!(15), json!("int"), json!("SIGNOPE")]),
        ("stop_children", &[json!(true), json!(false)]),
        ("working_dir", &[json!("/"), json!("/no-such-directory")]),
        ("env", &[json!({"A": "1"}), json!("A=1")]),
        ("stdout_stream.class", &[json!("QueueStream"), json!("Nothing")]),
        ("of_my_own", &[json!("x")]),
    ];
    let count = random.usize(0..4);
    let chosen = (0..count).map(|_| *pick(random, &known)).collect::<Vec<_>>();
    chosen.into_iter().map(|(name, wanted)| (name.to_owned(), value(random, wanted))).collect()
}

fn properties(random: &mut Rng, command: &str) -> Map<String, Value> {
    let names =
        ["web", "DEAF", "crash", "family", "absent", "called", "new1", "new2", "nobody"].map(Value::from);
    let mut all = Map::new();
    let mut put = |random: &mut Rng, name: &str, wanted: &[Value]| {
        if random.u8(0..4) > 0 {
            all.insert(name.to_owned(), value(random, wanted));
        }
    };
    put(random, "name", &names);
    put(random, "waiting", &[json!(true), json!(false), json!(false), json!(false)]);
    match command {
        "add" => {
            put(random, "name", &[json!("new1"), json!("new2")]);
            put(random, "cmd", &[json!("sleep 1000"), json!("sh -c 'exit 1'")]);
            put(random, "start", &[json!(true)]);
        }
        "addsocket" | "rmsocket" => {
            put(random, "name", &[json!("open"), json!("another")]);
            all.insert("options".to_owned(), json!({"host": "127.0.0.1", "port": 0}));
            return all;
        }
        "incr" | "decr" => put(random, "nb", &[json!(1), json!(2), json!(-1)]),
        "kill" | "signal" => {
            put(
                random,
                "signum",
                &[json!(15), json!("kill"), json!(19), json!(18), json!("cont"), json!(99)],
            );
            put(random, "recursive", &[json!(true), json!(false)]);
        }
        "logs" => put(random, "wait", &[json!(0), json!(0.1)]),
        "reload" | "restart" => put(random, "sequential", &[json!(true), json!(false)]),
        "get" => put(random, "keys", &[json!(["cmd"]), json!(["cmd", "nothing"])]),
        _ => {}
    }
    if matches!(command, "add" | "set") {
        all.insert("options".to_owned(), options(random));
    }
    if let Some(Value::Object(options)) = all.get_mut("options").filter(|_| command == "add") {
        // What was stopped by a signal is gone in time all the same.
        options.insert("graceful_timeout".to_owned(), json!(0.2));
    }
    if command == "restart" && all.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
        all.insert("name".to_owned(), json!("web"));
    }
    all
}

/// Asks in bursts, and sees that each request is answered, and once.
fn ask(control: &str, seed: u64, bursts: usize) {
    let mut random = Rng::with_seed(seed);
    let mut raw = Raw::ready(control, "DEALER").unwrap();
    for _ in 0..bursts {
        let mut owed = BTreeSet::new();
        let mut sent = Vec::new();
        for number in 0..BURST {
            let command = *pick(&mut random, &COMMANDS);
            let id = number.to_string();
            let request =
                json!({"id": id, "command": command, "properties": properties(&mut random, command)});
            raw.frame(0, request.to_string().as_bytes()).unwrap();
            owed.insert(id);
            sent.push(request);
        }
        while !owed.is_empty() {
            let answer = raw.read().unwrap_or_else(|error| panic!("{owed:?} of {sent:?} are owed: {error}"));
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert!(answer["status"].is_string(), "{answer}");
            assert!(owed.remove(answer["id"].as_str().unwrap_or_default()), "{answer}");
        }
    }
}

#[test]
fn requests_of_every_kind_are_each_answered_once_and_nothing_is_left_of_them() {
    let daemon = Daemon::start(CONFIG);
    daemon.wait_pids("web", 2);
    let control = daemon.path("control").to_str().unwrap().to_owned();
    let (before, memory) = (process::descriptors(daemon.pid()).len(), process::resident(daemon.pid()));
    let (clients, bursts) = (4, scale(15, 1500));
    let asking: Vec<_> = (0..clients)
        .map(|seed| {
            let control = control.clone();
            thread::spawn(move || ask(&control, seed, bursts))
        })
        .collect();
    asking.into_iter().for_each(|client| client.join().unwrap());
    for name in daemon.ok("list", json!({}))["watchers"].as_array().unwrap() {
        daemon.ok("rm", json!({"name": name, "waiting": true}));
    }
    daemon.wait_until("nobody to be there", |daemon| process::descendants(daemon.pid()).is_empty());
    daemon.wait_until("the descriptors to be given back", |daemon| {
        process::descriptors(daemon.pid()).len() <= before
    });
    let grown = process::resident(daemon.pid()).saturating_sub(memory);
    measured(
        "requests of every kind",
        &format!("{} requests, each answered; {grown} KiB more", clients as usize * bursts * BURST),
    );
    assert!(grown < 16 * 1024, "{grown} KiB");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
}
