//! Hooks, one story each: when they are asked, what their answers mean, and that nobody waits for them.

use std::time::Duration;

use circus_common::{Signal, protocol::Reply};
use circus_tests::sim::{Behaviour, HookBehaviour, Sim};
use circusd::arbiter::{
    hook::Verdict,
    input::{DaemonSignal, Exit},
};
use serde_json::{Value, json};

const ALL: &str = "[watcher:web]\ncmd = web\ngraceful_timeout = 5\nautostart = False\n\
    hooks.before_start = m.f\nhooks.after_start = m.f\nhooks.before_stop = m.f\nhooks.after_stop = m.f\n\
    hooks.before_spawn = m.f\nhooks.after_spawn = m.f\nhooks.before_signal = m.f\nhooks.after_signal = m.f\n\
    hooks.before_reap = m.f\nhooks.after_reap = m.f\nhooks.extended_stats = m.f\n";

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn named(command: &str) -> String {
    json!({"command": command, "properties": {"name": "web", "waiting": true}}).to_string()
}

/// A stopped watcher with these hooks.
fn with_hooks(lines: &str) -> Sim {
    Sim::start(&format!("[watcher:web]\ncmd = web\nautostart = False\ngraceful_timeout = 5\n{lines}"))
}

fn slow(verdict: Verdict, takes: Duration) -> HookBehaviour {
    HookBehaviour { verdict: Some(verdict), takes, ..HookBehaviour::default() }
}

fn lost() -> HookBehaviour {
    HookBehaviour { verdict: None, ..HookBehaviour::default() }
}

fn errors(reply: &Reply) -> Value {
    let Reply::Ok(members) = reply else { panic!("{reply:?}") };
    members.get("errors").cloned().unwrap_or_default()
}

#[test]
fn a_restart_with_all_hooks_publishes_in_the_recorded_order() {
    let mut sim = Sim::start(ALL);
    sim.ask(&named("start"));
    sim.forget_events();
    sim.ask(&named("restart"));
    let expected = [
        "hook_success before_stop",
        "hook_success before_signal",
        "hook_success after_signal",
        "kill",
        "hook_success before_reap",
        "reap(-15)",
        "hook_success after_reap",
        "stop",
        "hook_success after_stop",
        "hook_success before_start",
        "hook_success before_spawn",
        "hook_success after_spawn",
        "spawn",
        "hook_success after_start",
        "start",
    ];
    assert_eq!(sim.history("web"), expected);
}

#[test]
fn hooks_are_told_what_circus_tells_them() {
    let mut sim = Sim::start(ALL);
    sim.ask(&named("start"));
    sim.ask(&named("stop"));
    let told: Vec<(String, Vec<String>)> = sim
        .hooks
        .asked
        .iter()
        .map(|(_, hook, told)| (hook.clone(), told.keys().cloned().collect()))
        .collect();
    let of = |hook: &str| told.iter().find(|(name, _)| name == hook).map(|(_, keys)| keys.join(" "));
    assert_eq!(of("before_start").as_deref(), Some(""));
    assert_eq!(of("after_spawn").as_deref(), Some("pid"));
    assert_eq!(of("before_signal").as_deref(), Some("pid signum"));
    assert_eq!(of("before_reap").as_deref(), Some("process_pid time"));
    assert_eq!(of("after_reap").as_deref(), Some("process_pid time exit_code process_status"));
}

#[test]
fn what_before_start_says_decides_about_the_start() {
    let flagged = "hooks.before_start = m.f, True\n";
    for (lines, verdict, history) in [
        ("hooks.before_start = m.f\n", Verdict::No, &["hook_success before_start"][..]),
        ("hooks.before_start = m.f\n", Verdict::Failed("x".to_owned()), &["hook_failure before_start"]),
        (flagged, Verdict::Failed("x".to_owned()), &["hook_failure before_start", "spawn", "start"]),
        (flagged, Verdict::No, &["hook_success before_start"]),
    ] {
        let mut sim = with_hooks(lines);
        sim.hooks.answer("web", "before_start", verdict.clone());
        let reply = sim.ask(&named("start"));
        assert_eq!(sim.history("web"), history, "{lines} {verdict:?}");
        let up = history.contains(&"start");
        assert_eq!(sim.state("web"), if up { "active" } else { "stopped" });
        assert_eq!(errors(&reply).is_null(), up, "{reply:?}");
    }
}

