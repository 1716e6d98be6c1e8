//! Whole rounds over real processes.

use serde_json::Value;

use super::*;
use crate::streamer::Member;

fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

fn group(name: &str, pids: &[i32]) -> Group {
    let members = pids.iter().map(|&pid| Member { pid, birth: 1, name: None }).collect();
    Group { name: name.to_owned(), members, restarts: 0 }
}

fn json(message: &Message) -> Value {
    serde_json::from_str(&message.payload).unwrap()
}

#[test]
fn a_round_tells_each_process_and_then_its_group() {
    let mut collector = Collector::new();
    let (messages, gone) = collector.sample(&[group("web", &[own()]), group("db", &[1, own()])]);
    let topics: Vec<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
    let me = own();
    assert_eq!(
        topics,
        [&format!("stat.web.{me}"), "stat.web", "stat.db.1", &format!("stat.db.{me}"), "stat.db"]
    );
    assert_eq!(json(&messages[1])["pid"], Value::from(vec![me]));
    assert!(json(&messages[0])["rss"].as_u64().is_some_and(|rss| rss > 0));
    assert!(gone.is_empty());
}

#[test]
fn who_is_gone_is_left_out_and_at_last_forgotten() {
    let mut collector = Collector::new();
    let groups = [group("web", &[i32::MAX])];
    for _ in 1..ROUNDS_TO_FORGET {
        let (messages, gone) = collector.sample(&groups);
        assert_eq!((messages.len(), gone), (1, vec![]));
        assert_eq!(json(&messages[0])["pid"], Value::from(Vec::<i32>::new()));
    }
    assert_eq!(collector.sample(&groups).1, [i32::MAX]);
}

#[test]
fn nothing_is_kept_of_whom_nobody_asks_for() {
    let mut collector = Collector::new();
    collector.sample(&[group("web", &[own(), 1])]);
    assert_eq!(collector.processes.len(), 2);
    collector.sample(&[group("web", &[own()])]);
    assert_eq!(collector.processes.len(), 1);
    collector.sample(&[]);
    assert!(collector.processes.is_empty());
}

#[test]
fn a_new_process_of_an_old_number_begins_anew() {
    let mut collector = Collector::new();
    collector.sample(&[group("web", &[own()])]);
    let later = Group { members: vec![Member { pid: own(), birth: 2, name: None }], ..group("web", &[]) };
    collector.sample(&[later]);
    assert!(collector.processes[&own()].is(&Member { pid: own(), birth: 2, name: None }));
}
