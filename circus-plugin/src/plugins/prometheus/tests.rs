//! Scrapes, and what they find.

use std::collections::BTreeMap;

use circus_common::config::plugin::builtin::Builtin;
use serde_json::json;

use super::{
    super::story::{Story, refused},
    families, *,
};

fn story() -> Story {
    Story::of(Builtin::Prometheus, &[])
}

/// A scrape that circusd answers; the samples by everything before the value.
fn scrape(story: &mut Story) -> (String, BTreeMap<String, String>) {
    story.did();
    story.input(Input::Scrape { id: 1 });
    assert_eq!(story.did(), [Action::Ask(Question::Statuses), Action::Ask(Question::Stats)]);
    story.answer(Question::Statuses, json!({"statuses": {"My web": "active", "down": "stopped"}}));
    let process =
        json!({"cpu": 12.5, "mem": 0.5, "mem_info1": "1M", "mem_info2": "2M", "age": 3.0, "wid": 1});
    story.answer(Question::Stats, json!({"infos": {"My web": {"7": process}, "down": {}}}));
    assert_eq!(story.did(), [Action::CountDescriptors(vec![7])]);
    story.input(Input::Descriptors([(7, 9)].into()));
    served(story)
}

fn served(story: &mut Story) -> (String, BTreeMap<String, String>) {
    let of_one = |action| if let Action::Serve { id: 1, body } = action { Some(body) } else { None };
    let body = story.did().into_iter().find_map(of_one);
    let body = body.expect("it is answered");
    let samples = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let samples = samples.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (body, samples)
}

#[test]
fn everything_known_is_served() {
    let mut story = story();
    story.event("my_web", "spawn", json!({"process_pid": 5}));
    story.crash("my_web", 5);
    story.event("my_web", "spawn", json!({"process_pid": 7}));
    story.event("my_web", "reap", json!({"process_pid": 8, "exit_code": -15, "expected": true}));
    story.input(Input::SocketHits { address: "127.0.0.1:80".to_owned(), reads: 3 });
    story.input(Input::SocketHits { address: "127.0.0.1:80".to_owned(), reads: 4 });
    let (body, samples) = scrape(&mut story);
    for (name, value) in [
        ("circus_up", "1"),
        (r#"circus_watcher_state{watcher="My web",state="active"}"#, "1"),
        (r#"circus_watcher_state{watcher="My web",state="stopped"}"#, "0"),
        (r#"circus_watcher_processes{watcher="My web"}"#, "1"),
        (r#"circus_watcher_processes{watcher="down"}"#, "0"),
        (r#"circus_watcher_spawns_total{watcher="My web"}"#, "2"),
        (r#"circus_watcher_restarts_total{watcher="My web"}"#, "1"),
        (r#"circus_watcher_exits_total{watcher="My web",code="1",expected="false"}"#, "1"),
        (r#"circus_watcher_exits_total{watcher="My web",code="-15",expected="true"}"#, "1"),
        (r#"circus_process_cpu_percent{watcher="My web",pid="7",wid="1"}"#, "12.5"),
        (r#"circus_process_resident_memory_bytes{watcher="My web",pid="7",wid="1"}"#, "1048576"),
        (r#"circus_process_open_fds{watcher="My web",pid="7",wid="1"}"#, "9"),
        (r#"circus_socket_hits_total{address="127.0.0.1:80"}"#, "7"),
        (r#"circus_command_latency_seconds_count{command="status"}"#, "1"),
        (r#"circus_command_latency_seconds_bucket{command="status",le="0.001"}"#, "0"),
        (r#"circus_command_latency_seconds_bucket{command="status",le="+Inf"}"#, "1"),
    ] {
        assert_eq!(samples.get(name).map(String::as_str), Some(value), "{name}\n{body}");
    }
    assert!(body.ends_with("# EOF\n"));
}

#[test]
fn a_silent_daemon_is_down_and_what_was_known_is_served() {
    let mut story = story();
    scrape(&mut story);
    story.input(Input::Scrape { id: 1 });
    story.input(Input::Scrape { id: 2 });
    story.did();
    story.pass(5.1);
    let (_, samples) = served(&mut story);
    assert_eq!(samples.get("circus_up").map(String::as_str), Some("0"));
    assert!(samples.contains_key(r#"circus_watcher_processes{watcher="My web"}"#));
}

#[test]
fn a_watcher_that_is_gone_has_no_metrics() {
    let mut story = story();
    story.event("old", "spawn", json!({"process_pid": 5}));
    story.event("removed", "spawn", json!({"process_pid": 6}));
    story.event("removed", "remove", json!({}));
    let (body, _) = scrape(&mut story);
    assert!(!body.contains("\"old\"") && !body.contains("removed"), "{body}");
}

#[test]
fn labels_are_escaped() {
    let mut story = story();
    story.input(Input::SocketHits { address: "a\"b\\c\nd".to_owned(), reads: 1 });
    assert!(scrape(&mut story).0.contains(r#"{address="a\"b\\c\nd"} 1"#));
}

#[test]
fn an_address_that_others_can_reach_must_be_meant() {
    for listen in ["0.0.0.0:9127", "192.168.1.1:80", "nowhere"] {
        assert!(refused(Builtin::Prometheus, &[("listen", listen)]).contains(listen), "{listen}");
    }
    assert_eq!(refused(Builtin::Prometheus, &[("listen", "0.0.0.0:9127"), ("allow_remote", "1")]), "");
    assert_eq!(refused(Builtin::Prometheus, &[("listen", "[::1]:0")]), "");
}

#[test]
fn every_metric_stands_in_the_reference() {
    let page = include_str!("../../../../docs/plugins.md");
    for (name, kind, _) in families::ALL {
        let shown = if kind == "counter" { format!("`{name}_total`") } else { format!("`{name}`") };
        assert!(page.contains(&shown), "{shown}");
    }
}
