//! Streams that are Python classes, in helpers.

use std::{fs, io::Write};

use circus_tests::daemon::{Daemon, Plan, process, skip};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
    process::Signal,
};
use serde_json::json;

/// A class that writes down what happens to it.
const CLASS: &str = r#"
import os

class Recorder:
    def __init__(self, filename, **rest):
        self.file = open(filename, "a", buffering=1)
        self.file.write("INIT %s\n" % sorted(rest.items()))

    def __call__(self, data):
        text = data["data"].decode("utf-8", "replace")
        if "die" in text:
            os._exit(3)
        if "raise" in text:
            raise ValueError(text)
        self.file.write("%s %s %s\n" % (data["name"], type(data["pid"]).__name__, text.rstrip("\n").replace("\n", "/")))

    def open(self):
        self.file.write("OPEN\n")

    def close(self):
        self.file.write("CLOSE\n")
"#;

fn can_run(test: &str) -> bool {
    skip::can_run(test, &["python3", "-c", "pass"])
}

/// A daemon whose folder holds the class, with this watcher.
fn daemon(watcher: &str) -> Daemon {
    let daemon = Plan::new(watcher).prepare();
    fs::write(daemon.path("recording.py"), CLASS).unwrap();
    daemon.spawn_again();
    daemon
}

fn record(daemon: &Daemon) -> String {
    fs::read_to_string(daemon.path("record")).unwrap_or_default()
}

fn wait_record(daemon: &Daemon, expected: &str) {
    daemon.wait_until(&format!("the record {expected:?}"), |daemon| record(daemon) == expected);
}

/// The helpers that live.
fn helpers(daemon: &Daemon) -> Vec<i32> {
    let all = process::living_descendants(daemon.pid());
    all.into_iter().filter(|pid| process::argv(*pid).iter().any(|word| word == "circus-stream")).collect()
}

const WEB: &str = "[watcher:web]\ncmd = /bin/sh -c 'echo hello; exec sleep 1000'\nautostart = False\n\
                   stdout_stream.class = recording.Recorder\nstdout_stream.filename = record\nstdout_stream.extra = 1\n";

#[test]
fn a_class_is_made_opened_called_and_closed_as_in_circus() {
    if !can_run("a_class_is_made_opened_called_and_closed_as_in_circus") {
        return;
    }
    let daemon = daemon(WEB);
    let mut expected = "INIT [('extra', '1')]\n".to_owned();
    wait_record(&daemon, &expected);
    daemon.done("start", "web");
    expected.push_str("OPEN\nstdout int hello\n");
    wait_record(&daemon, &expected);
    daemon.done("restart", "web");
    expected.push_str("OPEN\nstdout int hello\n");
    wait_record(&daemon, &expected);
    daemon.done("stop", "web");
    expected.push_str("CLOSE\n");
    wait_record(&daemon, &expected);
    daemon.done("start", "web");
    expected.push_str("OPEN\nstdout int hello\n");
    wait_record(&daemon, &expected);
    assert_eq!(helpers(&daemon).len(), 1);
    // It is no watcher.
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["web"]));
    daemon.ok("quit", json!({"waiting": true}));
    daemon.wait_end();
    expected.push_str("CLOSE\n");
    assert_eq!(record(&daemon), expected);
}

#[test]
fn a_helper_that_dies_is_started_again_and_one_that_raises_goes_on() {
    if !can_run("a_helper_that_dies_is_started_again_and_one_that_raises_goes_on") {
        return;
    }
    let daemon = daemon(
        "[watcher:web]\ncmd = /bin/sh -c 'n=0; while :; do n=$((n+1)); echo line $n; sleep 0.1; done'\nstop_children = True\n\
         stdout_stream.class = recording:Recorder\nstdout_stream.filename = record\n[watcher:other]\ncmd = sleep 1000\n",
    );
    daemon.wait_until("lines", |daemon| record(daemon).contains("line 3"));
    let old = helpers(&daemon);
    assert_eq!(old.len(), 1);
    process::signal(old[0], Signal::KILL);
    daemon.wait_until("a new helper", |daemon| record(daemon).matches("INIT").count() == 2);
    daemon.wait_log("stdout_stream of web");
    let (_, after) = record(&daemon).rsplit_once("INIT").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(!after.contains("line 1\n"));
    daemon.wait_until("lines after it", |daemon| {
        record(daemon).rsplit("INIT").next().unwrap().contains("line")
    });
    assert_eq!(daemon.pids("web").len(), 1);
    assert_ne!(helpers(&daemon), old);
}

