//! Many clients, and ones that mean ill, at the endpoints of a daemon that has work to do.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use circus_tests::daemon::{Daemon, Listener, Plan, process, skip};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{json, value::RawValue};

use crate::{measured, raw::Raw, scale};

const CONFIG: &str = "[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\nrespawn_healthy = 0\n";

/// What a crowd may cost: a client 128 KiB, and the daemon 32 MiB besides.
const KIB_EACH: u64 = 128;
const KIB_BESIDES: u64 = 32 * 1024;

fn path(daemon: &Daemon, endpoint: &str) -> String {
    daemon.path(endpoint).to_str().unwrap().to_owned()
}

/// Asks so often, and returns the median and the longest time of an answer.
fn timed(daemon: &Daemon, times: usize) -> (Duration, Duration) {
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let from = Instant::now();
            assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], 1);
            from.elapsed()
        })
        .collect();
    taken.sort();
    (taken[times / 2], taken[times - 1])
}

/// The daemon does its work: a process that is killed is replaced.
fn works(daemon: &Daemon) {
    let pids = daemon.wait_pids("web", 2);
    process::kill(pids[0]);
    daemon.wait_until("a replacement", |daemon| {
        let now = daemon.pids("web");
        now.len() == 2 && !now.contains(&pids[0])
    });
}

#[test]
fn idle_connections_by_the_thousand_cost_nobody_an_answer() {
    let count = scale(300, 2000);
    let own = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum });
    let daemon = Daemon::start(CONFIG);
    let control = path(&daemon, "control");
    let before = process::resident(daemon.pid());
    let crowd: Vec<Raw> = (0..count).map(|_| Raw::ready(&control, "DEALER").unwrap()).collect();
    let (median, worst) = timed(&daemon, 50);
    works(&daemon);
    let grown = process::resident(daemon.pid()).saturating_sub(before);
    measured(
        "idle connections",
        &format!("{count} connections: answers median {median:?}, worst {worst:?}; {grown} KiB more"),
    );
    assert!(grown < KIB_BESIDES + KIB_EACH * count, "{grown} KiB for {count} connections");
    drop(crowd);
    let few = |daemon: &Daemon| process::descriptors(daemon.pid()).len() < 60;
    daemon.wait_until("the descriptors to be given back", few);
    works(&daemon);
}

#[test]
fn clients_cannot_take_the_descriptors_that_processes_need() {
    let test = "clients_cannot_take_the_descriptors";
    if !skip::can_run(test, &["prlimit", "--version"]) {
        return;
    }
    let daemon = Plan::new(CONFIG).under(&["prlimit", "--nofile=100:100"]).start();
    let old = daemon.wait_pids("web", 2);
    let ends = [("control", "DEALER"), ("events", "SUB")];
    let crowd: Vec<Raw> = ends
        .into_iter()
        .flat_map(|end| (0..75).map(move |_| end))
        .filter_map(|(endpoint, kind)| Raw::ready(&path(&daemon, endpoint), kind).ok())
        .collect();
    // Nobody else can ask now, so the processes themselves are looked at.
    process::kill(old[0]);
    daemon.wait_until("a replacement", |daemon| {
        let now = process::living_descendants(daemon.pid());
        now.len() == 2 && !now.contains(&old[0])
    });
    drop(crowd);
    daemon.wait_until("room for clients", |daemon| process::descriptors(daemon.pid()).len() < 50);
    works(&daemon);
}

#[test]
fn clients_and_subscribers_that_never_read_hold_up_nobody() {
    let daemon = Daemon::start(CONFIG);
    let events = daemon.events();
    let (control, published) = (path(&daemon, "control"), path(&daemon, "events"));
    let before = process::resident(daemon.pid());
    let deaf: Vec<Raw> = (0..scale(10, 50))
        .map(|_| {
            let mut raw = Raw::ready(&published, "SUB").unwrap();
            raw.frame(0, &[1]).unwrap();
            raw
        })
        .collect();
    let enough = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..scale(2, 8))
        .map(|_| {
            let (control, enough) = (control.clone(), Arc::clone(&enough));
            thread::spawn(move || {
                let mut raw = Raw::ready(&control, "DEALER").unwrap();
                raw.0.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
                let mut sent = 0_u64;
                while !enough.load(Ordering::Relaxed) {
                    let text = br#"{"command": "options", "properties": {"name": "web"}, "id": "x"}"#;
                    sent += u64::from(raw.frame(0, text).is_ok());
                }
                sent
            })
        })
        .collect();
    let (median, worst) = timed(&daemon, scale(50, 500));
    for _ in 0..scale(5, 50) {
        works(&daemon);
    }
    enough.store(true, Ordering::Relaxed);
    let sent: u64 = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
    let grown = process::resident(daemon.pid()).saturating_sub(before);
    measured(
        "who never reads",
        &format!("{sent} requests unread: answers median {median:?}, worst {worst:?}; {grown} KiB more"),
    );
    assert!(grown < KIB_BESIDES * 2, "{grown} KiB");
    // Who does read has every event in order.
    events.wait_count("web", "spawn", scale(5, 50));
    drop(deaf);
}

