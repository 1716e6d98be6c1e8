//! Clients that mean ill, as anybody who can connect may. What they do costs themselves only.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use circus_common::{
    consumer::{Consumer, Item},
    transport::{HANDSHAKE_TIMEOUT, MAX_REQUEST},
};
use circusd::{controller::Settings, publisher::MAX_SUBSCRIPTIONS};
use serde_json::json;
use tokio::{runtime, time::timeout};

use crate::{
    alone,
    daemon::{BlockingClient, Daemon, Order, resident},
    raw::Raw,
    scale,
};

const TCP: &str = "tcp://127.0.0.1:*";
const SOON: Duration = Duration::from_secs(5);
const MIB: u64 = 1024 * 1024;

/// How long something takes.
#[expect(clippy::disallowed_methods, reason = "a test measures")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// How much more memory there is afterwards.
fn grown(work: impl FnOnce()) -> u64 {
    let before = resident();
    work();
    resident().saturating_sub(before)
}

#[test]
fn a_huge_announced_frame_ends_its_connection_and_takes_no_memory() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    daemon.client().is_served();
    let more = grown(|| {
        for length in [1_u64 << 62, 64 << 30, u64::MAX, u64::MAX >> 1, MAX_REQUEST as u64 + 1] {
            let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
            let mut head = vec![2];
            head.extend(length.to_be_bytes());
            raw.0.write_all(&head).unwrap();
            assert!(raw.is_closed_within(SOON), "{length}");
        }
    });
    assert!(more < 16 * MIB, "{more}");
    daemon.client().is_served();
}

#[test]
fn the_largest_request_is_still_taken() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    let text = format!(r#"{{"command": "list", "id": 1, "x": "{}"}}"#, "x".repeat(MAX_REQUEST - 200));
    raw.request(&text).unwrap();
    assert!(raw.answer().unwrap().contains("\"watchers\""));
}

#[test]
fn garbage_harms_nobody() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut friend = daemon.client();
    let mut random = fastrand::Rng::with_seed(7);
    let more = grown(|| {
        for number in 0..scale(150, 1000) {
            let mut raw = match number % 3 {
                0 => Raw::mute(daemon.port()),
                1 => Raw::greeting(daemon.port()),
                _ => Raw::ready(daemon.port(), "DEALER", b""),
            };
            let noise: Vec<u8> = (0..512).map(|_| random.u8(..)).collect();
            // It may be cut while it still talks.
            let _ = raw.0.write_all(&noise);
            if number % 50 == 0 {
                friend.is_served();
            }
        }
    });
    daemon.client().is_served();
    friend.is_served();
    assert!(more < 64 * MIB, "{more}");
}

#[test]
fn empty_frames_without_end_are_cut_off() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    daemon.client().is_served();
    let more = grown(|| {
        let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
        let many = [1_u8, 0].repeat(512 * 1024);
        let cut = (0..55).any(|_| raw.0.write_all(&many).is_err());
        assert!(cut || raw.is_closed_within(SOON));
    });
    assert!(more < 64 * MIB, "{more}");
    daemon.client().is_served();
}

#[test]
fn who_never_finishes_the_handshake_is_let_go() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut silent = [Raw::mute(daemon.port()), Raw::greeting(daemon.port()), Raw::mute(daemon.port())];
    silent[2].0.write_all(&[0xff]).unwrap();
    let port = daemon.port();
    let trickle = thread::spawn(move || {
        let mut raw = Raw::mute(port);
        timed(
            || while !raw.is_closed_within(Duration::from_millis(100)) && raw.0.write_all(&[0xff]).is_ok() {},
        )
    });
    daemon.client().is_served();
    for raw in &mut silent {
        assert!(raw.is_closed_within(HANDSHAKE_TIMEOUT + SOON));
    }
    assert!(trickle.join().unwrap() < HANDSHAKE_TIMEOUT + SOON);
}

#[test]
fn a_flood_without_reading_delays_others_by_little() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let port = daemon.port();
    let enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&enough);
    let flood = thread::spawn(move || {
        let mut raw = Raw::ready(port, "DEALER", b"");
        raw.0.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut sent = 0_u64;
        // A long answer to each, and none is read.
        while !stop.load(Ordering::Relaxed) {
            if raw.request(r#"{"command": "options", "properties": {"name": "web"}}"#).is_err() {
                break;
            }
            sent += 1;
        }
        while !stop.load(Ordering::Relaxed) {
            thread::park_timeout(Duration::from_millis(10));
        }
        sent
    });
    let mut friend = daemon.client();
    friend.is_served();
    let mut times: Vec<Duration> = Vec::new();
    let more = grown(|| times.extend((0..scale(300, 3000)).map(|_| timed(|| friend.is_served()))));
    enough.store(true, Ordering::Relaxed);
    assert!(flood.join().unwrap() > 128);
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    assert!(median < Duration::from_secs(1), "{median:?}");
    assert!(worst < SOON, "{worst:?}");
    assert!(more < 64 * MIB, "{more}");
}

