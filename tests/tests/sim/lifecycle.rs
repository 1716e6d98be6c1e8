//! The life-cycle rules, one story each.

use std::{collections::BTreeSet, time::Duration};

use circus_common::{
    Signal,
    protocol::{Event, Happening, Reply},
};
use circus_tests::sim::{Behaviour, Sim};
use circusd::arbiter::input::{DaemonSignal, Exit};
use serde_json::json;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn named(command: &str, name: &str) -> String {
    json!({"command": command, "properties": {"name": name, "waiting": true}}).to_string()
}

fn ignoring_term() -> Behaviour {
    Behaviour { ignores: BTreeSet::from([15]), ..Behaviour::default() }
}

#[test]
fn a_watcher_is_started_and_stopped_in_the_recorded_order() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 2\n");
    assert_eq!(sim.history("web"), ["spawn", "spawn", "start"]);
    sim.forget_events();
    let reply = sim.ask(&named("stop", "web"));
    assert_eq!(reply, Reply::with([("info", json!(null))]));
    assert_eq!(sim.history("web"), ["kill", "kill", "reap(-15)", "reap(-15)", "stop"]);
}

#[test]
fn a_child_that_ignores_the_stop_signal_is_killed_after_graceful_timeout() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 5\n", 1);
    sim.kernel.behave("web", ignoring_term());
    sim.boot();
    sim.settle();
    sim.request(&named("stop", "web"));
    sim.advance(secs(4));
    assert_eq!(sim.kernel.signals("web"), [Signal::TERM]);
    sim.advance(secs(2));
    assert_eq!(sim.kernel.signals("web"), [Signal::TERM, Signal::KILL]);
    assert_eq!(sim.history("web"), ["spawn", "start", "kill", "kill", "reap(-9)", "stop"]);
}

#[test]
fn a_restart_answers_with_what_it_stopped_and_started() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\n");
    sim.forget_events();
    let old = sim.pids("web");
    let reply = sim.ask(&named("restart", "web"));
    let new = sim.pids("web");
    assert_eq!(reply, Reply::with([("info", json!({"stopped": old, "started": new, "kept": []}))]));
    assert_eq!(sim.history("web"), ["kill", "reap(-15)", "stop", "spawn", "start"]);
}

#[test]
fn a_reload_brings_the_new_before_it_ends_the_old() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 2\n");
    sim.forget_events();
    sim.ask(&named("reload", "web"));
    let expected = ["spawn", "spawn", "kill", "kill", "reap(-15)", "reap(-15)", "reload"];
    assert_eq!(sim.history("web"), expected);
}

#[test]
fn a_reload_that_starts_nothing_still_ends_with_its_event() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 0\n");
    sim.forget_events();
    sim.ask(&named("reload", "web"));
    assert_eq!(sim.history("web"), ["stop", "reload"]);
}

#[test]
fn a_sequential_reload_replaces_one_after_the_other() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 2\n");
    sim.forget_events();
    sim.ask(r#"{"command": "reload", "properties": {"name": "web", "sequential": true, "waiting": true}}"#);
    let expected = ["kill", "reap(-15)", "spawn", "kill", "reap(-15)", "spawn", "reload"];
    assert_eq!(sim.history("web"), expected);
}

#[test]
fn a_reload_whose_candidate_dies_is_undone_and_the_old_stay() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nreload_undo = True\n");
    let old = sim.pids("web");
    sim.kernel.behave(
        "web",
        Behaviour { exits: Some((Duration::from_millis(200), Exit::Code(1))), ..Behaviour::default() },
    );
    let reply = sim.ask(&named("reload", "web"));
    let Reply::Error { reason, .. } = reply else { panic!("the reload was not undone") };
    assert_eq!(reason, "reload of web undone: pid 1002 exited with 1 after 0.2 s");
    assert_eq!(sim.pids("web"), old);
    assert!(!sim.history("web").contains(&"reload".to_owned()));
}

#[test]
fn send_hup_signals_instead_of_replacing() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nsend_hup = True\n");
    sim.forget_events();
    sim.ask(&named("reload", "web"));
    assert_eq!(sim.history("web"), ["reload"]);
    assert_eq!(sim.kernel.signals("web"), [Signal::HUP]);
}

