//! circusd-stats: run by circusd, and by hand beside it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use circus_tests::daemon::{Daemon, Listener, process, programs::program, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Statistics on an endpoint of the daemon's own.
const ON: &str = "[circus]\nstatsd = True\nstats_endpoint = ipc://stats\n";

fn endpoint(daemon: &Daemon) -> String {
    format!("ipc://{}", daemon.path("stats").display())
}

fn listen(daemon: &Daemon) -> Listener {
    Listener::to(&endpoint(daemon))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[test]
fn each_process_its_watcher_and_circus_own_programs_are_published() {
    let daemon = Daemon::start(&format!(
        "{ON}[watcher:Dum my]\ncmd = sleep 1000\nnumprocesses = 2\n[watcher:dotted.name]\ncmd = sleep 1000\n"
    ));
    let listener = listen(&daemon);
    let (pids, dotted) = (daemon.wait_pids("dum my", 2), daemon.wait_pids("dotted.name", 1)[0]);
    let stats = daemon.wait_pids("circusd-stats", 1)[0];

    let group = listener.wait_pids("dum_my", &pids);
    assert_eq!(keys(&group), ["pid", "cpu", "mem", "age", "rss", "restarts"]);
    assert_eq!(group["restarts"], 0);
    let one = listener.next(&format!("stat.dum_my.{}", pids[1]));
    assert_eq!(
        keys(&one),
        [
            "mem_info1",
            "mem_info2",
            "cpu",
            "mem",
            "ctime",
            "pid",
            "username",
            "nice",
            "create_time",
            "age",
            "cmdline",
            "children",
            "subtopic",
            "name",
            "rss",
            "vms",
            "threads",
            "fds",
            "read_bytes",
            "write_bytes"
        ]
    );
    assert_eq!(
        (&one["pid"], &one["subtopic"], &one["name"]),
        (&json!(pids[1]), &json!(pids[1]), &Value::Null)
    );
    assert_eq!(
        (&one["children"], &one["threads"], &one["cmdline"]),
        (&json!([]), &json!(1), &json!("sleep"))
    );
    // What does not change from look to look is what circusd itself says.
    // The answer names the process as the question did.
    for process in [json!(pids[1]), json!(pids[1].to_string())] {
        assert_eq!(daemon.ok("stats", json!({"name": "dum my", "process": process}))["process"], process);
    }
    let said = daemon.ok("stats", json!({"name": "dum my", "process": pids[1]}));
    for key in ["mem_info2", "username", "nice", "create_time", "cmdline"] {
        assert_eq!(one[key], said["info"][key], "{key}");
    }
    for key in ["mem_info1", "mem"] {
        let topic = format!("stat.dum_my.{}", pids[1]);
        let _ = listener.wait(&topic, "circusd's figure", |value| value[key] == said["info"][key]);
    }
    assert_eq!(listener.next(&format!("stat.dotted.name.{dotted}"))["pid"], dotted);
    assert_eq!(listener.next("stat.dotted.name")["pid"], json!([dotted]));

    listener.wait_pids("circus", &[stats, daemon.pid()]);
    assert_eq!(listener.next(&format!("stat.circus.{stats}"))["name"], "circusd-stats");
    assert_eq!(listener.next(&format!("stat.circus.{}", daemon.pid()))["name"], "circusd");
    // Not under its own name, and nothing of sockets, since there are none.
    let topics = listener.all().into_iter().map(|(topic, _)| topic);
    let strange: Vec<String> = topics
        .filter(|topic| topic.starts_with("stat.circusd-stats") || topic.starts_with("stat.sockets"))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn it_is_an_ordinary_watcher_with_the_specified_options() {
    let daemon = Daemon::start(&format!("{ON}[watcher:web]\ncmd = sleep 1000\n"));
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["circusd-stats", "web"]));
    daemon.wait_status("circusd-stats", "active");
    let options = daemon.ok("options", json!({"name": "circusd-stats"}))["options"].clone();
    for (key, value) in [
        ("singleton", json!(true)),
        ("use_sockets", json!(true)),
        ("copy_env", json!(true)),
        ("priority", json!(0)),
        ("numprocesses", json!(1)),
    ] {
        assert_eq!(options[key], value, "{key}");
    }
    let cmd = options["cmd"].as_str().expect("a command");
    let wanted = format!(
        "{} --endpoint {} --pubsub ipc://{} --statspoint ipc://stats",
        program("circusd-stats").display(),
        daemon.endpoint(),
        daemon.path("events").display()
    );
    assert_eq!(cmd, wanted);
}

