//! Clients that mean well.

use std::{io::Write, sync::mpsc, time::Duration};

use circus_common::{
    client::{CallError, reply_error},
    consumer::{Consumer, Item},
    protocol::event,
};
use circusd::controller::{MAX_IN_FLIGHT, Settings};
use serde_json::{Value, json};
use tokio::{runtime, time::timeout};

use crate::{
    alone,
    daemon::{BlockingClient, Daemon, Order},
    raw::Raw,
    scale,
};

const TCP: &str = "tcp://127.0.0.1:*";
/// Less than any absence.
const HASTE: Duration = Duration::from_millis(500);

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(30), future).await.expect("in time") })
}

#[test]
fn calls_are_answered_and_refusals_are_replies() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut client = daemon.client();
    client.is_served();
    let refusal = client.call("list", json!({"name": "zz"})).unwrap();
    assert_eq!(reply_error(&refusal), Some((3, "program zz not found")));
    let refusal = client.call("nope", json!({})).unwrap();
    assert_eq!(reply_error(&refusal), Some((2, "unknown command: 'nope'")));
    client.is_served();
}

#[test]
fn malformed_bodies_are_answered_and_hurt_nobody() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    for (body, reason) in [
        ("", "error: empty command"),
        (" \n", "error: empty command"),
        ("[]", "json invalid"),
        ("{bad", "json invalid"),
        ("{}", "unknown command: None"),
    ] {
        raw.request(body).unwrap();
        let reply: Value = serde_json::from_str(&raw.answer().unwrap()).unwrap();
        assert_eq!((&reply["status"], &reply["reason"]), (&json!("error"), &json!(reason)));
        assert_eq!((&reply["id"], &reply["tb"]), (&Value::Null, &Value::Null));
    }
    daemon.client().is_served();
}