#[test]
fn garbage_and_huge_frames_at_every_endpoint_harm_nobody() {
    let daemon = Daemon::start(&format!("[circus]\nstatsd = True\nstats_endpoint = ipc://stats\n{CONFIG}"));
    let listener = Listener::to(&format!("ipc://{}", daemon.path("stats").display()));
    let _ = listener.next("stat.web");
    let stats = daemon.wait_pids("circusd-stats", 1)[0];
    let (before, stats_before) = (process::resident(daemon.pid()), process::resident(stats));
    let mut random = fastrand::Rng::with_seed(3);
    let mut turned_away = 0_u32;
    for endpoint in ["control", "events", "stats"] {
        let path = path(&daemon, endpoint);
        for round in 0..scale(100, 2000) {
            let made = if round % 2 == 0 { Raw::mute(&path) } else { Raw::ready(&path, "DEALER") };
            // The daemon may have cut one off before it was through.
            let Ok(mut raw) = made else {
                turned_away += 1;
                continue;
            };
            let bytes: Vec<u8> = match round % 5 {
                0 => (0..700).map(|_| random.u8(..)).collect(),
                // A frame that says it is as long as anything.
                1 => [&[2][..], &u64::MAX.to_be_bytes()].concat(),
                2 => [&[2][..], &(1_u64 << 62).to_be_bytes(), &[0; 4096]].concat(),
                3 => [1, 0].repeat(20_000),
                _ => [&[4, 200][..], &[b'R'; 300]].concat(),
            };
            let _ = raw.0.write_all(&bytes);
        }
        works(&daemon);
    }
    let grown = process::resident(daemon.pid()).saturating_sub(before);
    // The same circusd-stats is there, and is heard.
    let _ = listener.next("stat.web");
    assert_eq!(daemon.pids("circusd-stats"), [stats]);
    let stats_grown = process::resident(stats).saturating_sub(stats_before);
    measured(
        "garbage",
        &format!("circusd {grown} KiB more, circusd-stats {stats_grown}; {turned_away} turned away at once"),
    );
    assert!(grown < KIB_BESIDES && stats_grown < KIB_BESIDES, "{grown} and {stats_grown} KiB");
}

/// Texts that are no requests, each in its own way.
fn malformed() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "", " ", "{", "}", "[]", "[[]]", "null", "true", "1", "\"x\"", "{}", "{]", "{\"command\"}",
        "{\"command\": }", "{\"command\": null}", "{\"command\": 7}", "{\"command\": []}", "{\"command\": {}}",
        "{\"command\": \"\"}", "{\"command\": \"nothing\"}", "{\"command\": \"list\",}",
        "{\"command\": \"list\"} {\"command\": \"quit\"}", "{\"command\": \"list\", \"properties\": 7}",
        "{\"command\": \"list\", \"properties\": [1]}", "{\"command\": \"list\", \"properties\": null}",
        "{\"command\": \"list\", \"properties\": {\"name\": 7}}",
        "{\"command\": \"list\", \"properties\": {\"name\": {\"a\": []}}}",
        "{\"command\": \"incr\", \"properties\": {\"name\": \"web\", \"nb\": 1e400}}",
        "{\"command\": \"incr\", \"properties\": {\"name\": \"web\", \"nb\": \"many\"}}",
        "{\"command\": \"decr\", \"properties\": {\"name\": \"web\", \"nb\": NaN}}",
        "{\"command\": \"set\", \"properties\": {\"name\": \"web\", \"options\": []}}",
        "{\"command\": \"set\", \"properties\": {\"name\": \"web\", \"options\": {\"graceful_timeout\": 1e308}}}",
        "{\"command\": \"signal\", \"properties\": {\"name\": \"web\", \"signum\": 999999999999999999999}}",
        "{\"command\": \"signal\", \"properties\": {\"name\": \"web\", \"signum\": \"SIGNOTHING\"}}",
        "{\"command\": \"kill\", \"properties\": {\"name\": \"web\", \"pid\": -1}}",
        "{\"command\": \"add\", \"properties\": {\"name\": \"\", \"cmd\": \"\"}}",
        "{\"command\": \"add\", \"properties\": {\"name\": \"a\", \"cmd\": \"'\"}}",
        "{\"command\": \"start\", \"properties\": {\"name\": \"(\", \"match\": \"regex\"}}",
        "{\"command\": \"list\", \"command\": \"list\", \"id\": {\"deep\": [[[[[[]]]]]]}}",
        "{\"id\": 1, \"msg_type\": 5, \"command\": \"list\"}", "{\"command\": \"li\\u0000st\"}",
        "{\"command\": \"\\ud800\"}", "{'command': 'list'}", "{\"command\": \"list\"", "\u{feff}{}", "NaN",
    ]
    .map(|text: &str| text.as_bytes().to_vec())
    .to_vec();
    texts.push(vec![0xff, 0xfe, b'{']);
    texts.push(b"{\"command\": \"\xff\"}".to_vec());
    texts.push("[".repeat(100_000).into_bytes());
    texts.push("{\"a\":".repeat(100_000).into_bytes());
    texts.push(format!("{{\"command\": \"{}\"}}", "x".repeat(500_000)).into_bytes());
    texts.push(format!("{{\"command\": \"list\", \"id\": {}}}", "9".repeat(5000)).into_bytes());
    texts
}

#[test]
fn malformed_requests_of_every_kind_are_each_answered_and_change_nothing() {
    let daemon = Daemon::start(CONFIG);
    let control = path(&daemon, "control");
    daemon.wait_pids("web", 2);
    let before = daemon.pids("web");
    let texts = malformed();
    for text in &texts {
        let mut raw = Raw::ready(&control, "DEALER").unwrap();
        raw.frame(0, text).unwrap();
        let answer = raw.read().unwrap_or_else(|error| {
            panic!("no answer to {}: {error}", String::from_utf8_lossy(&text[..text.len().min(80)]))
        });
        // The id comes back as it was written, and may be more than a number of ours can be.
        let answer: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&answer).unwrap();
        assert!(answer.contains_key("status"), "{answer:?}");
    }
    measured("malformed requests", &format!("{} kinds, each answered", texts.len()));
    assert_eq!(daemon.pids("web"), before);
    assert_eq!(daemon.option("web", "numprocesses"), 2);
    works(&daemon);
}
