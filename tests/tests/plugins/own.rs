//! People's own plugins: Python classes and programs.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use circus_tests::daemon::{
    Daemon, Plan, Program, process, programs::program, skip::skipped, wait::wait_end,
};
use serde_json::json;

use super::{
    LOGGED,
    servers::{Statsd, free_port},
    wait_started,
};

/// The example of the Circus manual's chapter on plugins.
const LOGGER: &str = "
from circus.plugins import CircusPlugin


class Logger(CircusPlugin):

    name = 'logger'

    def __init__(self, *args, **config):
        super(Logger, self).__init__(*args, **config)
        self.filename = config.get('filename')
        self.file = None

    def handle_init(self):
        self.file = open(self.filename, 'a+', buffering=1)

    def handle_stop(self):
        self.file.close()

    def handle_recv(self, data):
        watcher_name, action, msg = self.split_data(data)
        msg_dict = self.load_message(msg)
        self.file.write('%s %s::%r\\n' % (action, watcher_name, msg_dict))
";

/// A plugin that uses everything the base class has.
const CURIOUS: &str = "
from circus import logger
from circus.plugins import CircusPlugin


class Curious(CircusPlugin):
    name = 'curious'

    def handle_init(self):
        self.seen = 0
        self.loop.add_callback(self.ask)

    def ask(self):
        names = self.call('list')['watchers']
        logger.info('watchers: %s', ','.join(names))
        self.cast('incr', name='web', nb=1)

    def handle_stop(self):
        logger.info('told to stop')

    def handle_recv(self, data):
        name, event, message = self.split_data(data)
        logger.info('saw %s of %s', event, name)
";

/// The same with what people take from elsewhere: Tornado's loop, a client, threads, sockets.
const BUSY: &str = "
import socket
import threading

from circus import logger
from circus.client import CircusClient
from circus.plugins import CircusPlugin
from tornado.ioloop import PeriodicCallback


class Busy(CircusPlugin):
    name = 'busy'

    def __init__(self, *args, **config):
        super(Busy, self).__init__(*args, **config)
        self.period = PeriodicCallback(self.tick, 50)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(('127.0.0.1', 0))

    def handle_init(self):
        self.period.start()
        self.loop.add_handler(self.udp, self.readable, self.loop.READ)

    def tick(self):
        self.period.stop()
        client = CircusClient(endpoint=self.endpoint, timeout=30)
        logger.info('client says %d', client.send_message('numwatchers')['numwatchers'])
        client.stop()
        threading.Thread(target=self.elsewhere).start()

    def elsewhere(self):
        self.loop.add_callback(self.back)
        threading.Event().wait()

    def back(self):
        logger.info('back from a thread')
        self.udp.sendto(b'hello', self.udp.getsockname())

    def readable(self, sock, events):
        logger.info('socket says %s', sock.recv(100).decode())

    def handle_recv(self, data):
        pass
";

/// A Python with circus, or says why the test is skipped.
fn python(test: &str) -> Option<PathBuf> {
    let python = env::var_os("CIRCUS_PYTHON").map(PathBuf::from);
    if python.is_none() {
        skipped(test, "CIRCUS_PYTHON");
    }
    python
}