#[test]
fn req_clients_get_their_empty_frame_back_and_other_envelopes_nothing() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "REQ", b"");
    raw.frame(1, b"").unwrap();
    raw.request(r#"{"command": "numwatchers", "id": 1}"#).unwrap();
    assert_eq!(raw.read().unwrap(), (1, Vec::new()));
    assert!(raw.answer().unwrap().contains("\"numwatchers\": 7"));
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    for frames in [&[&b"x"[..], b"{}"][..], &[b"", b"", b"{}"]] {
        for (index, frame) in frames.iter().enumerate() {
            raw.frame(u8::from(index + 1 < frames.len()), frame).unwrap();
        }
    }
    // Nothing came for those two: the first answer is the next one's.
    raw.request(r#"{"command": "nope", "id": "next"}"#).unwrap();
    assert!(raw.answer().unwrap().contains("\"id\": \"next\""));
}

#[test]
fn casts_are_never_answered() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    for command in ["list", "nope", "options"] {
        raw.request(&format!(r#"{{"command": "{command}", "msg_type": "cast", "id": 1}}"#)).unwrap();
    }
    raw.request(r#"{"command": "list", "id": 2}"#).unwrap();
    assert!(raw.answer().unwrap().ends_with("\"id\": 2}"));
}

#[test]
fn answers_come_in_the_order_of_completion_each_exactly_once() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    raw.request(r#"{"command": "dstats", "id": "late"}"#).unwrap();
    // Answers and requests cross each other all the time: no future that is dropped may lose a message.
    const ROUNDS: u32 = 100;
    const BATCH: u32 = 50;
    for round in 0..ROUNDS {
        for number in 0..BATCH {
            raw.request(&format!(r#"{{"command": "list", "id": {}}}"#, round * BATCH + number)).unwrap();
        }
        for number in 0..BATCH {
            let reply: Value = serde_json::from_str(&raw.answer().unwrap()).unwrap();
            assert_eq!(reply["id"], round * BATCH + number);
        }
    }
    daemon.order(Order::Release);
    assert!(raw.answer().unwrap().contains("\"id\": \"late\""));
    daemon.wait_owed(0);
}

#[test]
fn a_connection_with_too_much_under_way_is_told_busy_and_others_are_not() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    for number in 0..MAX_IN_FLIGHT {
        raw.request(&format!(r#"{{"command": "dstats", "id": {number}}}"#)).unwrap();
    }
    daemon.wait_owed(MAX_IN_FLIGHT);
    raw.request(r#"{"command": "dstats", "id": "over"}"#).unwrap();
    let reply: Value = serde_json::from_str(&raw.answer().unwrap()).unwrap();
    let busy = (json!(5), json!("too many requests in flight"), json!("over"));
    assert_eq!((reply["errno"].clone(), reply["reason"].clone(), reply["id"].clone()), busy);
    raw.request(r#"{"command": "dstats", "msg_type": "cast"}"#).unwrap();
    daemon.client().is_served();
    daemon.wait_owed(MAX_IN_FLIGHT);
}

#[test]
fn a_burst_of_answers_reaches_a_client_that_reads() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    for number in 0..MAX_IN_FLIGHT {
        raw.request(&format!(r#"{{"command": "dstats", "id": {number}}}"#)).unwrap();
    }
    daemon.wait_owed(MAX_IN_FLIGHT);
    daemon.order(Order::Release);
    for number in 0..MAX_IN_FLIGHT {
        let reply: Value = serde_json::from_str(&raw.answer().unwrap()).unwrap();
        assert_eq!(reply["id"], json!(number), "lost: the queue to a client is shorter than a burst");
    }
}

#[test]
fn whoever_is_still_owed_an_answer_at_the_end_is_refused() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    raw.request(r#"{"command": "dstats", "id": 1}"#).unwrap();
    daemon.wait_owed(1);
    daemon.order(Order::Close);
    assert!(raw.answer().unwrap().contains("arbiter is stopping..."));
}

#[test]
fn of_a_client_that_vanished_nothing_is_left() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    for _ in 0..10 {
        raw.request(r#"{"command": "dstats"}"#).unwrap();
    }
    daemon.wait_owed(10);
    drop(raw);
    daemon.wait_owed(0);
    daemon.order(Order::Release);
    daemon.client().is_served();
}

#[test]
fn a_call_that_timed_out_leaves_no_command_behind() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut client = BlockingClient::new(&daemon.control, Duration::from_millis(300));
    let error = client.call("dstats", json!({})).unwrap_err();
    assert!(matches!(error, CallError::Timeout { connected: true }), "{error:?}");
    // Its socket was dropped, so the daemon owes nothing; and the next call is not answered by the late reply.
    daemon.wait_owed(0);
    daemon.order(Order::Release);
    client.is_served();
}

#[test]
fn a_client_outlives_an_absence_of_the_daemon() {
    let _alone = alone();
    for absence in scale(&[1.5][..], &[1.5, 8.0]) {
        let daemon = Daemon::start(TCP);
        let address = daemon.control.to_string();
        let (mut kept, mut hasty) = (daemon.client(), BlockingClient::new(&daemon.control, HASTE));
        kept.is_served();
        hasty.is_served();
        drop(daemon);
        let (go, gone) = mpsc::channel::<()>();
        let back = std::thread::spawn(move || {
            // The absence itself, not a wait for something.
            let _ended = gone.recv_timeout(Duration::from_secs_f64(*absence));
            Daemon::with(Settings::local(&address).unwrap()).unwrap()
        });
        // One that gives up leaves nothing behind that would run later; one that waits is answered when it can be.
        let error = hasty.call("numwatchers", json!({})).unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. } | CallError::Talk { .. }), "{error:?}");
        kept.is_served();
        drop(go);
        let daemon = back.join().unwrap();
        hasty.is_served();
        kept.is_served();
        daemon.wait_owed(0);
    }
}

#[test]
fn an_answer_given_before_the_end_always_arrives() {
    let _alone = alone();
    for round in 0..30 {
        let daemon = Daemon::start(TCP);
        let reply =
            daemon.client().call("quit", json!({})).unwrap_or_else(|error| panic!("{round}: {error}"));
        assert_eq!(reply["status"], "ok");
        daemon.join();
    }
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let address = daemon.control.to_string();
    let error = Daemon::with(Settings::local(&address).unwrap()).err().unwrap();
    assert_eq!(error.to_string(), format!("cannot bind {address}: Address already in use"));
    for remote in ["tcp://0.0.0.0:5555", "tcp://*:5555"] {
        assert!(Settings::local(remote).unwrap_err().to_string().contains("allow_remote"));
    }
}

#[test]
fn events_arrive_whole_and_in_order_also_in_a_burst() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    block_on(async {
        let mut consumer = Consumer::connect(&daemon.events.to_string(), &["watcher.web."]).await.unwrap();
        assert_eq!(consumer.next().await.unwrap(), Item::Connected);
        first_event(&daemon, &mut consumer).await;
        const BURST: u32 = 5000;
        daemon.order(Order::Publish(BURST));
        for number in 0..BURST {
            let seen = next_event(&mut consumer).await;
            assert_eq!((seen.watcher.as_str(), seen.event.as_str()), ("web", "updated"));
            assert_eq!(seen.members["time"], f64::from(number));
        }
    });
}

/// Publishes one event again and again until it arrives, and takes all of them: a subscription takes a moment.
async fn first_event(daemon: &Daemon, consumer: &mut Consumer) {
    let mut sent = 0;
    let mut first = None;
    while first.is_none() {
        daemon.order(Order::Publish(1));
        sent += 1;
        first = timeout(Duration::from_millis(20), next_event(consumer)).await.ok();
    }
    // The ones still on their way: never more than were sent, and no others follow.
    for _ in 1..sent {
        if timeout(Duration::from_millis(200), next_event(consumer)).await.is_err() {
            return;
        }
    }
}

async fn next_event(consumer: &mut Consumer) -> event::Seen {
    loop {
        if let Item::Event { topic, payload } = consumer.next().await.unwrap() {
            return event::parse(topic.as_bytes(), payload.as_bytes()).unwrap();
        }
    }
}

#[test]
fn a_consumer_survives_a_restart_of_the_daemon() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let address = daemon.events.to_string();
    block_on(async {
        let mut consumer = Consumer::connect(&address, &[]).await.unwrap();
        assert_eq!(consumer.next().await.unwrap(), Item::Connected);
        drop(daemon);
        assert_eq!(consumer.next().await.unwrap(), Item::Disconnected);
        let publisher =
            circusd::publisher::Publisher::bind(Settings::local(&address).unwrap()).await.unwrap();
        assert_eq!(consumer.next().await.unwrap(), Item::Reconnected);
        loop {
            publisher.publish(crate::daemon::event(1));
            if timeout(Duration::from_millis(20), next_event(&mut consumer)).await.is_ok() {
                break;
            }
        }
        publisher.close().await;
    });
}

#[test]
fn an_idle_edge_sleeps() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", daemon.tid)).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let (_keep, nothing) = mpsc::channel::<()>();
    let pause = |time| assert!(nothing.recv_timeout(time).is_err());
    pause(Duration::from_millis(200));
    let before = switches();
    pause(Duration::from_secs(3));
    assert_eq!(switches() - before, 0);
}

#[test]
fn what_arrives_when_the_daemon_closes_is_refused_and_not_lost() {
    let _alone = alone();
    let daemon = Daemon::start(TCP);
    let mut raw = Raw::ready(daemon.port(), "DEALER", b"");
    // In one piece, so that all of it has arrived before the first is looked at.
    let mut bytes = Vec::new();
    let texts = [r#"{"id": "0", "command": "quit"}"#.to_owned()].into_iter();
    let late = (1..50).map(|id| format!(r#"{{"id": "{id}", "command": "numwatchers"}}"#));
    for text in texts.chain(late) {
        bytes.extend([0, u8::try_from(text.len()).unwrap()]);
        bytes.extend(text.as_bytes());
    }
    raw.0.write_all(&bytes).unwrap();
    for id in 0..50 {
        let (_, answer) = raw.read().unwrap_or_else(|error| panic!("no answer to {id}: {error}"));
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert!(answer["errno"] == 5 || answer["status"] == "ok", "{answer}");
    }
    daemon.join();
}
