//! Hooks in real Pythons.

use std::{fs, path::Path};

use circus_tests::daemon::{Daemon, Plan, process, skip, wait};
use serde_json::{Value, json};

/// A module in the daemon's folder that writes down what its hooks are told.
const MODULE: &str = r#"
import os
import signal
import time

def write(name, text):
    with open(os.path.join(os.path.dirname(__file__), name), "a") as out:
        out.write(text + "\n")

def note(watcher, arbiter, hook_name, **kwargs):
    write("told", "%s %r" % (hook_name, kwargs))
    return True

def no(watcher, arbiter, hook_name, **kwargs):
    return False

def nothing(watcher, arbiter, hook_name, **kwargs):
    pass

def boom(watcher, arbiter, hook_name, **kwargs):
    raise ValueError("boom")

def hang(watcher, arbiter, hook_name, **kwargs):
    write("hanging", hook_name)
    time.sleep(1000)

def die(watcher, arbiter, hook_name, **kwargs):
    write("dying", hook_name)
    os._exit(3)

def shout(watcher, arbiter, hook_name, **kwargs):
    watcher.notify_event("custom", {"text": "x" * (2 << 20)})
    return True

def change(watcher, arbiter, hook_name, **kwargs):
    watcher.env["FROM_HOOK"] = "yes"
    watcher.numprocesses = 2
    watcher.graceful_timeout = 7
    return True

def figures(watcher, arbiter, hook_name, pid, stats, **kwargs):
    stats["foo"] = 42
    stats["wid_seen"] = watcher.processes[pid].wid
    stats["others"] = [other.name for other in arbiter.watchers]
    stats["count"] = arbiter.numprocesses()
    stats["kind"] = arbiter.get_watcher("other").cmd
    try:
        arbiter.get_watcher("nobody")
    except KeyError as error:
        stats["missing"] = str(error)
    return True

def restart_itself(watcher, arbiter, hook_name, **kwargs):
    watcher.call("incr", waiting=True)
    watcher.notify_event("custom", {"answer": 42})
    return True

def sockets(watcher, arbiter, hook_name, **kwargs):
    assert watcher.sockets is arbiter.sockets
    for name, it in sorted(arbiter.sockets.items()):
        facts = it.name, it.host, it.port, it.path, it.family.name, it.type.name, it.backlog, it.is_unix, str(it)
        write("sockets", "%r" % (facts,))
    return True

def number(watcher, arbiter, hook_name, **kwargs):
    watcher.args = "fd %d" % arbiter.sockets["web"].fileno()
    return True

def host(watcher, arbiter, hook_name, **kwargs):
    write("hosts", "%s %s" % (watcher.name, os.getpid()))
    return True

def look_around(watcher, arbiter, hook_name, pid, **kwargs):
    process = watcher.processes[pid]
    assert watcher.pids == [pid] and len(watcher) == 1, watcher.pids
    assert process.wid == 1 and 0 <= process.age() < 1000, process
    assert process.info()["pid"] == pid and process.children() == []
    assert watcher.env["KEY"] == "value" and watcher.working_dir == os.getcwd(), watcher.working_dir
    assert (watcher.res_name, watcher.cmd, watcher.priority) == ("we_b", "sleep 1000", 3)
    assert watcher.status() == watcher.call("status")["status"]
    assert watcher.free_form == "text" and watcher._options["free_form"] == "text"
    assert arbiter.get_watcher("we b") is watcher and arbiter.numwatchers() == 2
    assert [it.name for it in arbiter.iter_watchers()] == ["We b", "other"]
    assert watcher.stop_signal is signal.SIGTERM and watcher.reap_process(pid) is None
    assert (process.cmd, process.env, process.working_dir) == (watcher.cmd, watcher.env, watcher.working_dir)
    assert (process.status, process.poll(), process.returncode()) == (0, None, None)
    assert arbiter.multicast_endpoint == arbiter.call("globaloptions")["options"]["multicast_endpoint"]
    assert arbiter.endpoint.startswith("ipc://") and arbiter.check_delay == 5
    watcher.send_signal(pid, signal.SIGUSR1)
    arbiter.get_watcher("other").set_numprocesses(2)
    write("looked", "around")
    return True