#[test]
fn a_no_of_another_hook_stops_the_watcher_as_recorded() {
    let two = "numprocesses = 2\n";
    for (hook, lines, history) in [
        ("before_spawn", "", &["hook_success before_spawn", "stop"][..]),
        ("before_spawn", two, &["hook_success before_spawn", "stop"]),
        ("after_spawn", two, &["hook_success after_spawn", "kill", "reap(-15)", "stop"]),
        (
            "after_start",
            two,
            &["spawn", "spawn", "hook_success after_start", "kill", "kill", "reap(-15)", "reap(-15)", "stop"],
        ),
    ] {
        let mut sim = with_hooks(&format!("{lines}hooks.{hook} = m.f\n"));
        sim.hooks.answer("web", hook, Verdict::No);
        let reply = sim.ask(&named("start"));
        assert_eq!(sim.history("web"), history, "{hook}");
        assert_eq!(errors(&reply), json!({"web": format!("{hook} said no")}));
        assert_eq!(sim.state("web"), "stopped");
    }
}

#[test]
fn a_vetoed_signal_is_told_and_counts_its_grace_and_sigkill_cannot_be_vetoed() {
    let mut sim = with_hooks("hooks.before_signal = m.f\nhooks.after_signal = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    sim.hooks.answer("web", "before_signal", Verdict::No);
    sim.request(&named("stop"));
    sim.advance(millis(4900));
    assert_eq!(sim.kernel.signals("web"), []);
    assert_eq!(sim.history("web"), ["hook_success before_signal", "hook_success after_signal", "kill"]);
    sim.advance(millis(300));
    assert_eq!(sim.kernel.signals("web"), [Signal::KILL]);
    assert_eq!(sim.history("web").last().map(String::as_str), Some("stop"));
}

#[test]
fn the_grace_begins_when_the_hook_has_answered() {
    let mut sim = with_hooks("hooks.before_signal = m.f\n");
    sim.kernel.behave("web", Behaviour { ignores: [15].into(), ..Behaviour::default() });
    sim.ask(&named("start"));
    sim.hooks.behave("web", "before_signal", slow(Verdict::Yes, millis(3000)));
    sim.request(&named("stop"));
    sim.advance(millis(7900));
    assert_eq!(sim.kernel.signals("web"), [Signal::TERM]);
    sim.advance(millis(3300));
    assert_eq!(sim.kernel.signals("web"), [Signal::TERM, Signal::KILL]);
}

#[test]
fn the_signal_command_passes_the_hooks_and_has_no_kill_event() {
    let mut sim = with_hooks("hooks.before_signal = m.f\nhooks.after_signal = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    sim.kernel.behave("web", Behaviour { ignores: [10].into(), ..Behaviour::default() });
    sim.ask(r#"{"command": "signal", "properties": {"name": "web", "signum": 10}}"#);
    sim.settle();
    sim.hooks.answer("web", "before_signal", Verdict::No);
    sim.ask(r#"{"command": "signal", "properties": {"name": "web", "signum": 10}}"#);
    sim.settle();
    assert_eq!(sim.kernel.signals("web").len(), 1);
    let both = ["hook_success before_signal", "hook_success after_signal"];
    assert_eq!(sim.history("web"), [both, both].concat());
}

#[test]
fn the_respawn_does_not_wait_for_what_is_told_of_the_dead() {
    let mut sim = with_hooks("hooks.before_reap = m.f\nhooks.after_reap = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    sim.hooks.behave("web", "before_reap", slow(Verdict::Yes, millis(2000)));
    let pid = sim.pids("web")[0];
    sim.kernel.crash(sim.clock(), pid, Exit::Code(1));
    sim.settle();
    assert_eq!(sim.history("web"), ["spawn"]);
    sim.advance(millis(2100));
    let expected = ["spawn", "hook_success before_reap", "reap(1)", "hook_success after_reap"];
    assert_eq!(sim.history("web"), expected);
}

#[test]
fn a_stop_is_over_when_all_is_told() {
    let mut sim = with_hooks("hooks.after_reap = m.f\nhooks.after_stop = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    sim.hooks.behave("web", "after_reap", slow(Verdict::No, millis(1000)));
    let began = sim.clock();
    sim.ask(&named("stop"));
    assert!(sim.clock() - began >= millis(1000));
    let expected = ["kill", "reap(-15)", "hook_success after_reap", "stop", "hook_success after_stop"];
    assert_eq!(sim.history("web"), expected);
}

#[test]
fn a_hook_that_does_not_answer_in_time_has_failed() {
    let mut sim = with_hooks("hooks.before_start = m.f\nhook_timeout = 2.5\n");
    sim.hooks.behave("web", "before_start", lost());
    let began = sim.clock();
    let reply = sim.ask(&named("start"));
    assert_eq!(sim.clock() - began, millis(2500));
    let text = "before_start failed: timed out after 2.5 s (hook_timeout)";
    assert_eq!(errors(&reply), json!({"web": text}));
    assert_eq!(sim.history("web"), ["hook_failure before_start"]);
    assert_eq!(sim.why("web")["errors"], json!([text]));
}

#[test]
fn without_a_time_limit_a_hook_may_take_for_ever() {
    let mut sim = with_hooks("hooks.before_start = m.f\nhook_timeout = 0\n");
    sim.hooks.behave("web", "before_start", slow(Verdict::Yes, Duration::from_secs(7200)));
    sim.ask(&named("start"));
    assert_eq!(sim.state("web"), "active");
}

#[test]
fn other_watchers_and_commands_go_on_while_a_hook_is_asked() {
    let text = "[watcher:slow]\ncmd = slow\nhooks.before_start = m.f\n[watcher:web]\ncmd = web\n";
    let mut sim = Sim::before_boot(text, 1);
    sim.hooks.behave("slow", "before_start", slow(Verdict::Yes, millis(20_000)));
    sim.boot();
    sim.settle();
    assert_eq!(sim.state("web"), "active");
    assert_eq!(sim.state("slow"), "starting");
    assert_eq!(sim.why("slow")["hooks"][0]["name"], "before_start");
    sim.ask(&named("restart"));
    sim.advance(millis(20_000));
    assert_eq!(sim.state("slow"), "active");
}

#[test]
fn a_stop_wins_over_every_hook_that_is_asked() {
    for hook in ["before_start", "before_spawn", "after_spawn", "after_start"] {
        let mut sim = with_hooks(&format!("numprocesses = 2\nhooks.{hook} = m.f\n"));
        sim.hooks.behave("web", hook, slow(Verdict::Yes, millis(3000)));
        let start = sim.request(&named("start"));
        sim.settle();
        let began = sim.clock();
        sim.ask(&named("stop"));
        assert!(sim.clock() - began < millis(100), "{hook}");
        let superseded =
            Reply::error(circus_common::protocol::ErrorCode::Command, "start of web superseded by stop");
        assert_eq!(sim.reply(start), Some(superseded), "{hook}");
        sim.advance(millis(10_000));
        assert_eq!((sim.state("web").as_str(), sim.kernel.alive("web")), ("stopped", 0), "{hook}");
        assert!(!sim.history("web").contains(&format!("hook_success {hook}")), "{hook}");
        sim.assert_quiet();
    }
}

#[test]
fn a_start_that_is_taken_back_before_its_first_process_leaves_no_event() {
    let mut sim = with_hooks("hooks.before_start = m.f\nhooks.before_stop = m.f\n");
    sim.hooks.behave("web", "before_start", lost());
    sim.request(&named("start"));
    sim.settle();
    sim.ask(&named("stop"));
    assert_eq!(sim.history("web"), Vec::<String>::new());
    assert_eq!(sim.hooks.names("web"), ["before_start"]);
}

#[test]
fn before_stop_delays_the_end_and_nothing_is_started_meanwhile() {
    let mut sim = with_hooks("numprocesses = 2\nhooks.before_stop = m.f\nhook_timeout = 3\n");
    sim.ask(&named("start"));
    sim.forget_events();
    sim.hooks.behave("web", "before_stop", lost());
    let stop = sim.request(&named("stop"));
    sim.settle();
    assert_eq!(sim.state("web"), "stopping");
    let pid = sim.pids("web")[0];
    sim.kernel.crash(sim.clock(), pid, Exit::Code(1));
    sim.advance(millis(2900));
    assert_eq!(sim.history("web"), ["reap(1)"]);
    assert!(sim.reply(stop).is_none());
    sim.advance(millis(5000));
    assert_eq!(sim.history("web"), ["reap(1)", "hook_failure before_stop", "kill", "reap(-15)", "stop"]);
    assert!(sim.reply(stop).is_some());
}

#[test]
fn the_kills_of_a_stop_are_told_before_its_reaps_however_late_a_hook_allows_one() {
    let mut sim = with_hooks("numprocesses = 2\nhooks.before_signal = m.f\nhooks.before_reap = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    let first = sim.pids("web")[0];
    sim.hooks.behave("web", "before_signal", slow(Verdict::Yes, millis(1000)));
    sim.request(&json!({"command": "kill", "properties": {"name": "web", "pid": first}}).to_string());
    sim.settle();
    sim.hooks.behave("web", "before_signal", slow(Verdict::Yes, millis(3000)));
    sim.request(&named("stop"));
    sim.advance(millis(2000));
    assert_eq!(sim.history("web"), ["hook_success before_signal", "kill"]);
    sim.advance(millis(2000));
    let rest = [
        "hook_success before_signal",
        "kill",
        "hook_success before_reap",
        "reap(-15)",
        "hook_success before_reap",
        "reap(-15)",
        "stop",
    ];
    assert_eq!(sim.history("web")[2..], rest);
}

#[test]
fn a_sequential_reload_waits_for_after_spawn_before_it_takes_the_next() {
    let mut sim = with_hooks("numprocesses = 2\nwarmup_delay = 1\nhooks.after_spawn = m.f\n");
    sim.request(&named("start"));
    sim.advance(millis(5000));
    sim.forget_events();
    sim.hooks.behave("web", "after_spawn", slow(Verdict::Yes, millis(2000)));
    let reload =
        json!({"command": "reload", "properties": {"name": "web", "sequential": true, "waiting": true}});
    let reload = sim.request(&reload.to_string());
    let first = ["kill", "reap(-15)", "hook_success after_spawn", "spawn"];
    sim.advance(millis(2900));
    // The hook has said yes after two seconds, and the pause is one.
    assert_eq!(sim.history("web"), first);
    sim.advance(millis(2900));
    assert_eq!(sim.history("web"), [first, first].concat());
    sim.advance(millis(1000));
    assert_eq!(sim.history("web").last().map(String::as_str), Some("reload"));
    assert!(sim.reply(reload).is_some());
}

#[test]
fn a_no_in_a_sequential_reload_stops_the_watcher() {
    let mut sim = with_hooks("numprocesses = 2\nhooks.after_spawn = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    sim.hooks.answer("web", "after_spawn", Verdict::No);
    let reload =
        json!({"command": "reload", "properties": {"name": "web", "sequential": true, "waiting": true}});
    sim.ask(&reload.to_string());
    assert_eq!(sim.state("web"), "stopped");
    let history = sim.history("web");
    assert_eq!(history[history.len() - 2..], ["stop", "reload"]);
}

#[test]
fn why_tells_that_a_hook_says_not_now() {
    let mut sim = with_hooks("hooks.before_start = m.f\n");
    sim.hooks.answer("web", "before_start", Verdict::NotNow);
    sim.request(&named("start"));
    sim.advance(millis(1000));
    let Reply::Ok(why) = sim.ask(&named("why")) else { panic!("no answer") };
    assert_eq!(why["errors"], json!(["before_start said not now"]));
}

#[test]
fn not_now_is_asked_again_with_growing_pauses_until_it_is_yes() {
    let mut sim = with_hooks("hooks.before_start = m.f\n");
    sim.hooks.answer("web", "before_start", Verdict::NotNow);
    let start = sim.request(&named("start"));
    sim.advance(millis(1000));
    // At 0, 0.1, 0.3 and 0.7 s.
    assert_eq!(sim.hooks.names("web").len(), 4);
    assert!(sim.reply(start).is_none());
    sim.advance(millis(1000));
    // Who waits is told after the fifth, while the work goes on.
    let reply = sim.reply(start).expect("the start is answered");
    assert_eq!(errors(&reply), json!({"web": "before_start said not now"}));
    sim.hooks.answer("web", "before_start", Verdict::Yes);
    sim.advance(millis(10_000));
    assert_eq!(sim.state("web"), "active");
}

#[test]
fn a_lower_priority_begins_after_the_first_not_now() {
    let text = "[watcher:db]\ncmd = db\npriority = 2\nhooks.before_start = m.f\n[watcher:web]\ncmd = web\n";
    let mut sim = Sim::before_boot(text, 1);
    sim.hooks.answer("db", "before_start", Verdict::NotNow);
    sim.boot();
    sim.settle();
    assert_eq!(sim.state("web"), "active");
    assert_eq!(sim.state("db"), "starting");
}

#[test]
fn a_spawn_that_may_not_be_now_waits_and_the_living_stay() {
    let mut sim = with_hooks("numprocesses = 2\nhooks.before_spawn = m.f\n");
    sim.ask(&named("start"));
    sim.hooks.answer("web", "before_spawn", Verdict::NotNow);
    let pid = sim.pids("web")[0];
    sim.kernel.crash(sim.clock(), pid, Exit::Code(1));
    sim.advance(millis(3000));
    assert_eq!((sim.state("web").as_str(), sim.kernel.alive("web")), ("active", 1));
    sim.hooks.answer("web", "before_spawn", Verdict::Yes);
    sim.advance(millis(6000));
    assert_eq!(sim.kernel.alive("web"), 2);
}

#[test]
fn a_process_that_ends_on_probation_is_told_of_and_replaced() {
    let mut sim = with_hooks("hooks.after_spawn = m.f\nmax_retry = -1\n");
    sim.hooks.behave("web", "after_spawn", slow(Verdict::Yes, millis(3000)));
    sim.request(&named("start"));
    sim.settle();
    let pid = sim.pids("web")[0];
    sim.kernel.crash(sim.clock(), pid, Exit::Code(1));
    sim.settle();
    assert_eq!(sim.history("web")[..2], ["spawn", "reap(1)"]);
}

#[test]
fn a_reload_whose_new_process_is_refused_keeps_the_old() {
    for hook in ["before_spawn", "after_spawn"] {
        for undo in ["", "reload_undo = True\n"] {
            let mut sim = with_hooks(&format!("{undo}hooks.{hook} = m.f\n"));
            sim.ask(&named("start"));
            let old = sim.pids("web");
            sim.hooks.answer("web", hook, Verdict::No);
            sim.ask(&named("reload"));
            assert_eq!((sim.pids("web"), sim.state("web").as_str()), (old, "active"), "{hook} {undo}");
        }
    }
}

#[test]
fn what_a_hook_changes_is_set_without_a_reload() {
    let mut sim = with_hooks("hooks.before_spawn = m.f\n");
    let changes = json!({"numprocesses": 2, "cmd": "other", "priority": 7, "env": {"A": "1"}});
    let changes = changes.as_object().cloned().unwrap_or_default();
    sim.hooks.behave("web", "before_spawn", HookBehaviour { changes, ..HookBehaviour::default() });
    sim.ask(&named("start"));
    assert_eq!(sim.kernel.alive("other"), 2);
    assert_eq!(sim.option("web", "priority"), 7);
    assert_eq!(sim.option("web", "env"), json!({"A": "1"}));
    assert!(!sim.history("web").contains(&"reload".to_owned()));
}

#[test]
fn extended_stats_adds_to_the_figures_and_its_failure_fails_the_request() {
    let extended = r#"{"command": "stats", "properties": {"name": "web", "extended": true}}"#;
    let mut sim = with_hooks("hooks.extended_stats = m.f\n");
    sim.ask(&named("start"));
    sim.forget_events();
    let pid = sim.pids("web")[0].to_string();
    let Reply::Ok(members) = sim.ask(extended) else { panic!("no figures") };
    assert_eq!(members["info"][&pid]["foo"], 42);
    let Reply::Ok(members) = sim.ask(&named("stats")) else { panic!("no figures") };
    assert_eq!(members["info"][&pid].get("foo"), None);
    sim.hooks.answer("web", "extended_stats", Verdict::Failed("boom".to_owned()));
    let Reply::Error { reason, .. } = sim.ask(extended) else { panic!("no refusal") };
    assert_eq!(reason, "extended_stats of web failed: boom");
    assert_eq!(sim.history("web"), Vec::<String>::new());
}

#[test]
fn a_set_of_a_hook_that_cannot_be_had_changes_nothing() {
    let mut sim = with_hooks("hooks.before_start = m.f\n");
    sim.hooks.missing = vec!["no.such".to_owned()];
    let set = |hook: &str| {
        json!({"command": "set", "properties": {"name": "web", "options": {"hooks.before_start": hook}}})
            .to_string()
    };
    let Reply::Error { code, reason } = sim.ask(&set("no.such")) else { panic!("no refusal") };
    assert_eq!((code.number(), reason.as_str()), (5, "hooks.before_start: No module named 'nope'"));
    assert_eq!(sim.ask(&set("builtin:file:/x")), Reply::ok());
    assert_eq!(sim.history("web"), ["updated"]);
}

#[test]
fn a_configuration_whose_hook_cannot_be_had_is_refused_whole() {
    let mut sim = with_hooks("");
    sim.hooks.missing = vec!["no.such".to_owned()];
    sim.file = "[watcher:new]\ncmd = new\n[watcher:web]\ncmd = web\nhooks.after_stop = no.such\n".to_owned();
    let Reply::Error { code, reason } = sim.ask(r#"{"command": "reloadconfig"}"#) else {
        panic!("no refusal")
    };
    assert_eq!(code.number(), 6);
    assert_eq!(reason, "story.ini:5: [watcher:web] hooks.after_stop: No module named 'nope'");
    assert_eq!(sim.watchers(), ["web"]);
}

#[test]
fn a_second_signal_ends_all_patience_with_hooks() {
    let mut sim = with_hooks("hooks.before_stop = m.f\nhooks.before_signal = m.f\nhook_timeout = 0\n");
    sim.ask(&named("start"));
    sim.hooks.behave("web", "before_stop", lost());
    sim.hooks.behave("web", "before_signal", lost());
    sim.signal(DaemonSignal::Int);
    sim.advance(millis(60_000));
    assert!(sim.departure.is_none());
    sim.signal(DaemonSignal::Int);
    sim.advance(millis(1000));
    sim.assert_left();
}
