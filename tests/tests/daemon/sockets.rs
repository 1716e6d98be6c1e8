//! Managed sockets with real workers and real clients.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use circus_tests::daemon::{Daemon, Plan, process, skip};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Longer than anything takes, so that a test fails with a reason.
const PATIENCE: Duration = Duration::from_secs(60);

fn script(name: &str) -> String {
    format!("{}/python/{name}.py", env!("CARGO_MANIFEST_DIR"))
}

/// The interpreter itself: a worker's environment is empty.
fn python() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let said =
            Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    })
}

/// The command of a worker.
fn acceptor(arguments: &str) -> String {
    format!("{} {} {arguments}", python(), script("acceptor"))
}

fn has_python(test: &str) -> bool {
    skip::can_run(test, &["python3", "-c", ""])
}

fn listed(daemon: &Daemon) -> Vec<Value> {
    daemon.ok("listsockets", json!({}))["sockets"].as_array().cloned().unwrap_or_default()
}

fn socket(daemon: &Daemon, name: &str) -> Value {
    listed(daemon).into_iter().find(|socket| socket["name"] == name).unwrap_or_default()
}

fn port(daemon: &Daemon, name: &str) -> u16 {
    u16::try_from(socket(daemon, name)["port"].as_u64().unwrap()).unwrap()
}

fn fd(daemon: &Daemon, name: &str) -> i64 {
    socket(daemon, name)["fd"].as_i64().unwrap()
}

/// One question and its answer: pid, what was asked, `LISTEN_FDNAMES`.
fn ask(mut stream: impl Write, reader: impl std::io::Read) -> std::io::Result<Vec<String>> {
    stream.write_all(b"hello\n")?;
    let mut line = String::new();
    BufReader::new(reader).read_line(&mut line)?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if words.len() == 3 { Ok(words) } else { Err(std::io::Error::other(format!("unanswered: {line:?}"))) }
}

fn ask_tcp(port: u16) -> std::io::Result<Vec<String>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(&stream, &stream)
}

/// Nobody answers there any more. It may be open still: each process with `use_sockets` has inherited it.
fn is_silent(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return true };
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    ask(&stream, &stream).is_err()
}

fn ask_unix(path: &Path) -> std::io::Result<Vec<String>> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    ask(&stream, &stream)
}

fn answer(port: u16) -> Vec<String> {
    ask_tcp(port).unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn pid_of(answer: &[String]) -> i32 {
    answer[0].parse().unwrap()
}

#[test]
fn workers_accept_on_the_socket_whose_number_their_command_names() {
    if !has_python("workers_accept_on_the_socket_whose_number_their_command_names") {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[socket:Web]\nhost = 127.0.0.1\nport = 0\n[socket:admin]\npath = admin.sock\numask = 077\n\
         [watcher:app]\ncmd = {}\nargs = $(CIRCUS.Sockets.WEB) ((circus.sockets.admin))\nuse_sockets = True\n\
         numprocesses = 2\n[watcher:other]\ncmd = sleep 1000\n",
        acceptor("")
    ));
    let pids = daemon.wait_pids("app", 2);
    assert!(pids.contains(&pid_of(&answer(port(&daemon, "web")))));
    assert!(pids.contains(&pid_of(&ask_unix(&daemon.path("admin.sock")).unwrap())));
    let all = listed(&daemon);
    let names: Vec<&Value> = all.iter().map(|socket| &socket["name"]).collect();
    assert_eq!(names, ["admin", "web"], "sorted by number, which follow the names");
    assert!(all.iter().all(|socket| socket["fd"].as_i64() >= Some(64)));
    assert_eq!(all[0]["path"], "admin.sock");
    assert_eq!((&all[1]["host"], &all[1]["backlog"]), (&json!("127.0.0.1"), &json!(2048)));
    // Nobody gets what it did not ask for.
    let other = daemon.the_pid("other");
    assert_eq!(process::descriptors(other).keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    let printed = daemon.ctl(&["listsockets"]);
    let line = format!("{}:socket 'web' at 127.0.0.1:{}\n", fd(&daemon, "web"), port(&daemon, "web"));
    assert!(String::from_utf8_lossy(&printed.stdout).ends_with(&line), "{printed:?}");
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    assert!(!daemon.path("admin.sock").exists());
}

#[test]
fn a_socket_can_be_standard_input() {
    if !has_python("a_socket_can_be_standard_input") {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[socket:web]\nhost = 127.0.0.1\nport = 0\n[watcher:app]\ncmd = {}\nstdin_socket = web\n",
        acceptor("0")
    ));
    let pid = daemon.wait_pids("app", 1)[0];
    assert_eq!(pid_of(&answer(port(&daemon, "web"))), pid);
    let open = process::descriptors(pid);
    assert!(open.keys().all(|fd| *fd < 64), "{open:?}");
}