def names(watcher, arbiter, hook_name, **kwargs):
    all_of_them = [it.name for it in arbiter.watchers], [it.name for it in arbiter.iter_watchers()]
    write("names", "%r %r %s" % (*all_of_them, arbiter.get_watcher("w").name))
    return True

def state(watcher, arbiter, hook_name, **kwargs):
    own = arbiter.statuses()[watcher.name]
    write("states", " ".join([hook_name, watcher.status(), str(watcher.is_stopped()), own]))
    return True

kept = []

def keep(watcher, arbiter, hook_name, **kwargs):
    kept.extend(watcher.processes.values())
    return True

def look_back(watcher, arbiter, hook_name, exit_code, **kwargs):
    write("ended", "%s %s %s" % (kept[0].status, kept[0].poll(), exit_code))
    return True

def quit(watcher, arbiter, hook_name, **kwargs):
    arbiter.stop()
    return True

def ask_for_more(watcher, arbiter, hook_name, pid, **kwargs):
    for it, name in ((arbiter, "umask"), (watcher, "hooks"), (watcher.processes[pid], "format_args")):
        assert not hasattr(it, name), name
    return watcher.autostart

def odd(watcher, arbiter, hook_name, **kwargs):
    raise ValueError("odd \udcff name")

def endless(watcher, arbiter, hook_name, **kwargs):
    raise ValueError("x" * (1 << 20))

def babble(watcher, arbiter, hook_name, **kwargs):
    import __main__
    os.write(__main__.frames.fileno(), b"nonsense\n")
    time.sleep(1000)

def log(watcher, arbiter, hook_name, **kwargs):
    from circus import logger
    logger.warning("%s logs of %s", hook_name, watcher.name)
    return True

def by_position(one, two, three, pid, stats, **kwargs):
    stats["seen"] = [one.name, two.numwatchers(), three]

def replace(watcher, arbiter, hook_name, **kwargs):
    assert watcher.spawn_process()
    return True

def add_another(watcher, arbiter, hook_name, **kwargs):
    added = arbiter.add_watcher("extra", "sleep 1002", numprocesses=2)
    arbiter.start_watcher(added)
    return added.numprocesses == 2 and added.cmd == "sleep 1002"

def threads(watcher, arbiter, hook_name, **kwargs):
    import threading
    write("threads", "%d" % threading.active_count())
    return False

def whoami(watcher, arbiter, hook_name, **kwargs):
    import helper_module
    write("who", "%s %s %s" % (os.getuid(), os.getgid(), helper_module.NAME))
    return True
"#;

/// Every hook that is called in a life.
const LIFE: [&str; 10] = [
    "before_start",
    "after_start",
    "before_stop",
    "after_stop",
    "before_spawn",
    "after_spawn",
    "before_signal",
    "after_signal",
    "before_reap",
    "after_reap",
];