#[test]
fn a_missing_program_is_tried_max_retry_times_and_the_start_says_why() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = nope\nmax_retry = 3\nautostart = False\n", 1);
    let refuse = Some("[Errno 2] No such file or directory: 'nope'".to_owned());
    sim.kernel.behave("nope", Behaviour { refuse, ..Behaviour::default() });
    sim.boot();
    let reply = sim.ask(&named("start", "web"));
    let expected = Reply::with([
        ("info", json!({"started": [], "kept": []})),
        ("errors", json!({"web": "[Errno 2] No such file or directory: 'nope'"})),
    ]);
    assert_eq!(reply, expected);
    assert_eq!(sim.history("web"), ["stop"]);
    assert_eq!(sim.notes.iter().filter(|note| note.text.starts_with("error in 'web'")).count(), 3);
    let own: Vec<String> =
        sim.events.iter().filter(|event| event.is_own()).map(|event| event.topic()).collect();
    assert_eq!(own, ["circus.web.fatal"]);
}

#[test]
fn warmup_delay_separates_the_starts_and_follows_the_last() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 3\nwarmup_delay = 1\n");
    sim.settle();
    assert_eq!(sim.history("web"), ["spawn"]);
    sim.advance(Duration::from_millis(2100));
    assert_eq!(sim.history("web"), ["spawn", "spawn", "spawn"]);
    assert_eq!(sim.state("web"), "starting");
    sim.advance(secs(2));
    assert_eq!(sim.history("web"), ["spawn", "spawn", "spawn", "start"]);
}

#[test]
fn a_crash_is_respawned_at_once_and_a_crash_loop_backs_off() {
    let mut sim = Sim::start("[circus]\ncheck_delay = 1\n[watcher:web]\ncmd = web\n");
    sim.kernel.behave(
        "web",
        Behaviour { exits: Some((Duration::from_millis(10), Exit::Code(3))), ..Behaviour::default() },
    );
    sim.forget_events();
    let pid = sim.pids("web")[0];
    let now = sim.clock();
    sim.kernel.crash(now, pid, Exit::Code(3));
    sim.advance(Duration::from_millis(50));
    assert_eq!(
        sim.history("web"),
        ["reap(3)", "spawn", "reap(3)"],
        "the first failure is free, the second pauses"
    );
    sim.advance(secs(60));
    let spawns = sim.history("web").iter().filter(|word| *word == "spawn").count();
    assert!((60..70).contains(&spawns), "about one a second at the cap, not {spawns}");
    assert_eq!(sim.state("web"), "active");
}

#[test]
fn a_watcher_without_respawn_stops_when_its_last_process_ends() {
    let mut sim = Sim::before_boot("[watcher:job]\ncmd = job\nnumprocesses = 2\nrespawn = False\n", 1);
    sim.kernel.behave("job", Behaviour { exits: Some((secs(1), Exit::Code(0))), ..Behaviour::default() });
    sim.boot();
    sim.advance(secs(2));
    assert_eq!(sim.history("job"), ["spawn", "spawn", "start", "reap(0)", "reap(0)", "stop"]);
    assert_eq!(sim.state("job"), "stopped");
}

#[test]
fn max_age_replaces_a_process_after_its_end() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nmax_age = 10\nmax_age_variance = 0\n");
    sim.forget_events();
    sim.advance(secs(11));
    assert_eq!(sim.history("web"), ["kill", "reap(-15)", "spawn"]);
}

#[test]
fn decr_ends_the_oldest_and_incr_answers_with_the_number() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 2\n");
    let old = sim.pids("web");
    assert_eq!(sim.ask(&named("decr", "web")), Reply::with([("numprocesses", json!(1))]));
    assert_eq!(sim.pids("web"), old[1..]);
    assert_eq!(sim.ask(&named("incr", "web")), Reply::with([("numprocesses", json!(2))]));
    assert_eq!(sim.pids("web").len(), 2);
}

#[test]
fn a_stop_supersedes_a_running_start_and_each_gets_one_answer() {
    let mut sim = Sim::before_boot(
        "[watcher:web]\ncmd = web\nnumprocesses = 3\nwarmup_delay = 1\nautostart = False\n",
        1,
    );
    sim.boot();
    let first = sim.request(&named("start", "web"));
    sim.settle();
    let stop = sim.request(&named("stop", "web"));
    let second = sim.request(&named("start", "web"));
    sim.advance(secs(10));
    let Some(Reply::Error { reason, .. }) = sim.reply(first) else { panic!("the start was not superseded") };
    assert_eq!(reason, "start of web superseded by stop");
    assert_eq!(sim.reply(stop), Some(Reply::with([("info", json!(null))])));
    let Some(Reply::Ok(members)) = sim.reply(second) else { panic!("the second start failed") };
    assert_eq!(members["info"]["started"].as_array().map(Vec::len), Some(3));
}