#[test]
fn processes_that_come_and_go_are_followed() {
    let daemon = Daemon::start(&format!("{ON}[watcher:web]\ncmd = sleep 1000\n"));
    let listener = listen(&daemon);
    let first = daemon.wait_pids("web", 1);
    listener.wait_pids("web", &first);
    daemon.ok("incr", json!({"name": "web", "waiting": true}));
    let both = daemon.pids("web");
    listener.wait_pids("web", &both);
    // One that ends by itself is replaced, and that is counted.
    process::kill(both[1]);
    daemon.wait_until("a new process", |daemon| {
        daemon.pids("web").len() == 2 && !daemon.pids("web").contains(&both[1])
    });
    let now = daemon.pids("web");
    assert_eq!(listener.wait_pids("web", &now)["restarts"], 1);
    daemon.ok("decr", json!({"name": "web", "waiting": true}));
    let left = daemon.the_pid("web");
    assert_eq!(listener.wait_pids("web", &[left])["restarts"], 1);
    // A watcher that is stopped is not told of any more.
    daemon.done("stop", "web");
    let _ = listener.next("stat.circus");
    listener.forget();
    (0..2).for_each(|_| drop(listener.next("stat.circus")));
    assert!(listener.all().iter().all(|(topic, _)| topic.starts_with("stat.circus")), "{:?}", listener.all());
    daemon.done("start", "web");
    listener.wait_pids("web", &daemon.pids("web"));
}

#[test]
fn processor_time_shows_and_rounds_are_a_second_apart() {
    let daemon = Daemon::start(&format!("{ON}[watcher:busy]\ncmd = sh -c 'while :; do :; done'\n"));
    let listener = listen(&daemon);
    let topic = format!("stat.busy.{}", daemon.wait_pids("busy", 1)[0]);
    let first = listener.next(&topic);
    assert_eq!(first["cpu"], 0.0, "{first}");
    let busy = listener.wait(&topic, "processor time", |value| value["cpu"].as_f64() > Some(1.0));
    assert!(busy["cpu"].as_f64() < Some(101.0), "{busy}");
    // Ages are the clock: ten rounds are ten seconds, and what one is late the next is not.
    let ages: Vec<f64> = (0..4).map(|_| listener.next(&topic)["age"].as_f64().expect("an age")).collect();
    for pair in ages.windows(2) {
        let passed = (pair[1] - pair[0]).round();
        assert!(pair[1] > pair[0] && passed >= 1.0, "{ages:?}");
    }
}

#[test]
fn statsd_comes_and_goes_while_everything_else_stays() {
    let web = "[watcher:web]\ncmd = sleep 1000\n";
    let daemon = Daemon::start(web);
    let (circusd, pid) = (daemon.pid(), daemon.wait_pids("web", 1)[0]);
    daemon.rewrite(&format!("{ON}{web}"));
    daemon.ok("reloadconfig", json!({"waiting": true}));
    let first = daemon.wait_pids("circusd-stats", 1)[0];
    let listener = listen(&daemon);
    listener.wait_pids("circus", &[first, circusd]);
    listener.wait_pids("web", &[pid]);
    // Another log level is another command line.
    daemon.rewrite(&format!("{ON}loglevel = warning\n{web}"));
    daemon.ok("reloadconfig", json!({"waiting": true}));
    let second = daemon.wait_other("circusd-stats", first);
    listener.wait_pids("circus", &[second, circusd]);
    daemon.rewrite(web);
    let plan = daemon.ok("reloadconfig", json!({"dry_run": true}))["plan"].clone();
    assert_eq!((&plan["remove"], &plan["unchanged"]), (&json!(["circusd-stats"]), &json!(["web"])), "{plan}");
    assert_eq!(plan["restart"], false, "{plan}");
    daemon.ok("reloadconfig", json!({"waiting": true}));
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["web"]));
    assert!(!daemon.path("stats").exists());
    assert_eq!((daemon.pid(), daemon.the_pid("web")), (circusd, pid));
}