/// A daemon that has the module in its folder, not started.
pub(crate) fn prepared(config: &str) -> Daemon {
    let python = std::env::var("CIRCUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let daemon = Plan::new(&format!("[circus]\npython = {python}\n{config}")).prepare();
    fs::write(daemon.path("hooked.py"), MODULE).expect("the module is written");
    daemon
}

fn started(config: &str) -> Daemon {
    let daemon = prepared(config);
    daemon.spawn();
    daemon.wait_answers();
    daemon
}

/// A stopped watcher `web` with these lines, and another one.
fn web(lines: &str) -> Daemon {
    started(&format!(
        "[watcher:web]\ncmd = sleep 1000\nautostart = False\ngraceful_timeout = 5\n{lines}\n\
         [watcher:other]\ncmd = sleep 1001\n"
    ))
}

/// Whether there is a Python; else the test is skipped.
pub(crate) fn has_python(test: &str) -> bool {
    let python = std::env::var("CIRCUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    skip::can_run(test, &[&python, "-c", "0"])
}

/// What is in a file, if it is there.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_hook_is_told_what_circus_tells_it_and_in_its_order() {
    if !has_python("every_hook_is_told_what_circus_tells_it_and_in_its_order") {
        return;
    }
    let hooks: Vec<String> = LIFE.iter().map(|hook| format!("hooks.{hook} = hooked.note")).collect();
    let daemon = web(&hooks.join("\n"));
    let events = daemon.events();
    daemon.done("start", "web");
    let pid = daemon.pids("web")[0];
    events.wait_count("web", "start", 1);
    events.clear();
    daemon.done("restart", "web");
    let expected = "before_stop before_signal after_signal kill before_reap reap after_reap stop after_stop \
                    before_start before_spawn after_spawn spawn after_start start";
    let words = || {
        let words = events.of("web").into_iter().map(|seen| match seen.members.get("name") {
            Some(name) => name.as_str().unwrap_or_default().to_owned(),
            None => seen.event,
        });
        words.collect::<Vec<_>>().join(" ")
    };
    wait::wait_until("the whole restart is published", || words().ends_with("after_start start"));
    assert_eq!(words(), expected);
    let told = read(&daemon.path("told"));
    let line = |hook: &str| told.lines().find(|line| line.starts_with(hook)).unwrap_or_default().to_owned();
    assert_eq!(line("before_start"), "before_start {}");
    assert_eq!(line("after_spawn"), format!("after_spawn {{'pid': {pid}}}"));
    let signal = format!("before_signal {{'pid': {pid}, 'signum': <Signals.SIGTERM: 15>}}");
    assert_eq!(line("before_signal"), signal);
    assert!(line("before_reap").starts_with(&format!("before_reap {{'process_pid': {pid}, 'time': ")));
    let reaped = line("after_reap");
    for part in [format!("'process_pid': {pid}"), "'exit_code': -15".into(), "'process_status': 2".into()] {
        assert!(reaped.contains(&part), "{reaped}");
    }
}

#[test]
fn a_result_decides_and_an_exception_is_a_failure() {
    if !has_python("a_result_decides_and_an_exception_is_a_failure") {
        return;
    }
    for (hook, words, error) in [
        ("hooks.before_start = hooked.no", "hook_success", "before_start said no"),
        ("hooks.before_start = hooked:nothing", "hook_success", "before_start said no"),
        ("hooks.before_start = hooked.boom", "hook_failure", "before_start failed: boom"),
        ("hooks.after_spawn = hooked.no", "hook_success kill reap stop", "after_spawn said no"),
        ("hooks.after_start = hooked.no", "spawn hook_success kill reap stop", "after_start said no"),
        ("hooks.before_start = hooked.boom, True", "hook_failure spawn start", ""),
        ("hooks.before_stop = hooked.boom", "spawn start", ""),
    ] {
        let daemon = web(hook);
        let events = daemon.events();
        let reply = daemon.done("start", "web");
        events.wait_words("web", words);
        let expected = if error.is_empty() { Value::Null } else { json!({"web": error}) };
        assert_eq!(reply.get("errors").cloned().unwrap_or_default(), expected, "{hook}");
        let failure = events.of("web").into_iter().find(|seen| seen.event == "hook_failure");
        assert!(failure.is_none_or(|seen| seen.members["error"] == "boom"));
    }
}

#[test]
fn a_hook_that_hangs_has_failed_after_its_time_and_its_python_is_replaced() {
    if !has_python("a_hook_that_hangs_has_failed_after_its_time_and_its_python_is_replaced") {
        return;
    }
    let daemon = web("hook_timeout = 0.5\nhooks.before_start = hooked.hang\n");
    let reply = daemon.done("start", "web");
    assert_eq!(reply["errors"], json!({"web": "before_start failed: timed out after 0.5 s (hook_timeout)"}));
    let set = json!({"name": "web", "options": {"hooks.before_start": "hooked.note"}});
    daemon.ok("set", set);
    daemon.done("start", "web");
    daemon.wait_pids("web", 1);
    daemon.wait_log("a hook in it does not return");
}

#[test]
fn nobody_waits_for_a_hook_and_a_stop_wins() {
    if !has_python("nobody_waits_for_a_hook_and_a_stop_wins") {
        return;
    }
    let daemon = web("hooks.before_start = hooked.hang\nhooks.before_stop = hooked.note\n");
    daemon.ok("start", json!({"name": "web"}));
    wait::wait_until("the hook is called", || daemon.path("hanging").exists());
    daemon.done("restart", "other");
    assert_eq!(daemon.status("web"), "starting");
    daemon.done("stop", "web");
    assert_eq!(daemon.status("web"), "stopped");
    // The hook that hangs holds up no other one of its watcher.
    daemon.ok("set", json!({"name": "web", "options": {"hooks.before_start": "hooked.note"}}));
    daemon.done("start", "web");
    daemon.wait_pids("web", 1);
}

#[test]
fn a_python_that_dies_fails_its_call_and_another_takes_its_place() {
    if !has_python("a_python_that_dies_fails_its_call_and_another_takes_its_place") {
        return;
    }
    let daemon = web("hooks.before_start = hooked.die\n");
    let reply = daemon.done("start", "web");
    assert_eq!(reply["errors"], json!({"web": "before_start failed: its Python exited with 3"}));
    daemon.ok("set", json!({"name": "web", "options": {"hooks.before_start": "hooked.note"}}));
    daemon.done("start", "web");
    daemon.wait_pids("web", 1);
}

#[test]
fn whatever_a_hook_says_is_understood_or_is_its_failure_at_once() {
    if !has_python("whatever_a_hook_says_is_understood_or_is_its_failure_at_once") {
        return;
    }
    // A hook that nobody understands must not be waited for.
    for (hook, error) in [
        ("odd", "odd ? name"),
        ("endless", "bytes are more than circusd takes from a hook"),
        ("shout", "bytes are more than circusd takes from a hook"),
        ("babble", "its Python said what means nothing"),
    ] {
        let daemon = web(&format!("hook_timeout = 0\nhooks.before_start = hooked.{hook}\n"));
        let reply = daemon.done("start", "web");
        let said = reply["errors"]["web"].as_str().unwrap_or_default();
        assert!(said.contains(error), "{said}");
    }
}

#[test]
fn what_a_hook_logs_and_where_it_fails_is_in_circusds_log() {
    if !has_python("what_a_hook_logs_and_where_it_fails_is_in_circusds_log") {
        return;
    }
    let daemon = web("hooks.before_start = hooked.log\nhooks.after_start = hooked.boom, True\n");
    daemon.done("start", "web");
    daemon.wait_log("[WARNING] before_start logs of web");
    daemon.wait_log("[ERROR] ValueError: boom");
    assert!(daemon.log().contains("hooked.py\", line"), "{}", daemon.log());
}

#[test]
fn extended_stats_may_call_its_first_three_arguments_anything() {
    if !has_python("extended_stats_may_call_its_first_three_arguments_anything") {
        return;
    }
    let daemon = web("hooks.extended_stats = hooked.by_position\n");
    daemon.done("start", "web");
    let pid = daemon.the_pid("web");
    let info = &daemon.ok("stats", json!({"name": "web", "extended": true}))["info"][pid.to_string()];
    assert_eq!(info["seen"], json!(["web", 2, "extended_stats"]));
}

#[test]
fn a_hook_that_spawns_fills_a_place_and_adds_none() {
    if !has_python("a_hook_that_spawns_fills_a_place_and_adds_none") {
        return;
    }
    let daemon =
        web("respawn = False\nhooks.after_reap = hooked.replace\nhooks.after_start = hooked.replace\n");
    daemon.done("start", "web");
    for _ in 0..2 {
        let old = daemon.the_pid("web");
        process::kill(old);
        daemon.wait_other("web", old);
    }
    assert_eq!(daemon.option("web", "numprocesses"), json!(1));
    daemon.ok("set", json!({"name": "web", "options": {"numprocesses": 2}}));
    daemon.wait_pids("web", 2);
    // Who is being stopped is not started again.
    daemon.done("stop", "web");
    assert_eq!((daemon.status("web").as_str(), daemon.pids("web").len()), ("stopped", 0));
}

#[test]
fn watchers_that_come_and_go_leave_no_threads_behind() {
    if !has_python("watchers_that_come_and_go_leave_no_threads_behind") {
        return;
    }
    let daemon = web("");
    for number in 0..400 {
        let name = format!("w{number}");
        let options = json!({"hooks.before_start": "hooked.threads"});
        daemon.ok("add", json!({"name": name, "cmd": "sleep 1000", "options": options}));
        daemon.done("start", &name);
        daemon.ok("rm", json!({"name": name, "waiting": true}));
    }
    let most = read(&daemon.path("threads")).lines().filter_map(|line| line.parse::<usize>().ok()).max();
    assert!(most.is_some_and(|most| most > 200 && most < 300), "{most:?}");
}

#[test]
fn a_hook_may_add_a_watcher() {
    if !has_python("a_hook_may_add_a_watcher") {
        return;
    }
    let daemon = web("hooks.before_start = hooked.add_another\n");
    daemon.done("start", "web");
    daemon.wait_pids("web", 1);
    daemon.wait_pids("extra", 2);
}

#[test]
fn what_a_hook_changes_on_its_watcher_takes_effect() {
    if !has_python("what_a_hook_changes_on_its_watcher_takes_effect") {
        return;
    }
    let daemon = web("copy_env = True\nhooks.before_start = hooked.change\n");
    daemon.done("start", "web");
    let pids = daemon.wait_pids("web", 2);
    assert_eq!(process::environ(pids[0]).get("FROM_HOOK").map(String::as_str), Some("yes"));
    let options = daemon.ok("options", json!({"name": "web"}))["options"].clone();
    assert_eq!((&options["numprocesses"], &options["graceful_timeout"]), (&json!(2), &json!(7.0)));
}

#[test]
fn a_hook_may_ask_circusd_and_publish() {
    if !has_python("a_hook_may_ask_circusd_and_publish") {
        return;
    }
    let daemon = web("hooks.after_start = hooked.restart_itself\nhooks.extended_stats = hooked.figures\n");
    let events = daemon.events();
    daemon.done("start", "web");
    let pids = daemon.wait_pids("web", 2);
    wait::wait_until("the hook's own event", || events.of("web").iter().any(|seen| seen.event == "custom"));
    let info = &daemon.ok("stats", json!({"name": "web", "extended": true}))["info"][pids[0].to_string()];
    assert_eq!(
        (&info["foo"], &info["wid_seen"], &info["missing"]),
        (&json!(42), &json!(1), &json!("'nobody'"))
    );
    assert_eq!((&info["others"], &info["count"]), (&json!(["other", "web"]), &json!(3)));
    assert_eq!(info["kind"], "sleep 1001");
    assert!(info["mem_info1"].is_string());
    let plain = &daemon.ok("stats", json!({"name": "web"}))["info"][pids[0].to_string()];
    assert!(plain.get("foo").is_none());
}

#[test]
fn hooks_run_as_the_user_of_the_watcher_and_find_its_modules() {
    let test = "hooks_run_as_the_user_of_the_watcher_and_find_its_modules";
    // Debian's: one in somebody's home cannot be run by nobody.
    if !skip::can_run(test, &["/usr/bin/python3", "--version"]) || !skip::is_root(test) {
        return;
    }
    let daemon = prepared(
        "[watcher:web]\ncmd = sleep 1000\nuid = nobody\npython = /usr/bin/python3\n\
         hooks.before_start = hooked.whoami\n\
         [env:web]\nPYTHONPATH = $PWD/modules\n",
    );
    fs::create_dir(daemon.path("modules")).expect("a folder is made");
    fs::write(daemon.path("modules/helper_module.py"), "NAME = 'helper'\n").expect("it is written");
    fs::write(daemon.path("who"), "").expect("it is written");
    for (path, mode) in [(daemon.dir().to_owned(), 0o755), (daemon.path("who"), 0o666)] {
        rustix::fs::chmod(path, mode.into()).expect("the mode is set");
    }
    let modules = daemon.path("modules").display().to_string();
    let config = read(&daemon.config()).replace("$PWD/modules", &modules);
    fs::write(daemon.config(), config).expect("it is written");
    daemon.spawn();
    daemon.wait_answers();
    daemon.wait_pids("web", 1);
    assert_eq!(read(&daemon.path("who")), "65534 65534 helper\n");
}

#[test]
fn modules_are_found_where_a_pth_file_of_the_pythonpath_says() {
    if !has_python("modules_are_found_where_a_pth_file_of_the_pythonpath_says") {
        return;
    }
    let daemon = prepared(
        "[watcher:web]\ncmd = sleep 1000\nhooks.before_start = elsewhere_module.yes\n\
         [env:web]\nPYTHONPATH = $PWD/modules\n",
    );
    for folder in ["modules", "elsewhere"] {
        fs::create_dir(daemon.path(folder)).expect("a folder is made");
    }
    let elsewhere = daemon.path("elsewhere").display().to_string();
    fs::write(daemon.path("modules/installed.pth"), elsewhere).expect("it is written");
    fs::write(daemon.path("elsewhere/elsewhere_module.py"), "def yes(**kwargs):\n    return True\n")
        .expect("it is written");
    let config = read(&daemon.config()).replace("$PWD", &daemon.dir().display().to_string());
    fs::write(daemon.config(), config).expect("it is written");
    daemon.spawn();
    daemon.wait_answers();
    daemon.wait_pids("web", 1);
}

#[test]
fn a_hook_that_cannot_be_had_leaves_its_watcher_out_and_is_refused_later() {
    let test = "a_hook_that_cannot_be_had_leaves_its_watcher_out_and_is_refused_later";
    if !has_python(test) {
        return;
    }
    let daemon = started(
        "[watcher:bad]\ncmd = sleep 1000\nhooks.before_start = no.such\n\
         [watcher:web]\ncmd = sleep 1000\n",
    );
    daemon.wait_pids("web", 1);
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["web"]));
    daemon.wait_log("circus.ini:5: [watcher:bad] hooks.before_start: no.such cannot be called under");
    let (code, reason) =
        daemon.refused("set", json!({"name": "web", "options": {"hooks.after_stop": "hooked.gone"}}));
    assert_eq!(code, 5);
    assert!(reason.contains("AttributeError: module 'hooked' has no attribute 'gone'"), "{reason}");
    let (code, reason) = daemon.refused("reloadconfig", json!({"waiting": true}));
    assert_eq!(code, 6);
    assert!(
        reason.contains("circus.ini:5: [watcher:bad] hooks.before_start: no.such cannot be called under"),
        "{reason}"
    );
}

