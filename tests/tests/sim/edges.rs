//! Corners of the rules: what meets what at an unlucky moment, one story each.

use std::{collections::BTreeSet, time::Duration};

use circus_common::{Signal, protocol::Reply};
use circus_tests::sim::{Behaviour, Sim};
use circusd::arbiter::{
    effect::Level,
    input::{DaemonSignal, Exit},
};
use serde_json::{Value, json};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(command: &str, properties: &Value) -> String {
    json!({"command": command, "properties": properties}).to_string()
}

fn waiting(command: &str, name: &str) -> String {
    text(command, &json!({"name": name, "waiting": true}))
}

fn refusing(machine: bool) -> Behaviour {
    Behaviour { refuse: Some("[Errno 2] No such file".to_owned()), machine, ..Behaviour::default() }
}

fn slow() -> Behaviour {
    Behaviour { slow: millis(700), ..Behaviour::default() }
}

fn ignoring(signals: &[i32]) -> Behaviour {
    Behaviour { ignores: signals.iter().copied().collect::<BTreeSet<i32>>(), ..Behaviour::default() }
}

fn failures(sim: &Sim) -> usize {
    let warned = |note: &&circusd::arbiter::effect::Note| {
        note.level == Level::Warning && note.text.starts_with("error in")
    };
    sim.notes.iter().filter(warned).count()
}

fn error(reply: Option<Reply>) -> String {
    match reply {
        Some(Reply::Error { reason, .. }) => reason,
        Some(Reply::Ok(members)) => panic!("no error but {members:?}"),
        None => panic!("no answer"),
    }
}

#[test]
fn work_on_everything_that_has_to_wait_is_refused_beyond_a_bound() {
    let mut sim = Sim::start("[circus]\nwarmup_delay = 1000\n[watcher:a]\ncmd = a\n[watcher:b]\ncmd = b\n");
    let before = sim.kept();
    for command in ["start", "stop", "reload", "start"] {
        for _ in 0..1000 {
            sim.request(&text(command, &json!({})));
        }
    }
    sim.signal(DaemonSignal::Hup);
    assert!(sim.kept() < before + 200, "{} entries", sim.kept());
    assert_eq!(error(Some(sim.ask(&text("start", &json!({}))))), "too many requests for the arbiter");
    sim.ask(&text("stop", &json!({"waiting": true})));
    assert!(matches!(sim.ask(&text("start", &json!({}))), Reply::Ok(_)));
}

#[test]
fn a_process_that_was_to_end_while_it_is_spawned_is_released_with_the_others() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\nnumprocesses = 2\nautostart = False\n", 1);
    sim.kernel.behave("web", slow());
    sim.boot();
    sim.request(&text("start", &json!({"name": "web"})));
    sim.advance(millis(10));
    sim.request(&text("decr", &json!({"name": "web"})));
    sim.request(&text("rm", &json!({"name": "web", "nostop": true})));
    sim.advance(secs(5));
    assert_eq!(sim.kernel.released_alive(), 2);
    sim.ask(r#"{"command": "quit", "properties": {"waiting": true}}"#);
    sim.assert_left();
    assert_eq!(sim.kernel.released_alive(), 2, "a quit leaves the released alone");
}

#[test]
fn a_missing_program_of_many_processes_fails_max_retry_times_with_pauses() {
    let mut sim = Sim::before_boot(
        "[watcher:web]\ncmd = web\nnumprocesses = 100\nmax_retry = 3\nautostart = False\n",
        1,
    );
    sim.kernel.behave("web", refusing(false));
    sim.boot();
    let start = sim.request(&waiting("start", "web"));
    sim.advance(millis(250));
    assert_eq!(sim.reply(start), None, "0.1 s and 0.2 s pass between three tries");
    sim.advance(millis(200));
    assert!(sim.reply(start).is_some());
    assert_eq!(failures(&sim), 3);
    assert_eq!(sim.history("web"), ["stop"]);
}

#[test]
fn a_program_that_is_there_at_the_second_try_is_started_many_times_over() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\nnumprocesses = 100\nmax_retry = 3\n", 1);
    sim.kernel.behave("web", refusing(false));
    sim.boot();
    sim.advance(millis(50));
    sim.kernel.behave("web", Behaviour::default());
    sim.advance(secs(5));
    assert_eq!((sim.state("web"), sim.kernel.alive("web")), ("active".to_owned(), 100));
    assert_eq!(failures(&sim), 1);
}