#[test]
fn sockets_are_handed_over_by_the_convention_of_systemd() {
    if !has_python("sockets_are_handed_over_by_the_convention_of_systemd") {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[socket:web]\nhost = 127.0.0.1\nport = 0\n[socket:admin]\npath = admin.sock\n\
         [watcher:app]\ncmd = {}\nlisten_fds = web, Admin\n[env:app]\nLISTEN_FDS = 9\nLISTEN_PID = 1\n\
         [watcher:none]\ncmd = sleep 1000\n",
        acceptor("listen")
    ));
    let pid = daemon.wait_pids("app", 1)[0];
    let said = answer(port(&daemon, "web"));
    assert_eq!((pid_of(&said), said[2].as_str()), (pid, "web:admin"));
    assert_eq!(pid_of(&ask_unix(&daemon.path("admin.sock")).unwrap()), pid);
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environ = String::from_utf8_lossy(&environ);
    let ours: Vec<&str> = environ.split('\0').filter(|it| it.starts_with("LISTEN_")).collect();
    assert_eq!(ours, [format!("LISTEN_PID={pid}").as_str(), "LISTEN_FDS=2", "LISTEN_FDNAMES=web:admin"]);
}

#[test]
fn with_so_reuseport_each_worker_has_its_own_and_its_successor_gets_it_again() {
    if !has_python("with_so_reuseport_each_worker_has_its_own_and_its_successor_gets_it_again") {
        return;
    }
    let at = free_port();
    let daemon = Daemon::start(&format!(
        "[socket:web]\nhost = 127.0.0.1\nport = {at}\nso_reuseport = True\n\
         [watcher:app]\ncmd = {}\nargs = $(circus.sockets.web)\nuse_sockets = True\nnumprocesses = 2\n",
        acceptor("")
    ));
    daemon.wait_pids("app", 2);
    let inode = |pid: i32| {
        let number = u32::try_from(fd(&daemon, "web")).unwrap();
        process::descriptors(pid)[&number].clone()
    };
    let pids = daemon.pids("app");
    let (one, two) = (inode(pids[0]), inode(pids[1]));
    assert_ne!(one, two);
    daemon.wait_until("both workers to answer", |daemon| {
        let said: std::collections::BTreeSet<i32> = (0..20).map(|_| pid_of(&answer(at))).collect();
        said == daemon.pids("app").into_iter().collect()
    });
    daemon.ok("kill", json!({"name": "app", "pid": pids[0], "waiting": true}));
    daemon.wait_until("a successor", |daemon| {
        let now = daemon.pids("app");
        now.len() == 2 && !now.contains(&pids[0])
    });
    let new = *daemon.pids("app").iter().find(|pid| **pid != pids[1]).unwrap();
    assert_eq!(inode(new), one);
    // Nobody listens for a watcher that is stopped: who connects is told so.
    daemon.done("stop", "app");
    assert!(ask_tcp(at).is_err());
    daemon.done("start", "app");
    answer(at);
}