#[test]
fn without_its_python_a_hook_is_refused_by_name() {
    let daemon = Plan::new(
        "[circus]\npython = /no/python\n[watcher:bad]\ncmd = sleep 1000\nhooks.before_start = a.b\n\
         [watcher:web]\ncmd = sleep 1000\n",
    )
    .start();
    daemon.wait_pids("web", 1);
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["web"]));
    daemon.wait_log("hooks.before_start: a.b cannot be called under /no/python");
}

/// Two sockets, and what a hook of either daemon writes of them; `DIR` and `PORT` are put in.
const TWO_SOCKETS: &str = "[socket:Web]\nhost = localhost\nport = PORT\nbacklog = 7\n\
     [socket:file]\npath = DIR/file.sock\ntype = SOCK_SEQPACKET\n";

const TWO_SEEN: &str = "\
    ('file', None, None, 'DIR/file.sock', 'AF_UNIX', 'SOCK_SEQPACKET', 2048, True, \"socket 'file' at 'DIR/file.sock'\")\n\
    ('web', '127.0.0.1', PORT, None, 'AF_INET', 'SOCK_STREAM', 7, False, \"socket 'web' at 127.0.0.1:PORT\")\n";

#[test]
fn a_hook_sees_the_managed_sockets_as_circus_shows_them() {
    if !has_python("a_hook_sees_the_managed_sockets_as_circus_shows_them") {
        return;
    }
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    let daemon = prepared(&format!(
        "[watcher:web]\ncmd = sleep 1000\nuse_sockets = True\nhooks.before_start = hooked.sockets\n{TWO_SOCKETS}"
    ));
    let filled = |text: &str| {
        text.replace("DIR", &daemon.dir().display().to_string()).replace("PORT", &port.to_string())
    };
    fs::write(daemon.config(), filled(&read(&daemon.config()))).expect("it is written");
    daemon.spawn();
    daemon.wait_answers();
    daemon.wait_pids("web", 1);
    assert_eq!(read(&daemon.path("sockets")), filled(TWO_SEEN));
}