#[test]
fn descendants_of_a_stopped_process_are_gone_before_the_stop_is_answered() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 2\n", 1);
    sim.kernel.behave("web", Behaviour { children: vec![false, true], ..Behaviour::default() });
    sim.boot();
    sim.settle();
    let stop = sim.request(&named("stop", "web"));
    sim.advance(secs(1));
    assert_eq!(sim.reply(stop), None, "a descendant that ignores TERM is still there");
    sim.advance(secs(2));
    assert!(sim.reply(stop).is_some());
    assert_eq!(sim.kernel.children_alive(), 0);
}

#[test]
fn priorities_order_the_start_and_a_failing_watcher_does_not_hold_up_the_rest() {
    let text = "[watcher:first]\ncmd = first\npriority = 2\n[watcher:second]\ncmd = second\npriority = 1\n";
    let mut sim = Sim::before_boot(text, 1);
    sim.kernel.behave("first", Behaviour { refuse: Some("no".to_owned()), ..Behaviour::default() });
    sim.boot();
    sim.settle();
    assert_eq!(sim.state("second"), "active");
    assert_eq!(sim.state("first"), "starting");
}

#[test]
fn the_global_warmup_delay_follows_each_watcher() {
    let text = "[circus]\nwarmup_delay = 2\n[watcher:a]\ncmd = a\n[watcher:b]\ncmd = b\n";
    let mut sim = Sim::start(text);
    assert_eq!((sim.state("a"), sim.state("b")), ("active".to_owned(), "stopped".to_owned()));
    sim.advance(secs(3));
    assert_eq!(sim.state("b"), "active");
}