#[test]
fn what_never_gives_up_answers_after_the_fifth_try_also_when_the_machine_is_at_fault() {
    for (machine, retries) in [(true, 3), (true, -1), (false, -1)] {
        let config = format!("[watcher:web]\ncmd = web\nmax_retry = {retries}\nautostart = False\n");
        let mut sim = Sim::before_boot(&config, 1);
        sim.kernel.behave("web", refusing(machine));
        sim.boot();
        let start = sim.request(&waiting("start", "web"));
        let incr = sim.request(&waiting("incr", "web"));
        sim.advance(secs(20));
        assert!(matches!(sim.reply(start), Some(Reply::Ok(members)) if members.contains_key("errors")));
        assert_eq!(sim.reply(incr), Some(Reply::with([("numprocesses", json!(2))])));
        let late = sim.request(&waiting("start", "web"));
        sim.advance(secs(20));
        assert!(sim.reply(late).is_some(), "who joins later is answered too");
        sim.kernel.behave("web", Behaviour::default());
        sim.advance(secs(20));
        assert_eq!(sim.kernel.alive("web"), 2);
    }
}

#[test]
fn a_stop_during_a_removal_joins_it_and_does_not_save_the_watcher() {
    let mut sim = Sim::before_boot("[watcher:a]\ncmd = a\ngraceful_timeout = 2\n[watcher:b]\ncmd = b\n", 1);
    sim.kernel.behave("a", ignoring(&[15]));
    sim.boot();
    sim.settle();
    sim.file = "[watcher:b]\ncmd = b\n".to_owned();
    let reload = sim.request(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#);
    sim.advance(secs(1));
    let stop = sim.request(&waiting("stop", "a"));
    let start = sim.request(&waiting("start", "a"));
    sim.advance(secs(5));
    assert_eq!(sim.reply(reload), Some(Reply::ok()));
    assert_eq!(sim.reply(stop), Some(Reply::with([("info", json!(null))])));
    assert_eq!(error(sim.reply(start)), "program a not found");
    assert_eq!(sim.watchers(), ["b"]);
}

#[test]
fn a_stop_that_is_under_way_is_answered_as_a_stop_though_a_reloadconfig_follows() {
    let mut sim = Sim::before_boot("[watcher:a]\ncmd = a\ngraceful_timeout = 2\n", 1);
    sim.kernel.behave("a", ignoring(&[15]));
    sim.boot();
    sim.settle();
    let stop = sim.request(&waiting("stop", "a"));
    sim.file = "[watcher:a]\ncmd = a --new\ngraceful_timeout = 2\n".to_owned();
    let reload = sim.request(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#);
    sim.advance(secs(1));
    assert_eq!((sim.reply(stop), sim.reply(reload)), (None, None));
    sim.advance(secs(5));
    assert_eq!(sim.reply(stop), Some(Reply::with([("info", json!(null))])));
    assert_eq!(sim.reply(reload), Some(Reply::ok()));
    assert_eq!(sim.history("a")[2..], ["kill", "kill", "reap(-9)", "stop", "spawn", "start"]);
}

#[test]
fn a_file_changed_back_before_its_change_took_place_counts() {
    let old = "[watcher:a]\ncmd = a\ngraceful_timeout = 2\n";
    let mut sim = Sim::before_boot(old, 1);
    sim.kernel.behave("a", ignoring(&[15]));
    sim.boot();
    sim.settle();
    sim.file = old.replace("cmd = a", "cmd = b");
    sim.request(r#"{"command": "reloadconfig"}"#);
    sim.advance(millis(100));
    sim.request(&waiting("stop", "a"));
    sim.file = old.to_owned();
    sim.request(r#"{"command": "reloadconfig"}"#);
    sim.advance(secs(10));
    assert_eq!(sim.option("a", "cmd"), json!("a"));
}

#[test]
fn a_restart_of_several_is_answered_when_all_have_stopped_also_if_none_starts_by_itself() {
    let text_of = |name| format!("[watcher:{name}]\ncmd = {name}\nautostart = False\ngraceful_timeout = 2\n");
    let mut sim = Sim::before_boot(&(text_of("a1") + &text_of("a2")), 1);
    sim.kernel.behave("a1", ignoring(&[15]));
    sim.boot();
    sim.ask(&waiting("start", "a1"));
    sim.ask(&waiting("start", "a2"));
    let restart = sim.request(&waiting("restart", "a*"));
    sim.advance(secs(1));
    assert_eq!(sim.reply(restart), None, "a1 still ends");
    sim.advance(secs(5));
    assert_eq!(sim.reply(restart), Some(Reply::ok()));
    assert_eq!((sim.state("a1"), sim.state("a2")), ("stopped".to_owned(), "stopped".to_owned()));
}

#[test]
fn a_reload_of_all_leaves_alone_what_has_ended_before_its_turn() {
    let text = "[watcher:job]\ncmd = job\nrespawn = False\n[watcher:web]\ncmd = web\npriority = 1\nreload_undo = True\nreload_settle = 2\n";
    let mut sim = Sim::start(text);
    let job = sim.pids("job")[0];
    sim.signal(DaemonSignal::Hup);
    sim.advance(secs(1));
    let now = sim.clock();
    sim.kernel.crash(now, job, Exit::Code(0));
    sim.advance(secs(10));
    assert_eq!(sim.history("job"), ["spawn", "start", "reap(0)", "stop"]);
    assert!(sim.history("web").contains(&"reload".to_owned()));
}

#[test]
fn a_stop_does_not_wait_for_the_hour_that_a_kill_allowed() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 2\n", 1);
    sim.kernel.behave("web", ignoring(&[10]));
    sim.boot();
    sim.settle();
    sim.request(&text("kill", &json!({"name": "web", "signum": 10, "graceful_timeout": 3600})));
    sim.advance(secs(60));
    sim.ask(&waiting("stop", "web"));
    assert_eq!(sim.kernel.signals("web").iter().map(|s| s.number()).collect::<Vec<_>>(), [10, 15]);
    assert_eq!(sim.history("web"), ["spawn", "start", "kill", "kill", "reap(-15)", "stop"]);
    sim.kernel.behave("web", ignoring(&[10, 15]));
    sim.ask(&waiting("start", "web"));
    sim.request(&text("kill", &json!({"name": "web", "signum": 10, "graceful_timeout": 3600})));
    let stop = sim.request(&waiting("stop", "web"));
    sim.advance(secs(3));
    assert!(sim.reply(stop).is_some(), "graceful_timeout holds for the stop");
}

#[test]
fn a_stop_without_grace_ends_at_once_what_a_kill_had_begun_to_end() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 0\n", 1);
    sim.kernel.behave("web", ignoring(&[10, 15]));
    sim.boot();
    sim.settle();
    sim.request(&text("kill", &json!({"name": "web", "signum": 10, "graceful_timeout": 60})));
    sim.settle();
    sim.ask(&waiting("stop", "web"));
    assert_eq!(sim.history("web"), ["spawn", "start", "kill", "kill", "kill", "reap(-9)", "stop"]);
}

#[test]
fn a_quit_waits_for_the_spawn_of_what_was_given_away() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\nautostart = False\n", 1);
    sim.kernel.behave("web", slow());
    sim.boot();
    sim.request(&text("start", &json!({"name": "web"})));
    sim.request(&text("rm", &json!({"name": "web", "nostop": true})));
    sim.request(&text("quit", &json!({"waiting": true})));
    sim.advance(secs(5));
    sim.assert_left();
    assert_eq!(sim.kernel.released_alive(), 1);
}

#[test]
fn a_job_that_takes_the_place_of_one_that_has_ended_holds_up_no_start() {
    let config =
        "[watcher:job]\ncmd = job\nnumprocesses = 2\nwarmup_delay = 1\nrespawn = False\nautostart = False\n";
    let mut sim = Sim::before_boot(config, 1);
    sim.kernel.behave("job", Behaviour { exits: Some((millis(100), Exit::Code(0))), ..Behaviour::default() });
    sim.boot();
    let start = sim.request(&waiting("start", "job"));
    sim.advance(millis(500));
    sim.request(&text("incr", &json!({"name": "job"})));
    sim.advance(secs(10));
    assert!(sim.reply(start).is_some());
    let (run, end) = (["spawn", "reap(0)"], ["start", "stop"]);
    assert_eq!(sim.history("job"), [&run[..], &run[..], &run[..], &end[..]].concat());
}

#[test]
fn asking_twice_to_end_with_the_same_signal_sends_it_once() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\nnumprocesses = 2\n", 1);
    sim.kernel.behave("web", Behaviour { lingers: secs(1), ..Behaviour::default() });
    sim.boot();
    sim.settle();
    sim.request(&text("decr", &json!({"name": "web"})));
    sim.advance(millis(100));
    sim.ask(&waiting("stop", "web"));
    assert_eq!(sim.kernel.signals("web"), [Signal::TERM, Signal::TERM]);
}