#[test]
fn clients_that_come_and_go_keep_nobody_out() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let port = daemon.port();
    let enough = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&enough);
    let crowd = thread::spawn(move || {
        let mut visits = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut visit: Vec<_> = (0..20).map(|_| Raw::ready(port, "DEALER", b"")).collect();
            for raw in &mut visit {
                raw.request(r#"{"command": "dstats"}"#).unwrap();
            }
            // Whoever waits for his answer gets it, however new he is.
            visit[0].request(r#"{"command": "list", "id": "new"}"#).unwrap();
            assert!(visit[0].answer().unwrap().contains("\"new\""));
            visits += visit.len();
        }
        visits
    });
    let mut friend = daemon.client();
    friend.is_served();
    let worst = (0..scale(500, 5000)).map(|_| timed(|| friend.is_served())).max().unwrap();
    enough.store(true, Ordering::Relaxed);
    assert!(crowd.join().unwrap() > 0);
    assert!(worst < SOON, "{worst:?}");
    daemon.wait_owed(0);
}

#[test]
fn a_stolen_identity_gets_no_answer_of_its_owner() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut owner = Raw::ready(daemon.port(), "DEALER", b"me");
    owner.request(r#"{"command": "dstats", "id": "secret"}"#).unwrap();
    daemon.wait_owed(1);
    let mut thief = Raw::ready(daemon.port(), "DEALER", b"me");
    daemon.order(Order::Release);
    thief.request(r#"{"command": "list", "id": "own"}"#).unwrap();
    assert!(thief.answer().unwrap().contains("\"own\""));
    daemon.wait_owed(0);
}

#[test]
fn more_clients_than_there_is_room_for_are_turned_away_and_the_old_are_served() {
    let _alone = alone();
    let daemon = Daemon::with(Settings::local(TCP).unwrap().with_peers(50)).unwrap();
    let mut friend = daemon.client();
    friend.is_served();
    let mut crowd: Vec<_> = (0..150).map(|_| Raw::ready(daemon.port(), "DEALER", b"")).collect();
    let gone =
        crowd.iter_mut().rev().take(100).filter_map(|raw| raw.is_closed_within(SOON).then_some(())).count();
    assert_eq!(gone, 100);
    friend.is_served();
}

#[test]
fn the_memory_of_a_crowd_is_given_back() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    daemon.client().is_served();
    let before = resident();
    for _ in 0..3 {
        let crowd: Vec<_> = (0..400).map(|_| Raw::ready(daemon.port(), "DEALER", b"")).collect();
        daemon.client().is_served();
        drop(crowd);
    }
    let near = before + 12 * MIB;
    let given_back = (0..1000).any(|_| {
        thread::park_timeout(Duration::from_millis(10));
        resident() < near
    });
    assert!(given_back, "{before} became {}", resident());
    daemon.client().is_served();
}

#[test]
fn a_subscriber_that_does_not_read_holds_up_nobody() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut stalled = Raw::ready(daemon.event_port(), "SUB", b"");
    stalled.frame(0, &[1]).unwrap();
    let count = scale(50_000, 1_000_000);
    let more = grown(|| {
        runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let mut friend = Consumer::connect(&daemon.events.to_string(), &[]).await.unwrap();
            assert_eq!(friend.next().await.unwrap(), Item::Connected);
            let mut seen = 0;
            while seen == 0 {
                daemon.order(Order::Publish(1));
                seen += u32::from(timeout(Duration::from_millis(20), friend.next()).await.is_ok());
            }
            daemon.order(Order::Publish(count));
            let last = format!("{{\"time\": {}.0}}", count - 1);
            loop {
                let item = timeout(Duration::from_secs(60), friend.next()).await.expect("the last event");
                if let Item::Event { payload, .. } = item.unwrap()
                    && payload == last
                {
                    break;
                }
            }
        });
    });
    assert!(more < 32 * MIB, "{more}");
    daemon.client().is_served();
}

#[test]
fn subscriptions_without_end_are_cut_off() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let more = grown(|| {
        let mut raw = Raw::ready(daemon.event_port(), "SUB", b"");
        let cut = (0..scale(100_000_u32, 1_000_000)).any(|number| {
            let mut topic = vec![1];
            topic.extend(format!("watcher.{number}").as_bytes());
            raw.frame(0, &topic).is_err()
        });
        assert!(cut || raw.is_closed_within(SOON));
    });
    assert!(more < 64 * MIB, "{more}");
    // As many as are allowed are kept.
    let mut raw = Raw::ready(daemon.event_port(), "SUB", b"");
    for number in 1..MAX_SUBSCRIPTIONS {
        raw.frame(0, format!("\u{1}watcher.{number}.").as_bytes()).unwrap();
    }
    raw.frame(0, b"\x01watcher.web.").unwrap();
    raw.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let arrived = (0..500).any(|_| {
        daemon.order(Order::Publish(1));
        raw.read().is_ok_and(|(_, topic)| topic == b"watcher.web.updated")
    });
    assert!(arrived);
    daemon.client().is_served();
}

#[test]
fn too_long_a_topic_is_not_admitted() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.event_port(), "SUB", b"");
    raw.frame(0, &[&[1][..], &[b'x'; 3000]].concat()).unwrap();
    raw.frame(0, b"\x01watcher.").unwrap();
    raw.0.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let arrived = (0..500).any(|_| {
        daemon.order(Order::Publish(1));
        raw.read().is_ok_and(|(_, topic)| topic == b"watcher.web.updated")
    });
    assert!(arrived);
}

#[test]
fn deep_json_costs_no_stack() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    raw.request(&"[".repeat(MAX_REQUEST - 100)).unwrap();
    assert!(raw.answer().unwrap().contains("json invalid"));
    BlockingClient::new(&daemon.control, SOON).call("list", json!({})).unwrap();
}
