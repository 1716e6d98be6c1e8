//! Managed sockets, `on_demand` and the sockets of a reloadconfig, one story each.

use std::time::Duration;

use circus_common::protocol::Reply;
use circus_tests::sim::{Behaviour, Sim};
use circusd::arbiter::{Departure, input::Exit};
use serde_json::{Value, json};

const SHARED: &str = "[socket:web]\nhost = 127.0.0.1\nport = 80\n[socket:admin]\npath = /run/admin\n\
    [watcher:app]\ncmd = app --fd $(circus.sockets.web)\nuse_sockets = True\n\
    [watcher:bare]\ncmd = bare\n[watcher:unit]\ncmd = unit\nlisten_fds = admin\n";

const DEMAND: &str = "[circus]\ncheck_delay = 1\n[socket:web]\nport = 80\n[socket:other]\nport = 81\n\
    [watcher:app]\ncmd = app --fd $(circus.sockets.web)\nuse_sockets = True\non_demand = True\n";

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn named(command: &str, name: &str) -> String {
    json!({"command": command, "properties": {"name": name, "waiting": true}}).to_string()
}

fn reload(sim: &mut Sim, file: &str) -> Reply {
    file.clone_into(&mut sim.file);
    sim.ask(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#)
}

fn sockets(sim: &mut Sim) -> Value {
    let Reply::Ok(members) = sim.ask(r#"{"command": "listsockets"}"#) else { panic!("no sockets") };
    members["sockets"].clone()
}

fn reason(reply: &Reply) -> String {
    let Reply::Error { reason, .. } = reply else { panic!("not refused: {reply:?}") };
    reason.clone()
}

#[test]
fn sockets_are_listed_by_number_as_circus_lists_them() {
    let mut sim = Sim::start(SHARED);
    assert_eq!(
        sockets(&mut sim),
        json!([{"fd": 65, "name": "admin", "backlog": 2048, "path": "/run/admin"},
               {"fd": 66, "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": 80}])
    );
}

#[test]
fn a_socket_that_does_not_exist_is_a_failed_try() {
    let mut sim = Sim::before_boot("[watcher:w]\ncmd = w\nstdin_socket = nope\nmax_retry = 2\n", 1);
    sim.boot();
    sim.advance(secs(10.0));
    assert_eq!(sim.state("w"), "stopped");
    assert_eq!(sim.why("w")["errors"][0], "stdin_socket 'nope' does not exist");
}

#[test]
fn reloadconfig_opens_closes_and_replaces_sockets_and_makes_their_watchers_anew() {
    let mut sim = Sim::start(SHARED);
    sim.forget_events();
    let file = SHARED.replace("port = 80", "port = 81") + "[socket:more]\nport = 5\n";
    sim.file = file.clone();
    let Reply::Ok(plan) = sim.ask(r#"{"command": "reloadconfig", "properties": {"dry_run": true}}"#) else {
        panic!("no plan")
    };
    let plan = &plan["plan"];
    let wanted = json!({"add": ["more"], "remove": [], "replace": ["web"], "adjust": []});
    assert_eq!(plan["sockets"], wanted);
    assert_eq!(plan["recreate"], json!([{"name": "app", "keys": ["socket:web"]}]));
    assert_eq!(plan["unchanged"], json!(["bare", "unit"]));
    assert_eq!(reload(&mut sim, &file), Reply::ok());
    assert_eq!(sim.history("app"), ["kill", "reap(-15)", "stop", "spawn", "start"]);
    assert!(sim.history("bare").is_empty() && sim.history("unit").is_empty());
    assert_eq!(sim.kernel.sockets.number("web"), Some(68));
    assert_eq!(sockets(&mut sim).as_array().map(Vec::len), Some(3));
}

#[test]
fn a_socket_of_which_only_the_backlog_changes_restarts_nobody() {
    let mut sim = Sim::start(SHARED);
    sim.forget_events();
    let number = sim.kernel.sockets.number("web");
    assert_eq!(reload(&mut sim, &SHARED.replace("port = 80", "port = 80\nbacklog = 5")), Reply::ok());
    assert!(sim.events.is_empty());
    assert_eq!(sim.kernel.sockets.number("web"), number);
    assert_eq!(sockets(&mut sim)[1]["backlog"], 5);
}

#[test]
fn a_socket_that_cannot_be_had_undoes_the_whole_plan() {
    let mut sim = Sim::start(SHARED);
    sim.forget_events();
    sim.kernel.sockets.refused.insert("web".to_owned(), "Could not bind".to_owned());
    let file = SHARED.replace("port = 80", "port = 81").replace("cmd = bare", "cmd = other");
    assert_eq!(reason(&reload(&mut sim, &file)), "Could not bind");
    assert!(sim.events.is_empty());
    assert_eq!(sockets(&mut sim)[1]["port"], 80);
    // The same file again, once the port is free: what was refused is still to be done.
    sim.kernel.sockets.refused.clear();
    assert_eq!(reload(&mut sim, &file), Reply::ok());
    assert_eq!(sockets(&mut sim)[1]["port"], 81);
    assert_eq!(sim.kernel.alive("other"), 1);
}

#[test]
fn a_socket_that_a_watcher_needs_cannot_be_taken_away() {
    let mut sim = Sim::start(SHARED);
    sim.forget_events();
    let file = SHARED.replace("[socket:admin]\npath = /run/admin\n", "");
    assert_eq!(reason(&reload(&mut sim, &file)), "[watcher:unit] uses [socket:admin], which is gone");
    let file = file.replace("listen_fds = admin", "");
    assert_eq!(reload(&mut sim, &file), Reply::ok());
    assert_eq!(sim.kernel.sockets.number("admin"), None);
}

#[test]
fn a_socket_can_be_added_and_removed_unless_a_watcher_uses_it() {
    let mut sim = Sim::start(SHARED);
    let add = r#"{"command": "addsocket", "properties": {"name": "Late", "options": {"port": 9}}}"#;
    let reply = sim.ask(add);
    let socket = json!({"fd": 67, "name": "late", "backlog": 2048, "host": "localhost", "port": 9});
    assert_eq!(reply, Reply::with([("socket", socket)]));
    assert_eq!(reason(&sim.ask(add)), "command 'addsocket': 'late' already exist");
    let bad = r#"{"command": "addsocket", "properties": {"name": "x", "options": {"port": -1}}}"#;
    assert_eq!(reason(&sim.ask(bad)), "'port': -1 is no port; write 0 to 65535");
    assert_eq!(reason(&sim.ask(&named("rmsocket", "WEB"))), "socket web is used by app");
    assert_eq!(reason(&sim.ask(&named("rmsocket", "admin"))), "socket admin is used by unit");
    assert_eq!(reason(&sim.ask(&named("rmsocket", "nope"))), "socket nope not found");
    assert_eq!(sim.ask(&named("rmsocket", "late")), Reply::ok());
    assert_eq!(sim.kernel.sockets.number("late"), None);
}

#[test]
fn nobody_adds_what_has_circusds_rights_where_an_owner_is_set() {
    let socket = r#"{"command": "addsocket", "properties": {"name": "x", "options": {"port": 1}}}"#;
    let watcher = r#"{"command": "add", "properties": {"name": "x", "cmd": "x"}}"#;
    let begin = |endpoint: &str| {
        let head = format!("[circus]\nendpoint = {endpoint}\nendpoint_owner = bob\n");
        Sim::start(&format!("{head}[watcher:a]\ncmd = a\n"))
    };
    let mut owned = begin("ipc:///run/c");
    assert!(reason(&owned.ask(socket)).contains("endpoint_owner"));
    assert_eq!(reason(&owned.ask(watcher)), "uid does not match endpoint_owner");
    // A port has no owner.
    let mut open = begin("tcp://127.0.0.1:1");
    assert_eq!(open.ask(watcher), Reply::ok());
}

#[test]
fn sockets_of_a_restart_in_place_are_had_before_anything_stops() {
    let mut sim = Sim::start(SHARED);
    sim.forget_events();
    sim.kernel.sockets.refused.insert("web".to_owned(), "Could not bind".to_owned());
    sim.file = SHARED.replace("port = 80", "port = 81");
    assert_eq!(reason(&sim.ask(r#"{"command": "restart"}"#)), "Could not bind");
    assert!(sim.events.is_empty());
    sim.kernel.sockets.refused.clear();
    assert_eq!(sim.ask(r#"{"command": "restart"}"#), Reply::ok());
    sim.advance(secs(60.0));
    assert!(matches!(sim.departure, Some(Departure::Restart(_))));
}

#[test]
fn a_quit_while_sockets_are_prepared_answers_everybody() {
    let mut sim = Sim::start(SHARED);
    sim.file = SHARED.replace("port = 80", "port = 81");
    sim.request(r#"{"command": "reloadconfig", "properties": {"waiting": true}}"#);
    // The file is read.
    sim.step();
    sim.request(r#"{"command": "quit", "properties": {"waiting": true}}"#);
    sim.advance(secs(60.0));
    sim.assert_left();
}

#[test]
fn an_on_demand_watcher_waits_for_its_first_connection() {
    let mut sim = Sim::start(DEMAND);
    assert_eq!(sim.state("app"), "stopped");
    assert!(sim.kernel.sockets.is_awaited("web") && !sim.kernel.sockets.is_awaited("other"));
    sim.connect("other");
    sim.settle();
    assert_eq!(sim.state("app"), "stopped");
    sim.connect("web");
    sim.settle();
    assert_eq!(sim.state("app"), "active");
    assert_eq!(sim.kernel.sockets.queued("web"), 0);
    assert!(!sim.kernel.sockets.is_awaited("web"), "nobody is woken up by a service that runs");
    assert_eq!(sim.history("app"), ["spawn", "start"]);
}

#[test]
fn an_on_demand_watcher_that_names_no_socket_waits_at_all_of_them() {
    let mut sim =
        Sim::start("[socket:a]\nport = 1\n[socket:b]\nport = 2\n[watcher:w]\ncmd = w\non_demand = True\n");
    sim.connect("b");
    sim.settle();
    assert_eq!(sim.state("w"), "active");
}

#[test]
fn start_arms_and_stop_disarms() {
    let mut sim = Sim::start(DEMAND);
    let nothing = Reply::with([("info", json!({"started": [], "kept": []}))]);
    assert_eq!(sim.ask(&named("start", "app")), nothing);
    assert_eq!(sim.state("app"), "stopped");
    sim.ask(&named("stop", "app"));
    assert!(!sim.kernel.sockets.is_awaited("web"));
    sim.connect("web");
    sim.advance(secs(60.0));
    assert_eq!(sim.state("app"), "stopped");
    // The connection has waited: it counts at once.
    assert_eq!(sim.ask(&named("start", "app")), nothing);
    sim.settle();
    assert_eq!(sim.state("app"), "active");
    let stopped = sim.pids("app");
    let reply = sim.ask(&named("restart", "app"));
    assert_eq!(reply, Reply::with([("info", json!({"stopped": stopped, "started": [], "kept": []}))]));
    assert_eq!(sim.state("app"), "stopped");
    assert!(sim.kernel.sockets.is_awaited("web"), "restart arms");
    sim.ask(&named("stop", "app"));
    sim.forget_events();
    sim.ask(&named("reload", "app"));
    assert!(sim.kernel.sockets.is_awaited("web"), "reload arms");
    assert_eq!(sim.history("app"), ["reload"], "as in Circus");
}

#[test]
fn one_that_ends_by_itself_waits_for_the_next_connection() {
    let mut sim = Sim::start(DEMAND);
    sim.connect("web");
    sim.settle();
    sim.advance(secs(10.0));
    let pid = sim.pids("app")[0];
    sim.kernel.crash(sim.clock(), pid, Exit::Code(0));
    sim.settle();
    assert_eq!(sim.state("app"), "stopped");
    assert_eq!(sim.history("app"), ["spawn", "start", "reap(0)", "stop"]);
    sim.advance(secs(60.0));
    assert_eq!(sim.state("app"), "stopped");
    sim.connect("web");
    sim.settle();
    assert_eq!(sim.state("app"), "active");
}

#[test]
fn one_that_exits_without_accepting_backs_off() {
    let mut sim = Sim::before_boot(DEMAND, 1);
    let exits = Some((Duration::from_millis(20), Exit::Code(1)));
    sim.kernel.behave("app", Behaviour { exits, deaf: true, ..Behaviour::default() });
    sim.boot();
    sim.settle();
    sim.connect("web");
    sim.advance(secs(10.0));
    let spawns = sim.history("app").iter().filter(|word| *word == "spawn").count();
    assert!((8..=16).contains(&spawns), "{spawns} spawns in ten seconds");
    // Mended, it serves whoever still waits.
    sim.kernel.behave("app", Behaviour::default());
    sim.advance(secs(5.0));
    assert_eq!((sim.state("app").as_str(), sim.kernel.sockets.queued("web")), ("active", 0));
}

#[test]
fn a_program_that_is_missing_is_given_up_and_not_called_again() {
    let mut sim = Sim::before_boot(DEMAND, 1);
    sim.kernel.behave("app", Behaviour { refuse: Some("nope".to_owned()), ..Behaviour::default() });
    sim.boot();
    sim.settle();
    sim.connect("web");
    sim.advance(secs(600.0));
    assert_eq!(sim.state("app"), "stopped");
    assert!(!sim.kernel.sockets.is_awaited("web"));
    sim.kernel.behave("app", Behaviour::default());
    sim.ask(&named("start", "app"));
    sim.settle();
    assert_eq!(sim.state("app"), "active");
}

#[test]
fn the_rest_of_several_stays_and_is_completed_by_the_next_connection() {
    let mut sim = Sim::start(&DEMAND.replace("on_demand", "numprocesses = 2\non_demand"));
    sim.connect("web");
    sim.settle();
    sim.advance(secs(10.0));
    let pid = sim.pids("app")[0];
    sim.kernel.crash(sim.clock(), pid, Exit::Signal(9));
    sim.advance(secs(10.0));
    assert_eq!((sim.state("app").as_str(), sim.kernel.alive("app")), ("active", 1));
    sim.connect("web");
    sim.settle();
    assert_eq!(sim.kernel.alive("app"), 2);
}

#[test]
fn an_idle_one_is_stopped_and_started_by_the_next_connection() {
    let mut sim = Sim::start(&(DEMAND.to_owned() + "idle_timeout = 8\n"));
    sim.connect("web");
    sim.settle();
    sim.advance(secs(20.0));
    assert_eq!(sim.state("app"), "active", "the client is still connected");
    sim.kernel.sockets.hang_up("web");
    sim.advance(secs(17.0));
    assert_eq!(sim.state("app"), "stopped");
    assert_eq!(sim.history("app"), ["spawn", "start", "kill", "reap(-15)", "stop"]);
    sim.connect("web");
    sim.settle();
    assert_eq!(sim.state("app"), "active");
}

#[test]
fn connections_that_come_and_go_keep_it_awake() {
    let mut sim = Sim::start(&(DEMAND.to_owned() + "idle_timeout = 8\n"));
    for _ in 0..10 {
        sim.connect("web");
        sim.settle();
        sim.kernel.sockets.hang_up("web");
        sim.advance(secs(5.0));
        assert_eq!(sim.state("app"), "active");
    }
    assert_eq!(sim.history("app"), ["spawn", "start"]);
    sim.advance(secs(10.0));
    assert_eq!(sim.state("app"), "stopped");
}

#[test]
fn quitting_waits_for_no_connection() {
    let mut sim = Sim::start(DEMAND);
    sim.request(r#"{"command": "quit", "properties": {"waiting": true}}"#);
    sim.connect("web");
    sim.advance(secs(60.0));
    sim.assert_left();
}