#[test]
fn whatever_is_open_at_the_end_is_answered() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\n");
    sim.request(&waiting("stop", "web"));
    sim.request(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#);
    sim.signal(DaemonSignal::Term);
    sim.request(r#"{"command": "reloadconfig", "properties": {"dry_run": true}}"#);
    sim.request(r#"{"command": "stats"}"#);
    sim.request(r#"{"command": "quit", "properties": {"waiting": true}}"#);
    sim.advance(secs(60));
    sim.assert_left();
}

#[test]
fn a_member_that_ends_before_the_survey_that_found_it_is_answered_holds_nothing_up() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\n", 1);
    sim.kernel.behave("web", Behaviour { children: vec![false], ..Behaviour::default() });
    sim.boot();
    sim.settle();
    sim.kernel.survey_lag = millis(500);
    let pid = sim.pids("web")[0];
    let now = sim.clock();
    sim.request(&text("decr", &json!({"name": "web"})));
    sim.kernel.crash(now, pid, Exit::Signal(9));
    sim.advance(secs(60));
    assert_eq!(sim.kernel.children_alive(), 0);
    assert_eq!(sim.kept(), 0);
}

#[test]
fn descendants_that_fork_while_they_are_ended_are_all_found() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\ngraceful_timeout = 2\n", 1);
    sim.kernel.behave("web", Behaviour { children: vec![false, true], forks: 5, ..Behaviour::default() });
    sim.boot();
    sim.settle();
    sim.ask(&waiting("stop", "web"));
    assert_eq!(sim.kernel.children_alive(), 0);
}

#[test]
fn descendants_that_are_to_be_kept_hold_up_no_stop() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\norphans = keep\n", 1);
    sim.kernel.behave("web", Behaviour { children: vec![true], ..Behaviour::default() });
    sim.boot();
    sim.settle();
    sim.ask(&waiting("stop", "web"));
    assert_eq!(sim.history("web"), ["spawn", "start", "kill", "reap(-15)", "stop"]);
}