#[test]
fn an_expression_may_look_around_as_in_python() {
    let mut sim =
        Sim::start("[watcher:web]\ncmd = web\n[watcher:web2]\ncmd = web\n[watcher:job]\ncmd = job\n");
    sim.ask(r#"{"command": "stop", "properties": {"name": "^(?!web)", "match": "regex", "waiting": true}}"#);
    assert_eq!([sim.state("web"), sim.state("web2"), sim.state("job")], ["active", "active", "stopped"]);
    let reply = sim.ask(r#"{"command": "stop", "properties": {"name": "(web", "match": "regex"}}"#);
    let Reply::Error { code, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(code.number(), 5);
}

#[test]
fn the_global_warmup_delay_is_not_between_reloads() {
    let text = "[circus]\nwarmup_delay = 2\n[watcher:a]\ncmd = a\n[watcher:b]\ncmd = b\n";
    let mut sim = Sim::start(text);
    sim.advance(secs(5));
    sim.forget_events();
    let reload = sim.request(r#"{"command": "reload", "properties": {"waiting": true}}"#);
    sim.advance(Duration::from_millis(100));
    assert_eq!(sim.reply(reload), Some(Reply::ok()));
}

#[test]
fn a_bad_file_changes_nothing_and_a_good_one_only_what_differs() {
    let mut sim = Sim::start("[watcher:a]\ncmd = a\n[watcher:b]\ncmd = b\n[watcher:c]\ncmd = c\n");
    let (a, b) = (sim.pids("a"), sim.pids("b"));
    sim.file = "[watcher:a]\ncmd = a\nnumprocesses = x\n".to_owned();
    let reply = sim.ask(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#);
    assert!(matches!(reply, Reply::Error { .. }));
    sim.file = "[watcher:a]\ncmd = a\nnumprocesses = 2\n[watcher:b]\ncmd = b --new\n[watcher:d]\ncmd = d\n"
        .to_owned();
    let reply = sim.ask(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#);
    assert_eq!(reply, Reply::ok());
    assert_eq!(sim.watchers(), ["a", "b", "d"]);
    assert_eq!(sim.pids("a")[..1], a, "a change of the number keeps the pids");
    assert_ne!(sim.pids("b"), b);
    assert_eq!(sim.kernel.alive("c"), 0);
}

#[test]
fn quit_stops_everything_answers_and_leaves() {
    let mut sim = Sim::start("[watcher:a]\ncmd = a\n[watcher:b]\ncmd = b\nnumprocesses = 3\n");
    let reply = sim.ask(r#"{"command": "quit", "properties": {"waiting": true}}"#);
    assert_eq!(reply, Reply::ok());
    assert!(sim.departure.is_some());
    assert!(sim.kernel.living().is_empty());
}

#[test]
fn a_second_signal_takes_away_the_grace() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 1000\n", 1);
    sim.kernel.behave("web", ignoring_term());
    sim.boot();
    sim.settle();
    sim.signal(DaemonSignal::Term);
    sim.advance(secs(5));
    assert!(sim.departure.is_none());
    sim.signal(DaemonSignal::Term);
    sim.advance(secs(1));
    assert!(sim.departure.is_some());
}

#[test]
fn a_clock_set_back_changes_nothing() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nmax_age = 10\nmax_age_variance = 0\n");
    sim.jump_clock(-1e6);
    sim.forget_events();
    sim.advance(secs(11));
    assert_eq!(sim.history("web"), ["kill", "reap(-15)", "spawn"]);
}

#[test]
fn ten_thousand_crashes_leave_nothing_over() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nrespawn_healthy = 0\n");
    let kept = sim.kept();
    for _ in 0..10_000 {
        let pid = sim.pids("web")[0];
        let now = sim.clock();
        sim.kernel.crash(now, pid, Exit::Signal(9));
        sim.settle();
    }
    sim.advance(secs(5));
    assert_eq!(sim.kept(), kept);
    sim.assert_quiet();
}

#[test]
fn a_number_typed_wrong_is_taken_back_without_harm() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\n");
    sim.request(r#"{"command": "set", "properties": {"name": "web", "options": {"numprocesses": 100000}}}"#);
    sim.advance(Duration::from_millis(20));
    assert!(sim.kept() < 10_000, "wishes are kept in bounds: {}", sim.kept());
    let reply = sim.ask(r#"{"command": "set", "properties": {"name": "web", "waiting": true, "options": {"numprocesses": 5000}}}"#);
    assert_eq!(reply, Reply::ok());
    assert_eq!(sim.pids("web").len(), 5000);
}

#[test]
fn a_signal_reaches_a_process_that_is_being_stopped() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 1000\n", 1);
    sim.kernel.behave("web", ignoring_term());
    sim.boot();
    sim.settle();
    let stop = sim.request(&named("stop", "web"));
    sim.settle();
    sim.ask(r#"{"command": "signal", "properties": {"name": "web", "signum": 9}}"#);
    sim.settle();
    assert_eq!(sim.reply(stop), Some(Reply::with([("info", json!(null))])));
}

#[test]
fn every_candidate_of_an_undone_reload_ends_as_expected() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 2\nreload_undo = True\n");
    let exits = Some((Duration::from_millis(100), Exit::Code(1)));
    sim.kernel.behave("web", Behaviour { exits, ..Behaviour::default() });
    sim.ask(&named("reload", "web"));
    let reaped = |expected| move |event: &&Event| matches!(event.happening, Happening::Reap { expected: e, .. } if e == expected);
    assert_eq!(sim.events.iter().filter(reaped(true)).count(), 2);
    assert_eq!(sim.events.iter().filter(reaped(false)).count(), 0);
}

#[test]
fn a_reload_is_no_restart_in_the_count_and_a_crash_is() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nnumprocesses = 2\n");
    sim.ask(r#"{"command": "reload", "properties": {"name": "web", "sequential": true, "waiting": true}}"#);
    sim.ask(&named("kill", "web"));
    sim.settle();
    let (now, pid) = (sim.clock(), sim.pids("web")[0]);
    sim.kernel.crash(now, pid, Exit::Signal(9));
    sim.settle();
    let Reply::Ok(why) = sim.ask(&named("why", "web")) else { panic!("no answer") };
    assert_eq!(why["restarts"], json!(1));
}

/// The watchers that were asked to end, in order.
fn asked_to_end(sim: &Sim) -> Vec<&str> {
    let kills = sim.events.iter().filter(|event| matches!(event.happening, Happening::Kill { .. }));
    kills.map(|event| event.watcher.as_str()).collect()
}

#[test]
fn stops_of_several_begin_with_the_lowest_priority() {
    const THREE: &str = "[watcher:a]\ncmd = a\npriority = 1\n[watcher:b]\ncmd = b\npriority = 3\n\
                         [watcher:c]\ncmd = c\npriority = 2\n[watcher:d]\ncmd = d\npriority = 1\n";
    let everything = |command: &str| json!({"command": command, "properties": {"name": "*"}}).to_string();
    for act in [everything("stop"), everything("restart"), json!({"command": "quit"}).to_string()] {
        let mut sim = Sim::start(THREE);
        sim.forget_events();
        sim.request(&act);
        sim.settle();
        assert_eq!(asked_to_end(&sim), ["a", "d", "c", "b"], "{act}");
    }
}