/// A Python that has pyzmq and nothing else: the same interpreter, without its packages but for this one.
fn bare_python(full: &Path, dir: &Path) -> PathBuf {
    let ask = |code: &str| {
        let output = Command::new(full).args(["-c", code]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let zmq = PathBuf::from(ask("import os, zmq; print(os.path.dirname(zmq.__file__))"));
    let base = ask("import os, sys; print(os.path.realpath(sys.executable))");
    let packages = dir.join("packages");
    fs::create_dir(&packages).unwrap();
    for name in ["zmq", "pyzmq.libs"] {
        symlink(zmq.parent().unwrap().join(name), packages.join(name)).unwrap();
    }
    let wrapper = dir.join("python");
    let text = format!("#!/bin/sh\nPYTHONPATH={}:$PYTHONPATH exec {base} -S \"$@\"\n", packages.display());
    fs::write(&wrapper, text).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    wrapper
}

/// Runs a class of ours under that interpreter.
fn run(python: &Path, class: &str, dir: &Path) -> Daemon {
    let package = dir.join("myproject");
    fs::create_dir(&package).unwrap();
    fs::write(package.join("__init__.py"), "").unwrap();
    fs::write(package.join("plugins.py"), format!("{LOGGER}\n{CURIOUS}")).unwrap();
    fs::write(package.join("busy.py"), BUSY).unwrap();
    let config = format!(
        "{LOGGED}python = {}\n[watcher:web]\ncmd = sleep 1000\n[watcher:a.b]\ncmd = sleep 1000\n\
         [plugin:own]\nuse = myproject.{class}\nfilename = circus-events.log\n",
        python.display()
    );
    let daemon = Plan::new(&config)
        .variable("PYTHONPATH", &dir.display().to_string())
        .variable("PYTHONDONTWRITEBYTECODE", "1")
        .start();
    wait_started(&daemon, 1);
    daemon
}

fn log(daemon: &Daemon) -> String {
    fs::read_to_string(daemon.path("all.log")).unwrap_or_default()
}

/// The plugin's subscription may arrive late, so it is restarted until it was seen.
fn writes_down_events(daemon: &Daemon) {
    daemon.wait_until("an event that is written down", |daemon| {
        daemon.done("restart", "web");
        daemon.done("restart", "a.b");
        let text = fs::read_to_string(daemon.path("circus-events.log")).unwrap_or_default();
        text.contains("start web::{'time': ")
    });
    let text = daemon.wait_file("circus-events.log");
    assert!(text.lines().any(|line| line.starts_with("spawn web::{'process_pid': ")), "{text}");
}

fn is_curious(daemon: &Daemon) {
    daemon.wait_until("an answer", |daemon| log(daemon).contains("watchers: a.b,plugin:own,web"));
    daemon.wait_pids("web", 2);
    daemon.wait_until("an event", |daemon| {
        daemon.done("restart", "web");
        log(daemon).contains("saw start of web")
    });
    daemon.done("stop", "plugin:own");
    let text = log(daemon);
    assert!(
        text.contains("told to stop") && text.ends_with("[INFO] Stopping\n") || text.contains("] Stopping\n"),
        "{text}"
    );
}

#[test]
fn the_example_of_the_manual_runs_where_circus_is_installed() {
    let Some(python) = python("the_example_of_the_manual_runs_where_circus_is_installed") else { return };
    let dir = tempfile::tempdir().unwrap();
    writes_down_events(&run(&python, "plugins.Logger", dir.path()));
}

#[test]
fn the_example_of_the_manual_runs_where_only_pyzmq_is() {
    let Some(python) = python("the_example_of_the_manual_runs_where_only_pyzmq_is") else { return };
    let dir = tempfile::tempdir().unwrap();
    let daemon = run(&bare_python(&python, dir.path()), "plugins.Logger", dir.path());
    writes_down_events(&daemon);
    // A name with a dot in it is told apart from its event.
    daemon.wait_until("its event", |daemon| daemon.wait_file("circus-events.log").contains("start a.b::"));
}

#[test]
fn a_class_may_call_cast_and_use_the_loop_where_only_pyzmq_is() {
    let Some(python) = python("a_class_may_call_cast_and_use_the_loop_where_only_pyzmq_is") else { return };
    let dir = tempfile::tempdir().unwrap();
    let daemon = run(&bare_python(&python, dir.path()), "plugins.Curious", dir.path());
    is_curious(&daemon);
}

#[test]
fn what_people_take_from_elsewhere_is_there_where_only_pyzmq_is() {
    let test = "what_people_take_from_elsewhere_is_there_where_only_pyzmq_is";
    let Some(python) = python(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let bare = bare_python(&python, dir.path());
    let daemon = run(&bare, "busy.Busy", dir.path());
    for line in ["client says 3", "back from a thread", "socket says hello"] {
        daemon.wait_until(line, |daemon| log(daemon).contains(line));
    }
    // Nor does a thread of its own hold it up: far sooner than circusd would kill it.
    daemon.ok("set", json!({"name": "plugin:own", "options": {"graceful_timeout": 100_000}}));
    daemon.done("stop", "plugin:own");
    assert!(log(&daemon).contains("[INFO] Stopping\n"));
}

#[test]
fn why_a_class_cannot_run_is_in_the_log() {
    let Some(python) = python("why_a_class_cannot_run_is_in_the_log") else { return };
    let daemon = Daemon::start(&format!(
        "{LOGGED}python = {}\n[plugin:gone]\nuse = no.such.Logger\n[plugin:no]\nuse = a.B\npython = /no/python\n",
        python.display()
    ));
    for line in [
        "The plugin no.such.Logger has failed",
        "ModuleNotFoundError: No module named 'no'",
        "cannot run `/no/python`",
    ] {
        daemon.wait_until(line, |daemon| log(daemon).contains(line));
    }
}

#[test]
fn pythons_own_flapping_works_on_our_daemon() {
    let Some(python) = python("pythons_own_flapping_works_on_our_daemon") else { return };
    let daemon = Daemon::start(&format!(
        "{LOGGED}python = {}\n[watcher:bad]\ncmd = sh -c \"sleep 0.1; exit 3\"\nrespawn_healthy = 0\nautostart = False\n\
         [plugin:f]\nuse = python:circus.plugins.flapping.Flapping\nretry_in = 60\n",
        python.display()
    ));
    wait_started(&daemon, 1);
    daemon.ok("start", json!({"name": "bad"}));
    daemon.wait_until("a stop", |daemon| {
        log(daemon).contains("bad: flapping detected: retry in 60s (attempt number 1)")
    });
    daemon.wait_status("bad", "stopped");
}

#[test]
fn any_program_may_be_a_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("listener");
    let circusctl = program("circusctl");
    let text = format!(
        "#!/bin/sh\necho \"$CIRCUS_OPTION_GREETING $CIRCUS_CHECK_DELAY $*\" > greeting\n\
         exec {} --endpoint \"$CIRCUS_PUBSUB_ENDPOINT\" --json listen watcher.web. > heard\n",
        circusctl.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let daemon = Daemon::start(&format!(
        "[circus]\ncheck_delay = 2.5\n[watcher:web]\ncmd = sleep 1000\n\
         [plugin:own]\nuse = exec:{} first\ngreeting = hello you\n",
        path.display()
    ));
    let greeting = daemon.wait_file("greeting");
    assert!(greeting.starts_with("hello you 2.5 first --endpoint ipc://"), "{greeting}");
    assert!(greeting.contains(r#"--config-json {"greeting":"hello you","name":"plugin:own"}"#), "{greeting}");
    daemon.wait_until("an event that is heard", |daemon| {
        daemon.done("restart", "web");
        fs::read_to_string(daemon.path("heard")).unwrap_or_default().contains("watcher.web.start")
    });
}

/// Python's own classes do their work on our daemon. Left out are HttpObserver, which runs under no Tornado of today,
/// CommandReloader, which fails at the first `cmd` with an argument, and RedisObserver, which needs one more package.
#[test]
fn pythons_own_plugins_work_on_our_daemon() {
    let Some(python) = python("pythons_own_plugins_work_on_our_daemon") else { return };
    let (statsd, port) = (Statsd::start(), free_port());
    let daemon = Daemon::start(&format!(
        "{LOGGED}python = {}\n[watcher:web]\ncmd = sleep 1000\n[watcher:hog]\ncmd = sleep 1000\n\
         [watcher:silent]\ncmd = sleep 1000\n\
         [plugin:emitter]\nuse = python:circus.plugins.statsd.StatsdEmitter\nport = {statsd}\n\
         [plugin:full]\nuse = python:circus.plugins.statsd.FullStats\nport = {statsd}\nloop_rate = 0.5\n\
         [plugin:limits]\nuse = python:circus.plugins.resource_watcher.ResourceWatcher\nport = {statsd}\n\
         watcher = hog\nloop_rate = 1\nmax_mem = 1K\nmax_count = 1\n\
         [plugin:dog]\nuse = python:circus.plugins.watchdog.WatchDog\nloop_rate = 1\nmax_count = 2\n\
         watchers_regex = ^silent$\nport = {port}\n",
        python.display(),
        statsd = statsd.port(),
    ));
    let [hog, silent] = ["hog", "silent"].map(|name| daemon.wait_pids(name, 1)[0]);
    wait_started(&daemon, 4);
    daemon.wait_until("an event that was counted", |daemon| {
        daemon.done("restart", "web");
        statsd.next().is_some_and(|line| line == "circus.app.watcher.web.start:1|c")
    });
    statsd.wait("figures", |line| line.starts_with("circus.app.watcher._stats.web.mem_max:"));
    daemon.wait_other("hog", hog);
    daemon.wait_other("silent", silent);
    assert!(!log(&daemon).contains("Traceback"), "{}", log(&daemon));
}

/// Circus' own program, by hand, as one would start it beside any daemon.
#[test]
fn pythons_circus_plugin_stops_a_crash_loop_of_our_daemon() {
    let Some(python) = python("pythons_circus_plugin_stops_a_crash_loop_of_our_daemon") else { return };
    let daemon = Daemon::start(
        "[watcher:bad]\ncmd = sh -c \"sleep 0.1; exit 3\"\nrespawn_healthy = 0\nautostart = False\n",
    );
    let log = daemon.path("plugin.log");
    let mut plugin = Command::new(python)
        .args(["-c", "import sys; sys.argv[0] = 'circus-plugin'; from circus.plugins import main; main()"])
        .args(["--endpoint", &daemon.endpoint()])
        .args(["--pubsub", &format!("ipc://{}", daemon.path("events").display())])
        .args(["--config", "retry_in:60", "--log-output", &log.display().to_string()])
        .arg("circus.plugins.flapping.Flapping")
        .spawn()
        .unwrap();
    daemon.ok("start", json!({"name": "bad"}));
    daemon.wait_until("a stop", |_| {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.contains("bad: flapping detected: retry in 60s (attempt number 1)")
    });
    daemon.wait_status("bad", "stopped");
    plugin.kill().unwrap();
    plugin.wait().unwrap();
}

/// The program that docs/plugins.md shows.
#[test]
fn the_example_in_rust_tells_of_lost_processes() {
    let daemon = Daemon::start(&format!(
        "[watcher:web]\ncmd = sleep 1000\n[plugin:own]\nuse = exec:{}\n\
         stdout_stream.class = FileStream\nstdout_stream.filename = said\n",
        program("own-plugin").display()
    ));
    let said = || fs::read_to_string(daemon.path("said")).unwrap_or_default();
    daemon.wait_until("its first answer", |_| said().contains("watching [\"plugin:own\",\"web\"]\n"));
    let old = daemon.wait_pids("web", 1)[0];
    process::kill(old);
    daemon.wait_until("a lost process", |_| said().contains("web lost a process\n"));
    daemon.wait_other("web", old);
    daemon.done("restart", "web");
    assert_eq!(said().matches("lost").count(), 1);
}

/// Our plugin against Python's daemon.
#[test]
fn our_flapping_stops_a_crash_loop_of_pythons_daemon() {
    let Some(python) = python("our_flapping_stops_a_crash_loop_of_pythons_daemon") else { return };
    let dir = tempfile::tempdir().unwrap();
    let endpoint = |name: &str| format!("ipc://{}", dir.path().join(name).display());
    let config = format!(
        "[circus]\nendpoint = {}\npubsub_endpoint = {}\nmulticast_endpoint =\ncheck_delay = 0.3\n\
         [watcher:bad]\ncmd = sh -c \"exit 3\"\n",
        endpoint("c"),
        endpoint("e")
    );
    fs::write(dir.path().join("circus.ini"), config).unwrap();
    let quiet = || fs::File::create(dir.path().join("out")).unwrap();
    let circusd = Command::new(python)
        .args(["-c", "from circus.circusd import main; main()", "circus.ini"])
        .current_dir(dir.path())
        .stdout(quiet())
        .stderr(quiet())
        .spawn()
        .unwrap();
    let _circusd = Program(circusd);
    let log = dir.path().join("plugin.log");
    let mut plugin = Command::new(program("circus-plugin"))
        .args(["--endpoint", &endpoint("c"), "--pubsub", &endpoint("e"), "--check-delay", "0.3"])
        .args(["--config", "window:5:::retry_in:1", "--log-output", &log.display().to_string()])
        .arg("circus.plugins.flapping.Flapping")
        .spawn()
        .unwrap();
    let read = || fs::read_to_string(&log).unwrap_or_default();
    circus_tests::daemon::wait::wait_until("a second attempt", || {
        read().contains("bad: flapping detected: retry in  1s (attempt number 2)")
    });
    process::signal(plugin.id().cast_signed(), rustix::process::Signal::INT);
    assert!(wait_end(&mut plugin).success());
    assert!(read().ends_with("[INFO] Stopping\n"), "{}", read());
}