#[test]
fn a_superseded_request_that_nobody_waits_for_leaves_a_line_in_the_log() {
    let mut sim = Sim::before_boot("[watcher:web]\ncmd = web\nwarmup_delay = 5\n", 1);
    sim.boot();
    sim.settle();
    sim.request(&text("restart", &json!({"name": "web"})));
    sim.request(&text("stop", &json!({"name": "web"})));
    sim.settle();
    assert!(sim.notes.iter().any(|note| note.text == "restart of web superseded by stop"));
}

#[test]
fn a_check_delay_of_next_to_nothing_makes_no_busy_loop() {
    let mut sim = Sim::before_boot(
        "[circus]\ncheck_delay = 0.0000000001\n[watcher:web]\ncmd = web\nmax_retry = -1\n",
        1,
    );
    sim.kernel.behave("web", refusing(false));
    sim.boot();
    sim.advance(secs(1));
    assert!(failures(&sim) <= 100, "{}", failures(&sim));
}

#[test]
fn a_sequential_reload_puts_one_process_into_each_slot() {
    let text = "[watcher:web]\ncmd = web\nnumprocesses = 3\n";
    let mut sim = Sim::start(text);
    let now = sim.clock();
    for pid in sim.pids("web") {
        sim.kernel.crash(now, pid, Exit::Code(1));
    }
    sim.settle();
    for pid in &sim.pids("web")[1..] {
        let now = sim.clock();
        sim.kernel.crash(now, *pid, Exit::Code(1));
    }
    sim.advance(millis(2));
    sim.ask(&text_of_sequential_reload());
    sim.advance(secs(5));
    assert_eq!(sim.kernel.alive("web"), 3);
}

fn text_of_sequential_reload() -> String {
    text("reload", &json!({"name": "web", "sequential": true, "waiting": true}))
}

#[test]
fn a_hundred_thousand_processes_are_wanted_and_unwanted_in_no_time() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\nautostart = False\n");
    sim.ask(&text("set", &json!({"name": "web", "options": {"numprocesses": 100_000}, "waiting": true})));
    let start = sim.request(&waiting("start", "web"));
    sim.advance(millis(100));
    assert!(sim.kernel.alive("web") < 2000, "the simulated machine starts 8 in a millisecond");
    assert!(sim.kept() < 3000, "no more is asked for than is under way");
    sim.ask(&waiting("stop", "web"));
    assert_eq!(error(sim.reply(start)), "start of web superseded by stop");
    assert_eq!((sim.kernel.alive("web"), sim.kept()), (0, 0));
}

#[test]
fn an_incr_by_many_is_answered_when_the_last_is_there() {
    let mut sim = Sim::start("[watcher:web]\ncmd = web\n");
    sim.ask(&text("incr", &json!({"name": "web", "nb": 300, "waiting": true})));
    assert_eq!(sim.kernel.alive("web"), 301);
    sim.ask(&text("set", &json!({"name": "web", "options": {"numprocesses": 500}})));
    sim.ask(&waiting("start", "web"));
    assert_eq!(sim.kernel.alive("web"), 500);
}