#[test]
fn the_number_of_a_socket_is_the_one_that_processes_get() {
    if !has_python("the_number_of_a_socket_is_the_one_that_processes_get") {
        return;
    }
    let daemon = started(
        "[watcher:web]\ncmd = sh -c 'sleep 1000; true'\nuse_sockets = True\nautostart = False\n\
         hooks.before_start = hooked.number\n[socket:web]\nhost = 127.0.0.1\nport = 0\n",
    );
    daemon.done("start", "web");
    let pid = daemon.the_pid("web");
    let args = daemon.option("web", "args");
    let number = args.as_str().and_then(|args| args.strip_prefix("fd ")).unwrap_or_default().to_owned();
    let held = fs::read_link(format!("/proc/{pid}/fd/{number}")).expect("it is open there");
    assert!(held.to_string_lossy().starts_with("socket:"), "{held:?}");
    // One that is added later is seen too.
    daemon.ok("addsocket", json!({"name": "late", "options": {"host": "127.0.0.1", "port": 0}}));
    daemon.ok("set", json!({"name": "web", "options": {"hooks.before_stop": "hooked.sockets"}}));
    daemon.done("stop", "web");
    let seen = read(&daemon.path("sockets"));
    assert!(seen.starts_with("('late', '127.0.0.1', "), "{seen}");
}