/// circusd-stats by hand beside a daemon; killed with its value.
struct ByHand(Child);

impl ByHand {
    fn start(daemon: &Daemon) -> Self {
        let log = fs::File::options().append(true).create(true).open(daemon.path("stats.log")).unwrap();
        let child = Command::new(program("circusd-stats"))
            .args(["--endpoint", &daemon.endpoint()])
            .args(["--pubsub", &format!("ipc://{}", daemon.path("events").display())])
            .args(["--statspoint", &endpoint(daemon)])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_killed_daemon_is_waited_for_and_asked_again() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\n");
    let by_hand = ByHand::start(&daemon);
    let listener = listen(&daemon);
    let old = daemon.wait_pids("web", 2);
    listener.wait_pids("web", &old);
    listener.wait_pids("circus", &[by_hand.pid(), daemon.pid()]);
    daemon.kill_9();
    // What is left runs on and is told of, until the next circusd ends it.
    listener.wait_pids("web", &old);
    daemon.spawn_again();
    let new = daemon.wait_pids("web", 2);
    assert!(new.iter().all(|pid| !old.contains(pid)));
    listener.wait_pids("web", &new);
    listener.wait_pids("circus", &[by_hand.pid(), daemon.pid()]);
}

#[test]
fn it_waits_for_a_daemon_that_is_not_there_yet() {
    let daemon = circus_tests::daemon::Plan::new("[watcher:web]\ncmd = sleep 1000\n").prepare();
    let _by_hand = ByHand::start(&daemon);
    let listener = listen(&daemon);
    daemon.spawn();
    daemon.wait_answers();
    listener.wait_pids("web", &daemon.wait_pids("web", 1));
}

#[test]
fn the_usual_signals_end_it_cleanly() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    for signal in [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP] {
        let mut by_hand = ByHand::start(&daemon);
        let listener = listen(&daemon);
        let _ = listener.next("stat.web");
        process::signal(by_hand.pid(), signal);
        let status = wait::wait_for("its end", || by_hand.0.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert!(!daemon.path("stats").exists(), "{signal:?}");
        let log = fs::read_to_string(daemon.path("stats.log")).unwrap();
        assert!(log.contains("[INFO] Starting the stats streamer\n"), "{log}");
        assert!(log.ends_with("[INFO] Stats streamer stopped\n"), "{log}");
    }
}

#[test]
fn an_endpoint_that_somebody_has_is_an_error_with_its_name() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    let _first = ByHand::start(&daemon);
    let _ = listen(&daemon).next("stat.web");
    let mut second = ByHand::start(&daemon);
    let status = wait::wait_for("its end", || second.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    let log = fs::read_to_string(daemon.path("stats.log")).unwrap();
    assert!(log.contains(&format!("circusd-stats: cannot bind {}: ", endpoint(&daemon))), "{log}");
}

#[test]
fn while_nobody_listens_it_does_not_wake_up() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\n");
    let by_hand = ByHand::start(&daemon);
    let listener = listen(&daemon);
    let _ = listener.next("stat.web");
    drop(listener);
    // Heartbeats of the connection to circusd's events come every few seconds: in between there is nothing.
    wait::wait_for("three seconds without a switch of any thread", || {
        let (before, from) = (process::switches(by_hand.pid()), Instant::now());
        while from.elapsed() < Duration::from_secs(3) {
            std::thread::park_timeout(Duration::from_millis(100));
            if process::switches(by_hand.pid()) != before {
                return None;
            }
        }
        Some(())
    });
    let _ = listen(&daemon).next("stat.web");
}
