//! Stories of watchers that flap.

use circus_common::config::plugin::builtin::Builtin;
use serde_json::{Value, json};

use super::super::story::Story;
use crate::machine::{Action, Input, Order, Question};

/// A plugin that knows the watcher `web`, with options such as `max_retry`.
fn story(settings: &[(&str, &str)], own: Value) -> Story {
    let mut story = Story::of(Builtin::Flapping, settings);
    story.answer(Question::Dstats, json!({"info": {"pid": 1, "create_time": 5.0}}));
    story.answer(Question::List, json!({"watchers": ["web", "my web"]}));
    story.event("web", "start", json!({}));
    story.event("web", "updated", json!({}));
    story.answer(Question::Options("web".to_owned()), json!({"options": own}));
    story.did();
    story
}

fn why() -> Question {
    Question::Why("web".to_owned())
}

fn orders(story: &mut Story) -> Vec<Order> {
    let order = |action: Action| if let Action::Tell(order) = action { Some(order) } else { None };
    story.did().into_iter().filter_map(order).collect()
}

fn stop() -> Order {
    Order::Stop("web".to_owned())
}

fn start() -> Order {
    Order::Start("web".to_owned())
}

fn published(attempt: i64, retry_in: Option<f64>) -> Order {
    Order::Flapping { watcher: "web".to_owned(), attempt, retry_in }
}

/// Two crashes, and the answers to what follows.
fn flap(story: &mut Story, stops: u64) {
    story.crash("web", 1);
    story.crash("web", 2);
    story.answer(why(), json!({"stops": stops}));
    story.event("web", "stop", json!({}));
}

#[test]
fn a_crash_loop_is_stopped_and_started_again_after_the_pause() {
    let mut story = story(&[], json!({}));
    story.crash("web", 1);
    assert!(story.did().is_empty());
    story.pass(0.2);
    story.crash("web", 2);
    assert_eq!(
        story.did(),
        [
            Action::Log(
                crate::machine::Level::Info,
                "web: flapping detected: retry in  7s (attempt number 1)".to_owned()
            ),
            Action::Tell(stop()),
            Action::Tell(published(1, Some(7.0))),
            Action::Ask(why()),
        ]
    );
    story.answer(why(), json!({"stops": 1}));
    story.event("web", "stop", json!({}));
    story.pass(6.9);
    assert!(story.did().is_empty());
    story.pass(0.2);
    assert_eq!(story.did(), [Action::Ask(why())]);
    story.answer(why(), json!({"stops": 1}));
    assert_eq!(orders(&mut story), [start()]);
}

#[test]
fn after_max_retry_it_stays_stopped() {
    let mut story = story(&[("max_retry", "1")], json!({}));
    flap(&mut story, 1);
    story.pass(7.0);
    story.answer(why(), json!({"stops": 1}));
    story.event("web", "start", json!({}));
    story.answer(Question::Options("web".to_owned()), json!({"options": {}}));
    story.did();
    story.crash("web", 3);
    story.answer(Question::Options("web".to_owned()), json!({"options": {}}));
    story.crash("web", 4);
    let did = story.did();
    let line = "web: flapping detected: reached max retry limit".to_owned();
    assert!(did.contains(&Action::Log(crate::machine::Level::Info, line)), "{did:?}");
    assert!(did.contains(&Action::Tell(stop())) && did.contains(&Action::Tell(published(2, None))));
    assert_eq!(story.next_deadline(), None);
}

#[test]
fn for_ever_is_for_ever() {
    let mut story = story(&[("max_retry", "-1"), ("retry_in", "1")], json!({}));
    for round in 1..50 {
        story.crash("web", 1);
        story.answer(Question::Options("web".to_owned()), json!({"options": {}}));
        story.crash("web", 2);
        story.answer(why(), json!({"stops": round}));
        story.event("web", "stop", json!({}));
        story.did();
        story.pass(1.0);
        story.answer(why(), json!({"stops": round}));
        assert_eq!(orders(&mut story), [start()], "{round}");
        story.event("web", "start", json!({}));
    }
}

#[test]
fn exits_that_are_far_apart_are_no_series() {
    let mut story = story(&[], json!({}));
    for _ in 0..5 {
        story.crash("web", 1);
        // Longer than the window of 1 s and the check_delay of 5 s.
        story.pass(6.1);
    }
    assert!(story.did().is_empty());
}