#[test]
fn the_objects_of_a_hook_have_what_those_of_circus_have() {
    if !has_python("the_objects_of_a_hook_have_what_those_of_circus_have") {
        return;
    }
    let daemon = prepared(
        "[watcher:We b]\ncmd = sleep 1000\npriority = 3\nautostart = False\nfree_form = text\n\
         hooks.before_reap = hooked.note\nhooks.extended_stats = hooked.look_around\n\
         [env:We b]\nKEY = value\n[watcher:other]\ncmd = sleep 1001\n",
    );
    daemon.spawn();
    daemon.wait_answers();
    daemon.done("start", "we b");
    let pid = daemon.the_pid("we b");
    daemon.ok("stats", json!({"name": "we b", "extended": true}));
    assert_eq!(read(&daemon.path("looked")), "around\n");
    daemon.wait_pids("other", 2);
    // The signal that the hook sends ends the process.
    daemon.wait_other("we b", pid);
}

#[test]
fn a_hook_finds_watchers_by_their_names_as_written() {
    if !has_python("a_hook_finds_watchers_by_their_names_as_written") {
        return;
    }
    let daemon = started(
        "[watcher:W]\ncmd = sleep 1000\npriority = 2\n[watcher:C]\ncmd = sleep 1000\n\
         [watcher:Names]\ncmd = sleep 1000\nhooks.before_start = hooked.names\n",
    );
    daemon.wait_pids("Names", 1);
    assert_eq!(read(&daemon.path("names")), "['C', 'Names', 'W'] ['W', 'C', 'Names'] W\n");
}