#[test]
fn a_class_that_cannot_be_had_is_a_broken_section() {
    if !can_run("a_class_that_cannot_be_had_is_a_broken_section") {
        return;
    }
    let daemon = daemon(
        "[watcher:gone]\ncmd = sleep 1000\nstdout_stream.class = no_such_module.Class\n\
         [watcher:wrong]\ncmd = sleep 1000\nstdout_stream.class = recording.Recorder\n\
         [watcher:nopython]\ncmd = sleep 1000\npython = /nonexistent/python3\nstdout_stream.class = recording.Recorder\nstdout_stream.filename = record\n\
         [watcher:good]\ncmd = sleep 1000\n",
    );
    assert_eq!(daemon.ok("list", json!({}))["watchers"], json!(["good"]));
    daemon.wait_log("circus.ini:3: [watcher:gone] stdout_stream: the class no_such_module.Class does not run under python3: ModuleNotFoundError: No module named 'no_such_module'");
    daemon.wait_log(
        "circus.ini:6: [watcher:wrong] stdout_stream: the class recording.Recorder does not run under python3: TypeError: ",
    );
    daemon.wait_log("[watcher:nopython] stdout_stream: the class recording.Recorder does not run under /nonexistent/python3: [Errno 2]");
    assert_eq!(helpers(&daemon), [0; 0]);
    let checked = daemon.command().arg("--check").output().unwrap();
    assert!(!checked.status.success());
}

#[test]
fn a_class_is_set_and_taken_away_while_the_process_runs() {
    if !can_run("a_class_is_set_and_taken_away_while_the_process_runs") {
        return;
    }
    let daemon = daemon(
        "[watcher:web]\ncmd = /bin/sh -c 'while :; do echo tick; sleep 0.05; done'\nstop_children = True\n\
         stdout_stream.filename = web.log\n",
    );
    let pid = daemon.wait_pids("web", 1)[0];
    daemon.ok(
        "set",
        json!({"name": "web", "waiting": true,
               "options": {"stdout_stream.class": "recording.Recorder", "stdout_stream.filename": "record"}}),
    );
    daemon.wait_until("a line", |daemon| record(daemon).contains("stdout int tick"));
    assert_eq!(record(&daemon).matches("INIT").count(), 1);
    daemon.set("web", "stdout_stream.class", json!("QueueStream"));
    daemon.wait_until("the end of the helper", |daemon| helpers(daemon).is_empty());
    assert!(record(&daemon).ends_with("CLOSE\n"), "{}", record(&daemon));
    assert_eq!(daemon.pids("web"), [pid]);
}

#[test]
fn helpers_end_with_their_watcher() {
    if !can_run("helpers_end_with_their_watcher") {
        return;
    }
    let daemon = daemon(&WEB.replace("autostart = False\n", ""));
    daemon.wait_until("a helper", |daemon| helpers(daemon).len() == 1);
    daemon.wait_until("a line", |daemon| record(daemon).contains("hello"));
    daemon.ok("rm", json!({"name": "web", "waiting": true}));
    daemon.wait_until("its end", |daemon| helpers(daemon).is_empty());
    assert!(record(&daemon).ends_with("CLOSE\n"), "{}", record(&daemon));
    let said = fs::read_to_string(daemon.path("log")).unwrap();
    assert!(!said.contains("Traceback"), "{said}");
}

/// Takes lines; one that says `stay` is not dealt with before a file is there, and one that says `die` never is. Its
/// forked child holds whatever it holds.
const FRAGILE: &str = r#"
import os
import time

class Fragile:
    def __init__(self):
        if os.fork() == 0:
            time.sleep(1000)
        open("helpers", "a").write("%d\n" % os.getpid())

    def __call__(self, data):
        if b"stay" in data["data"]:
            open("begun", "a").write("begun\n")
            while not os.path.exists("go"):
                time.sleep(0.05)
        if b"die" in data["data"]:
            os._exit(3)
        open("taken", "ab").write(data["data"])
"#;

#[test]
fn what_a_helper_had_and_did_not_deal_with_goes_to_the_next() {
    if !can_run("what_a_helper_had_and_did_not_deal_with_goes_to_the_next") {
        return;
    }
    let daemon = Plan::new(
        "[watcher:web]\ncmd = tail -n +1 -f words\n\
         stdout_stream.class = fragile.Fragile\n",
    )
    .prepare();
    fs::write(daemon.path("fragile.py"), FRAGILE).unwrap();
    let mut words = fs::File::create(daemon.path("words")).unwrap();
    daemon.spawn_again();
    let read = |name: &str| fs::read_to_string(daemon.path(name)).unwrap_or_default();
    let mut say = |word: &str| {
        words.write_all(format!("{word}\n").as_bytes()).unwrap();
        // Each comes in a piece of its own.
        let logged = || daemon.ok("logs", json!({"name": "web", "max": 1}))["lines"][0]["text"] == word;
        daemon.wait_until(&format!("{word} to arrive"), |_| logged());
    };
    say("one");
    daemon.wait_until("the first line", |_| read("taken") == "one\n");
    ["stay", "two", "three"].into_iter().for_each(&mut say);
    daemon.wait_until("the class to be busy", |_| read("begun").lines().count() == 1);
    let helper = read("helpers").lines().last().unwrap().parse().unwrap();
    process::signal(helper, Signal::KILL);
    daemon.wait_until("the next one to be given it", |_| read("begun").lines().count() == 2);
    fs::write(daemon.path("go"), "").unwrap();
    daemon.wait_until("what came after it", |_| read("taken") == "one\nstay\ntwo\nthree\n");

    // What kills whoever takes it holds nothing up for ever.
    ["die", "four"].into_iter().for_each(&mut say);
    daemon.wait_until("what came after it", |_| read("taken").ends_with("three\nfour\n"));
    daemon.wait_log("helpers of `fragile.Fragile` died over the same output, which is left out (lines: 1)");
}