#[test]
fn exits_that_circusd_asked_for_do_not_count() {
    let mut story = story(&[], json!({}));
    for pid in 1..9 {
        story.event("web", "kill", json!({"process_pid": pid}));
        story.event("web", "reap", json!({"process_pid": pid, "exit_code": -15, "expected": true}));
    }
    // A daemon that does not say so has signalled them at least.
    for pid in 1..9 {
        story.event("web", "kill", json!({"process_pid": pid}));
        story.event("web", "reap", json!({"process_pid": pid, "exit_code": -15}));
    }
    assert!(story.did().is_empty());
    story.event("web", "reap", json!({"process_pid": 10, "exit_code": 1}));
    story.event("web", "reap", json!({"process_pid": 11, "exit_code": 1}));
    assert!(orders(&mut story).contains(&stop()));
}

#[test]
fn a_watcher_may_have_settings_of_its_own_or_be_left_alone() {
    let mut calm = story(&[], json!({"flapping.active": "0"}));
    calm.crash("web", 1);
    calm.crash("web", 2);
    assert!(calm.did().is_empty());
    let mut patient = story(&[], json!({"flapping.attempts": "3", "flapping.retry_in": "2"}));
    patient.crash("web", 1);
    patient.crash("web", 2);
    assert!(patient.did().is_empty());
    patient.crash("web", 3);
    assert!(orders(&mut patient).contains(&published(1, Some(2.0))));
}

#[test]
fn whoever_starts_or_removes_the_watcher_meanwhile_has_it() {
    for event in ["start", "remove"] {
        let mut story = story(&[], json!({}));
        flap(&mut story, 1);
        story.did();
        story.event("web", event, json!({}));
        story.pass(60.0);
        assert!(story.did().is_empty(), "{event}");
    }
}

#[test]
fn whoever_stops_the_watcher_while_it_is_down_wants_it_down() {
    let mut story = story(&[], json!({}));
    flap(&mut story, 3);
    story.pass(7.0);
    story.did();
    story.answer(why(), json!({"stops": 4}));
    assert_eq!(story.logged(), ["web: was stopped by somebody else, so it is not started again"]);
    story.pass(60.0);
    assert!(story.did().is_empty());
}

#[test]
fn a_daemon_that_cannot_say_why_gets_its_start() {
    let mut story = story(&[], json!({}));
    story.crash("web", 1);
    story.crash("web", 2);
    story.refuse(why());
    story.pass(7.0);
    story.refuse(why());
    assert!(orders(&mut story).contains(&start()));
}

#[test]
fn another_daemon_has_its_own_plan_and_the_same_one_still_gets_its_start() {
    for (pid, starts) in [(1, 1), (2, 0)] {
        let mut story = story(&[], json!({}));
        flap(&mut story, 1);
        story.input(Input::Connected);
        story.answer(Question::Dstats, json!({"info": {"pid": pid, "create_time": 5.0}}));
        story.answer(Question::List, json!({"watchers": ["web"]}));
        story.did();
        story.pass(10.0);
        story.answer(why(), json!({"stops": 1}));
        assert_eq!(orders(&mut story).len(), starts, "{pid}");
    }
}

#[test]
fn a_start_that_did_not_reach_circusd_is_tried_again() {
    let mut story = story(&[], json!({}));
    flap(&mut story, 1);
    story.pass(7.0);
    story.answer(why(), json!({"stops": 1}));
    story.did();
    story.input(Input::Untold { order: start(), reason: "Timed out.".to_owned() });
    story.pass(1.0);
    story.answer(why(), json!({"stops": 1}));
    assert_eq!(orders(&mut story), [start()]);
}

#[test]
fn a_watcher_with_a_blank_in_its_name_is_stopped_by_its_name() {
    let mut story = story(&[], json!({}));
    story.crash("my_web", 1);
    let question = Question::Options("my web".to_owned());
    assert_eq!(story.did(), [Action::Ask(question.clone())]);
    story.crash("my_web", 2);
    story.did();
    story.answer(question, json!({"options": {}}));
    assert!(orders(&mut story).contains(&Order::Stop("my web".to_owned())));
}

#[test]
fn a_name_that_is_not_certain_is_asked_for_once() {
    let mut story = story(&[], json!({}));
    story.event("new_one", "spawn", json!({"process_pid": 1}));
    story.event("new_one", "spawn", json!({"process_pid": 2}));
    assert_eq!(story.did(), [Action::Ask(Question::List)]);
}