#[test]
fn a_socket_that_cannot_be_opened_ends_the_start_with_its_name() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = other.local_addr().unwrap().port();
    let config = format!("[socket:web]\nhost = 127.0.0.1\nport = {at}\n[watcher:app]\ncmd = sleep 1000\n");
    let daemon = Plan::new(&config).prepare();
    daemon.spawn();
    assert_eq!(daemon.wait_end().code(), Some(1));
    let text = format!("circus.ini: [socket:web]: Could not bind 127.0.0.1:{at}: Address already in use");
    assert!(daemon.log().contains(&text), "{}", daemon.log());
    assert_eq!(daemon.log().matches("Could not bind").count(), 1);
}

#[test]
fn reloadconfig_moves_a_socket_and_its_watchers_and_nobody_else() {
    if !has_python("reloadconfig_moves_a_socket_and_its_watchers_and_nobody_else") {
        return;
    }
    let (one, two) = (free_port(), free_port());
    let config = |port: u16| {
        format!(
            "[socket:admin]\npath = admin.sock\n[socket:web]\nhost = 127.0.0.1\nport = {port}\n\
             [watcher:app]\ncmd = {}\nuse_sockets = True\n[watcher:adm]\ncmd = {}\nuse_sockets = True\n",
            acceptor("$(circus.sockets.web)"),
            acceptor("$(circus.sockets.admin)")
        )
    };
    let daemon = Daemon::start(&config(one));
    let (app, adm) = (daemon.wait_pids("app", 1)[0], daemon.wait_pids("adm", 1)[0]);
    let before = fd(&daemon, "admin");
    answer(one);
    daemon.rewrite(&config(two));
    let plan = daemon.ctl(&["reloadconfig", "--plan"]);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.contains("~ socket    web (opened anew)") && plan.contains("socket:web"), "{plan}");
    daemon.ok("reloadconfig", json!({"waiting": true}));
    daemon.wait_other("app", app);
    assert_eq!(daemon.the_pid("adm"), adm);
    assert_eq!(fd(&daemon, "admin"), before);
    answer(two);
    assert!(is_silent(one));
    // What cannot be had changes nothing.
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let app = daemon.the_pid("app");
    daemon.rewrite(&(config(taken.local_addr().unwrap().port()) + "[watcher:more]\ncmd = sleep 1\n"));
    let (number, reason) = daemon.refused("reloadconfig", json!({"waiting": true}));
    assert!(number == 5 && reason.contains("[socket:web]: Could not bind"), "{number} {reason}");
    assert_eq!(daemon.the_pid("app"), app);
    assert_eq!(pid_of(&answer(two)), app);
}

#[test]
fn sockets_are_added_and_removed_while_the_daemon_runs() {
    let daemon = Daemon::start("[watcher:app]\ncmd = sleep 1000\n");
    let path = daemon.path("late.sock");
    let done = daemon.ctl(&["addsocket", "Late", "path", path.to_str().unwrap(), "umask", "077"]);
    assert!(done.status.success(), "{done:?}");
    assert!(path.exists());
    daemon.ok(
        "add",
        json!({"name": "user", "cmd": "sleep 1000", "options": {"stdin_socket": "late"}, "start": true}),
    );
    daemon.wait_pids("user", 1);
    let (number, reason) = daemon.refused("rmsocket", json!({"name": "late"}));
    assert_eq!((number, reason.as_str()), (5, "socket late is used by user"));
    daemon.done("rm", "user");
    assert!(daemon.ctl(&["rmsocket", "late"]).status.success());
    daemon.wait_until("the file to go", |_| !path.exists());
    assert!(listed(&daemon).is_empty());
}

