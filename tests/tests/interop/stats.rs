//! Statistics both ways: Python's StatsClient and circus-top on our circusd-stats, ours beside Python's on its circusd.

use std::{
    env,
    io::Read,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use circus_tests::daemon::{Listener, Plan, Program, programs::program, skip, wait::wait_until};
use serde_json::Value;

use crate::{
    daemon::{free_ports, python},
    theirs::Circusd,
};

const TOP: &str = "import sys; sys.argv[0] = 'circus-top'; from circus.stats.client import main; main()";

#[test]
fn pythons_stats_client_reads_our_figures() {
    let Some(mut python) = python("pythons_stats_client_reads_our_figures") else { return };
    let daemon = Plan::new(
        "[circus]\nstatsd = True\nstats_endpoint = ipc://stats\n[watcher:Dum my]\ncmd = sleep 1000\n\
         numprocesses = 2\n[watcher:plugin:x]\ncmd = sleep 1000\n",
    )
    .start();
    let script = format!("{}/python/stats.py", env!("CARGO_MANIFEST_DIR"));
    let stats = format!("ipc://{}", daemon.path("stats").display());
    let mut child = Program(
        python
            .args([&script, &daemon.endpoint(), &stats, "Dum my", "plugin:x"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut status = None;
    wait_until("the script's end", || {
        status = child.0.try_wait().unwrap();
        status.is_some()
    });
    let mut said = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(status.is_some_and(|status| status.success()), "{said}\n{}", daemon.log());
}

#[test]
fn pythons_circus_top_shows_our_figures() {
    const TEST: &str = "pythons_circus_top_shows_our_figures";
    let Some(python) = python(TEST) else { return };
    if !skip::can_run(TEST, &["script", "--version"]) {
        return;
    }
    let daemon =
        Plan::new("[circus]\nstatsd = True\nstats_endpoint = ipc://stats\n[watcher:web]\ncmd = sleep 1000\n")
            .start();
    let pid = daemon.wait_pids("web", 1)[0];
    let (screen, _top) = terminal(&format!(
        "exec {} -c \"{TOP}\" --endpoint ipc://{}",
        python.get_program().display(),
        daemon.path("stats").display()
    ));
    let (circusd, stats) = (daemon.pid(), daemon.wait_pids("circusd-stats", 1)[0]);
    let own = [format!("{circusd} (circusd)"), format!("{stats} (circusd-stats)")];
    for text in ["Circus Top", "web", &pid.to_string(), &own[0], &own[1], "(avg)", "(sum)", "(older)"] {
        wait_until(&format!("`{text}` on the screen"), || screen.lock().unwrap().contains(text));
    }
    assert!(!screen.lock().unwrap().contains("Traceback"));
}

/// A command in a terminal of 100 columns, and what it has written.
fn terminal(command: &str) -> (Arc<Mutex<String>>, Program) {
    let mut child = Command::new("script")
        .args(["-qefc", command, "/dev/null"])
        .envs([("TERM", "xterm"), ("LINES", "40"), ("COLUMNS", "100")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let screen = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&screen);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut piece) {
            shown.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    });
    (screen, Program(child))
}

/// Python's circusd with a socket, its own circusd-stats, and ours as a watcher that inherits the socket.
fn pythons_circusd(python: &mut Command, directory: &Path) -> (Circusd, [String; 3]) {
    let [control, events] = free_ports().map(|port| format!("tcp://127.0.0.1:{port}"));
    let [theirs, web] = free_ports();
    let (theirs, ours) = (format!("tcp://127.0.0.1:{theirs}"), format!("ipc://{}/ours", directory.display()));
    let program = program("circusd-stats");
    let text = format!(
        "[circus]\nendpoint = {control}\npubsub_endpoint = {events}\nstatsd = True\nstats_endpoint = {theirs}\n\
         check_delay = 0.5\nmulticast_endpoint = udp://237.219.251.97:12999\n\
         [socket:web]\nhost = 127.0.0.1\nport = {web}\n\
         [watcher:busy]\ncmd = {} -c 'while True: pass'\n\
         [watcher:web]\ncmd = sleep 1000\nnumprocesses = 2\n\
         [watcher:ours]\ncmd = {} --endpoint {control} --pubsub {events} --statspoint {ours}\n\
         use_sockets = True\nsingleton = True\ncopy_env = True\n",
        python.get_program().display(),
        program.display(),
    );
    let circusd = Circusd::start(python, directory, &text);
    (circusd, [theirs, ours, format!("127.0.0.1:{web}")])
}

#[test]
fn beside_pythons_circusd_stats_ours_says_the_same() {
    let Some(mut python) = python("beside_pythons_circusd_stats_ours_says_the_same") else { return };
    let directory = tempfile::tempdir().unwrap();
    let (circusd, [theirs, ours, web]) = pythons_circusd(&mut python, directory.path());
    let (theirs, ours) = (Listener::to(&theirs), Listener::to(&ours));
    // Nobody accepts it.
    let _pending = {
        wait_until("the socket", || TcpStream::connect(&web).is_ok());
        TcpStream::connect(&web).unwrap()
    };
    let pair = |topic: &str| (theirs.next(topic), ours.next(topic));
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();

    let (their_group, our_group) = pair("stat.web");
    assert_eq!(their_group["pid"], our_group["pid"]);
    assert_eq!(keys(&our_group)[..4], keys(&their_group)[..]);
    let topic = format!("stat.web.{}", our_group["pid"][1]);
    let (their_one, our_one) = pair(&topic);
    let members = keys(&their_one);
    assert_eq!(keys(&our_one)[..members.len()], members[..]);
    for key in ["mem_info2", "pid", "username", "nice", "create_time", "cmdline", "children", "name"] {
        assert_eq!(their_one[key], our_one[key], "{key}");
    }
    // Python reads another file, which we read rarely; and a machine short of memory takes pages away meanwhile.
    wait_until("the same figures of memory", || {
        let newest = [theirs.newest(&topic), ours.newest(&topic)].map(Option::unwrap_or_default);
        ["mem_info1", "mem"].iter().all(|key| newest[0][key] == newest[1][key])
    });
    let busy = |value: &Value| value["cpu"].as_f64() > Some(5.0);
    let topic = format!("stat.busy.{}", ours.next("stat.busy")["pid"][0]);
    let (their_cpu, our_cpu) =
        (theirs.wait(&topic, "processor time", busy), ours.wait(&topic, "processor time", busy));
    assert_eq!(keys(&their_cpu), members);
    assert!(our_cpu["cpu"].as_f64() <= Some(110.0), "{our_cpu}");

    // One connection that is never accepted: both count periods, not connections.
    let counted = |value: &Value| value["reads"].as_u64() > Some(20);
    for listener in [&theirs, &ours] {
        let total = listener.wait("stat.sockets", "hits", counted);
        assert_eq!((&total["addresses"], keys(&total).len()), (&Value::from(vec![web.clone()]), 2));
        assert!(total["reads"].as_u64() <= Some(250), "{total}");
    }
    let fds: Vec<String> = [&theirs, &ours]
        .map(|listener| {
            let mut topics = listener.all().into_iter().map(|(topic, _)| topic);
            topics.rfind(|topic| topic.starts_with("stat.sockets.")).unwrap_or_default()
        })
        .to_vec();
    assert_eq!(fds[0], fds[1]);
    let (their_socket, our_socket) = pair(&fds[0]);
    assert_eq!((&their_socket["fd"], &their_socket["address"]), (&our_socket["fd"], &our_socket["address"]));
    assert_eq!(keys(&their_socket), keys(&our_socket));

    // Circus' own programs: the same circusd, each its own circusd-stats.
    let pid = circusd.pid();
    let (their_daemon, our_daemon) = pair(&format!("stat.circus.{pid}"));
    assert_eq!((&their_daemon["name"], &our_daemon["name"]), (&"circusd".into(), &"circusd".into()));
}