/// A class that never comes back, whatever asks it to.
const STUBBORN: &str = r#"
import signal
import time

class Stubborn:
    def __init__(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def __call__(self, data):
        open("called", "w").close()
        while True:
            time.sleep(1000)
"#;

#[test]
fn a_helper_that_hangs_and_is_not_needed_any_more_does_not_hold_up_the_end() {
    if !can_run("a_helper_that_hangs_and_is_not_needed_any_more_does_not_hold_up_the_end") {
        return;
    }
    let daemon = Plan::new(
        "[watcher:web]\ncmd = sh -c 'echo hello; exec sleep 1000'\nstdout_stream.class = stubborn.Stubborn\n",
    )
    .prepare();
    fs::write(daemon.path("stubborn.py"), STUBBORN).unwrap();
    daemon.spawn_again();
    daemon.wait_until("the class to hang", |daemon| daemon.path("called").exists());
    daemon.set("web", "stdout_stream", json!({"class": "QueueStream"}));
    let helper = helpers(&daemon)[0];
    daemon.ok("quit", json!({"waiting": true}));
    daemon.wait_end();
    assert!(!process::lives(helper));
}

/// A class that does not come back from its second call until a file is there.
const HANGING: &str = r#"
import os
import time

class Hanging:
    calls = 0

    def __call__(self, data):
        Hanging.calls += 1
        open("called", "a").write("%d\n" % Hanging.calls)
        while Hanging.calls > 1 and not os.path.exists("go"):
            time.sleep(0.05)
        open("taken", "ab").write(data["data"])
"#;

/// Prints numbered lines of some length, and writes down beside them how far it is.
const COUNTING: &str = "while :; do n=$((n+1)); printf '%01000d\\n' $n; echo $n >> $1.at; done\n";

#[test]
fn a_class_that_hangs_holds_back_its_own_watcher_and_nobody_else() {
    if !can_run("a_class_that_hangs_holds_back_its_own_watcher_and_nobody_else") {
        return;
    }
    let daemon = Plan::new(
        "[watcher:slow]\ncmd = sh counting.sh slow\nstdout_stream.class = hanging.Hanging\n\
         [watcher:quick]\ncmd = sh counting.sh quick\n\
         stdout_stream.class = FileStream\nstdout_stream.filename = quick.log\n",
    )
    .prepare();
    fs::write(daemon.path("hanging.py"), HANGING).unwrap();
    fs::write(daemon.path("counting.sh"), COUNTING).unwrap();
    daemon.spawn_again();
    let read = |name: &str| fs::read_to_string(daemon.path(name)).unwrap_or_default();
    let quick_lines = || read("quick.log").lines().count();
    let more_quick_lines = || {
        let before = quick_lines();
        daemon.wait_until("more lines of the quick one", |_| quick_lines() > before + 300);
    };
    daemon.wait_until("the class to hang", |_| read("called").lines().count() == 2);
    let slow = daemon.the_pid("slow");
    // Its process is held back as by any reader that does not read, while hundreds of lines of the other arrive.
    let held = daemon.wait_for("the slow one to be held back", |_| {
        let before = read("slow.at");
        more_quick_lines();
        (is_full(slow) && read("slow.at") == before).then_some(before)
    });

    for _ in 0..3 {
        more_quick_lines();
        assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], 2);
        assert_eq!(daemon.pids("slow"), [slow]);
    }
    let quick = daemon.the_pid("quick");
    daemon.done("restart", "quick");
    assert_ne!(daemon.the_pid("quick"), quick);
    more_quick_lines();
    assert_eq!((read("called").lines().count(), read("slow.at")), (2, held.clone()));

    // It comes back: the process goes on, and not a line was lost.
    fs::write(daemon.path("go"), "").unwrap();
    let printed = || read("slow.at").lines().count();
    daemon.wait_until("the slow one to go on", |_| printed() > held.lines().count() + 100);
    daemon.done("stop", "slow");
    daemon.wait_until("its last line", |_| read("taken").lines().count() >= printed());
    let taken = read("taken");
    let numbers = taken.lines().map(|line| line.parse::<usize>().unwrap());
    assert!(numbers.eq(1..=taken.lines().count()), "lines are lost");
}

/// Whether nothing more can be written to its stdout.
fn is_full(pid: i32) -> bool {
    let options = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(pipe) = open(format!("/proc/{pid}/fd/1"), options, Mode::empty()) else { return false };
    let mut polled = [PollFd::new(&pipe, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec::default())).unwrap();
    polled[0].revents().is_empty()
}