#[test]
fn before_start_sees_its_watcher_as_it_was() {
    if !has_python("before_start_sees_its_watcher_as_it_was") {
        return;
    }
    let daemon = web("hooks.before_start = hooked.state\nhooks.before_spawn = hooked.state\n");
    daemon.done("start", "web");
    let expected = "before_start stopped True stopped\nbefore_spawn starting False starting\n";
    assert_eq!(read(&daemon.path("states")), expected);
}

#[test]
fn what_cannot_be_had_in_a_hook_says_where_to_read_what_can() {
    if !has_python("what_cannot_be_had_in_a_hook_says_where_to_read_what_can") {
        return;
    }
    let daemon = web("hooks.after_spawn = hooked.ask_for_more\n");
    let reply = daemon.done("start", "web");
    let error = "after_spawn failed: watcher.autostart cannot be had in a hook; docs/hooks.md lists what can";
    assert_eq!(reply["errors"], json!({"web": error}));
}

#[test]
fn a_process_that_a_hook_has_kept_tells_how_it_ended() {
    if !has_python("a_process_that_a_hook_has_kept_tells_how_it_ended") {
        return;
    }
    let daemon = web("hooks.after_start = hooked.keep\nhooks.after_reap = hooked.look_back\n");
    daemon.done("start", "web");
    daemon.done("stop", "web");
    assert_eq!(read(&daemon.path("ended")), "2 -15 -15\n");
}