#[test]
fn a_connection_starts_an_on_demand_watcher_and_silence_stops_it() {
    if !has_python("a_connection_starts_an_on_demand_watcher_and_silence_stops_it") {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[socket:web]\nhost = 127.0.0.1\nport = 0\n\
         [watcher:app]\ncmd = {}\nuse_sockets = True\non_demand = True\nidle_timeout = 1\n",
        acceptor("$(circus.sockets.web)")
    ));
    assert_eq!(daemon.status("app"), "stopped");
    let at = port(&daemon, "web");
    let events = daemon.events();
    let held = TcpStream::connect((Ipv4Addr::LOCALHOST, at)).unwrap();
    let first = ask(&held, &held).unwrap();
    assert_eq!(daemon.status("app"), "active");
    let looked = Instant::now();
    daemon.wait_until("a while with an open connection", |daemon| {
        assert_eq!(daemon.pids("app"), [pid_of(&first)], "it is in use");
        looked.elapsed() > Duration::from_secs(3)
    });
    drop(held);
    daemon.wait_status("app", "stopped");
    events.wait_words("app", "spawn start kill reap stop");
    assert_ne!(answer(at)[0], first[0]);
    daemon.done("stop", "app");
    let _waits = TcpStream::connect((Ipv4Addr::LOCALHOST, at)).unwrap();
    assert_eq!(daemon.status("app"), "stopped", "stop disarms");
    daemon.done("start", "app");
    daemon.wait_status("app", "active");
}

#[test]
fn one_that_serves_a_connection_and_ends_is_started_for_the_next() {
    if !has_python("one_that_serves_a_connection_and_ends_is_started_for_the_next") {
        return;
    }
    let daemon = Daemon::start(&format!(
        "[socket:web]\npath = web.sock\n\
         [watcher:app]\ncmd = {}\nuse_sockets = True\non_demand = True\nrespawn_healthy = 0\n",
        acceptor("--once $(circus.sockets.web)")
    ));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        seen.insert(pid_of(&ask_unix(&daemon.path("web.sock")).unwrap()));
        daemon.wait_status("app", "stopped");
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn circusd_takes_over_the_sockets_it_was_started_with() {
    if !has_python("circusd_takes_over_the_sockets_it_was_started_with") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let config = format!(
        "[socket:web]\nhost = 127.0.0.1\nport = 1\n[socket:admin]\npath = {}\n\
         [watcher:app]\ncmd = {}\nuse_sockets = True\ncopy_env = True\n",
        path.display(),
        acceptor("$(circus.sockets.web) $(circus.sockets.admin)")
    );
    let activator = script("activator");
    let daemon = Plan::new(&config).under(&["python3", &activator, path.to_str().unwrap()]).start();
    daemon.wait_pids("app", 1);
    let real: u16 = fs::read_to_string(path.with_extension("sock.txt")).unwrap().trim().parse().unwrap();
    // By its name, whatever its address; the other by its address.
    assert_eq!(port(&daemon, "web"), real);
    assert_eq!(answer(real)[2], "-", "the variables were meant for circusd");
    ask_unix(&path).unwrap();
    daemon.ok("quit", json!({"waiting": true}));
    assert!(daemon.wait_end().success());
    assert!(path.exists(), "the file is not circusd's");
}

#[test]
fn a_restart_in_place_keeps_the_sockets_and_who_waits_at_them() {
    if !has_python("a_restart_in_place_keeps_the_sockets_and_who_waits_at_them") {
        return;
    }
    let config = format!(
        "[socket:web]\nhost = 127.0.0.1\nport = 0\n[watcher:app]\ncmd = {}\nuse_sockets = True\n",
        acceptor("$(circus.sockets.web)")
    );
    let daemon = Daemon::start(&config);
    daemon.wait_pids("app", 1);
    let (at, number) = (port(&daemon, "web"), fd(&daemon, "web"));
    answer(at);
    daemon.ok("restart", json!({}));
    answer(at);
    daemon.wait_log("Restarting in place");
    daemon.wait_answers();
    assert_eq!((port(&daemon, "web"), fd(&daemon, "web")), (at, number));
    answer(at);
}

/// Clients that connect, ask and hang up without a pause, and what went wrong.
struct Load {
    end: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn begin<F>(clients: Vec<F>) -> Self
    where
        F: Fn() -> std::io::Result<Vec<String>> + Send + 'static,
    {
        let (end, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = clients.into_iter().map(|client| {
            let (end, served) = (Arc::clone(&end), Arc::clone(&served));
            thread::spawn(move || {
                let mut wrong = Vec::new();
                while !end.load(Ordering::Relaxed) {
                    match client() {
                        Ok(_) => drop(served.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => wrong.push(error.to_string()),
                    }
                }
                wrong
            })
        });
        let clients = clients.collect();
        Self { end, served, clients }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    /// Ends it; every connection of every client was answered.
    fn end(self) -> usize {
        self.end.store(true, Ordering::Relaxed);
        let wrong: Vec<String> = self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        assert!(
            wrong.is_empty(),
            "{} connections were lost: {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)]
        );
        self.served.load(Ordering::Relaxed)
    }
}

#[test]
fn no_connection_is_refused_reset_or_unanswered_while_workers_are_replaced() {
    if !has_python("no_connection_is_refused_reset_or_unanswered_while_workers_are_replaced") {
        return;
    }
    let config = format!(
        "[socket:admin]\npath = admin.sock\n[socket:web]\nhost = 127.0.0.1\nport = 0\n\
         [watcher:app]\ncmd = {}\nuse_sockets = True\nnumprocesses = 3\nreload_settle = 0.02\nrespawn_healthy = 0\n",
        acceptor("$(circus.sockets.web) $(circus.sockets.admin)")
    );
    let daemon = Daemon::start(&config);
    daemon.wait_pids("app", 3);
    let (at, path) = (port(&daemon, "web"), daemon.path("admin.sock"));
    type Client = Box<dyn Fn() -> std::io::Result<Vec<String>> + Send>;
    let clients: Vec<Client> =
        vec![Box::new(move || ask_tcp(at)), Box::new(move || ask_tcp(at)), Box::new(move || ask_unix(&path))];
    let load = Load::begin(clients);
    daemon.wait_until("the first answers", |_| load.served() > 10);
    for round in 0..100 {
        daemon.ok("reload", json!({"name": "app", "sequential": round % 4 == 3, "waiting": true}));
        if round % 10 == 0 {
            let pids = daemon.wait_pids("app", 3);
            daemon.ok("kill", json!({"name": "app", "pid": pids[0], "waiting": true}));
            daemon.ok("signal", json!({"name": "app", "pid": pids[1], "signum": "TERM"}));
            daemon.wait_until("a replacement", |daemon| {
                let now = daemon.pids("app");
                now.len() == 3 && !now.contains(&pids[1])
            });
        }
        if round % 25 == 10 {
            // A changed backlog, another socket, another watcher: the workers stay.
            let backlog = format!("[socket:web]\nbacklog = {}\n", 1000 + round);
            let more =
                format!("[socket:more{round}]\npath = more.sock\n[watcher:more{round}]\ncmd = sleep 1000\n");
            daemon.rewrite(&(config.replace("[socket:web]\n", &backlog) + &more));
            daemon.ok("reloadconfig", json!({"waiting": true}));
        }
    }
    let before = load.served();
    daemon.ok("restart", json!({"name": "app", "waiting": true}));
    daemon.ok("reload", json!({"waiting": true}));
    daemon.signal(Signal::HUP);
    daemon.wait_until("more answers", |_| load.served() > before + 10);
    let served = load.end();
    assert!(served > 200, "{served} connections");
    // Nothing was left behind on the way.
    daemon.wait_pids("app", 3);
    daemon.wait_until("as few descriptors as before", |daemon| {
        let open = process::descriptors(daemon.pid());
        open.keys().filter(|fd| **fd >= 64).count() < 40
    });
}