#[test]
fn a_hook_may_stop_circusd() {
    if !has_python("a_hook_may_stop_circusd") {
        return;
    }
    let daemon = web("hooks.after_start = hooked.quit\n");
    daemon.ok("start", json!({"name": "web"}));
    assert!(daemon.wait_end().success());
}

#[test]
fn watchers_share_a_python_that_has_the_same_modules_and_user() {
    if !has_python("watchers_share_a_python_that_has_the_same_modules_and_user") {
        return;
    }
    let watcher =
        |name: &str| format!("[watcher:{name}]\ncmd = sleep 1000\nhooks.before_start = hooked.host\n");
    let daemon =
        started(&format!("{}{}{}[env:c]\nPYTHONPATH = /nowhere\n", watcher("a"), watcher("b"), watcher("c")));
    for name in ["a", "b", "c"] {
        daemon.wait_pids(name, 1);
    }
    let hosts = read(&daemon.path("hosts"));
    let host = |name: &str| {
        let line = hosts.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().parse::<i32>().expect("a pid")
    };
    assert_eq!(host("a"), host("b"), "{hosts}");
    assert_ne!(host("a"), host("c"), "{hosts}");
    // One that is killed is missed only by its next hook, if circusd has noticed by then.
    process::kill(host("a"));
    daemon.wait_log("it is started again when it is needed");
    daemon.done("restart", "a");
    let later = read(&daemon.path("hosts"));
    assert_eq!(later.lines().count(), 4, "{later}");
    assert!(!later.lines().last().unwrap_or_default().ends_with(&host("a").to_string()), "{later}");
}
