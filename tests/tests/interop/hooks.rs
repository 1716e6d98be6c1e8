//! The same hooks and the same commands on our daemon and on Python's: calls and events come in the same order.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use circus_common::protocol::event::Seen;
use circus_tests::daemon::{Daemon, Plan, Recorder, process, programs::program, wait::wait_until};

use crate::{daemon::python, theirs::Circusd};

/// A hook that writes down what it is told, but for times and figures.
const MODULE: &str = r#"
import os

def trace(watcher, arbiter, hook_name, **told):
    told = [told[name] for name in ("pid", "process_pid", "signum", "exit_code") if name in told]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "trace"), "a") as out:
        out.write(" ".join([hook_name] + [str(int(it)) for it in told]) + "\n")
    return True
"#;

const HOOKS: [&str; 11] = [
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
    "extended_stats",
];

/// Something that is done to a daemon, and what comes of it.
struct Step {
    /// For circusctl; nothing is a worker that is killed.
    command: &'static [&'static str],
    /// What Python's daemon does: hooks with what they are told, and events with a `+`. Pids are numbered.
    theirs: &'static str,
    /// What ours does, where docs/hooks.md says that it differs.
    ours: Option<&'static str>,
}

const STORY: &[Step] = &[
    Step {
        command: &["start", "web", "--waiting"],
        theirs: "before_start before_spawn after_spawn(1) +spawn(1) after_start +start",
        ours: None,
    },
    Step { command: &["stats", "web", "--extended"], theirs: "extended_stats(1)", ours: None },
    Step {
        command: &["incr", "web", "--waiting"],
        theirs: "before_spawn after_spawn(2) +spawn(2)",
        ours: None,
    },
    Step {
        command: &["decr", "web", "--waiting"],
        theirs: "before_signal(1,15) after_signal(1,15) +kill(1)",
        // Every end is told.
        ours: Some(
            "before_signal(1,15) after_signal(1,15) +kill(1) before_reap(1) +reap(1,-15) after_reap(1,-15)",
        ),
    },
    Step { command: &["signal", "web", "18"], theirs: "before_signal(2,18) after_signal(2,18)", ours: None },
    Step {
        command: &["reload", "web", "--waiting"],
        theirs: "before_spawn after_spawn(3) +spawn(3) before_signal(2,15) after_signal(2,15) +kill(2) +reload",
        // Every end is told.
        ours: Some(
            "before_spawn after_spawn(3) +spawn(3) before_signal(2,15) after_signal(2,15) +kill(2) \
             before_reap(2) +reap(2,-15) after_reap(2,-15) +reload",
        ),
    },
    Step {
        command: &["restart", "web", "--waiting"],
        theirs: "before_stop before_signal(3,15) after_signal(3,15) +kill(3) before_reap(3) +reap(3,-15) \
                 after_reap(3,-15) +stop after_stop before_start before_spawn after_spawn(4) +spawn(4) \
                 after_start +start",
        ours: None,
    },
    Step {
        command: &["stop", "web", "--waiting"],
        theirs: "before_stop before_signal(4,15) after_signal(4,15) +kill(4) before_reap(4) +reap(4,-15) \
                 after_reap(4,-15) +stop after_stop",
        ours: None,
    },
    Step {
        command: &["start", "web", "--waiting"],
        theirs: "before_start before_spawn after_spawn(5) +spawn(5) after_start +start",
        ours: None,
    },
    Step {
        command: &[],
        theirs: "before_reap(5) +reap(5,-9) after_reap(5,-9) before_spawn after_spawn(6) +spawn(6)",
        // The next process does not wait for the hooks of the last.
        ours: Some("before_reap(5) +reap(5,-9) before_spawn after_reap(5,-9) after_spawn(6) +spawn(6)"),
    },
    Step {
        command: &["quit", "--waiting"],
        theirs: "before_stop before_signal(6,15) after_signal(6,15) +kill(6) before_reap(6) +reap(6,-15) \
                 after_reap(6,-15) +stop after_stop",
        ours: None,
    },
];

/// Keeps a daemon alive, and its directory.
#[expect(dead_code, reason = "they end with this value")]
enum Kept {
    Ours(Daemon),
    Theirs(Circusd, tempfile::TempDir),
}

/// A daemon with all hooks on a stopped `web`, and its events.
struct Side {
    _kept: Kept,
    endpoint: String,
    trace: PathBuf,
    events: Recorder,
}

/// What both run.
fn config() -> String {
    let hooks: Vec<String> = HOOKS.iter().map(|hook| format!("hooks.{hook} = tracing.trace\n")).collect();
    format!(
        "[circus]\ncheck_delay = 0.5\n[watcher:probe]\ncmd = sleep 1000\nautostart = False\n\
         [watcher:web]\ncmd = sleep 1000\nautostart = False\ngraceful_timeout = 30\n{}",
        hooks.concat()
    )
}

impl Side {
    fn ours(python: &Command) -> Self {
        let python = python.get_program().display();
        let daemon = Plan::new(&format!("[circus]\npython = {python}\n{}", config())).prepare();
        fs::write(daemon.path("tracing.py"), MODULE).unwrap();
        daemon.spawn();
        let events = format!("ipc://{}", daemon.path("events").display());
        let (endpoint, trace) = (daemon.endpoint(), daemon.path("trace"));
        Self::of(Kept::Ours(daemon), endpoint, events, trace)
    }

    fn theirs(mut python: Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tracing.py"), MODULE).unwrap();
        let at = |name: &str| format!("ipc://{}", directory.path().join(name).display());
        let (endpoint, events) = (at("control"), at("events"));
        let head = format!(
            "[circus]\nendpoint = {endpoint}\npubsub_endpoint = {events}\n\
             multicast_endpoint = udp://237.219.251.97:12998\n"
        );
        let text = config().replace("[circus]\n", &head);
        let circusd = Circusd::start(python.env("PYTHONPATH", directory.path()), directory.path(), &text);
        let trace = directory.path().join("trace");
        Self::of(Kept::Theirs(circusd, directory), endpoint, events, trace)
    }

    fn of(kept: Kept, endpoint: String, events: String, trace: PathBuf) -> Self {
        let side = Self { _kept: kept, endpoint, trace, events: Recorder::follow(events) };
        wait_until("a subscription", || {
            side.ctl(&["restart", "probe", "--waiting"]).status.success()
                && !side.events.of("probe").is_empty()
        });
        side
    }

    fn ctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new(program("circusctl"));
        command.args(["--timeout", "60", "--endpoint", &self.endpoint]);
        command.args(words).stdin(Stdio::null()).output().unwrap()
    }

    fn pids(&self) -> Vec<i32> {
        let said = String::from_utf8(self.ctl(&["list", "web"]).stdout).unwrap();
        said.trim().split(',').filter_map(|pid| pid.trim().parse().ok()).collect()
    }

    /// Does it, and waits until that has come of it.
    fn play(&self, step: &Step, expected: &str, numbers: &mut Numbers) {
        let (calls, events) = (lines(&self.trace).len(), self.events.of("web").len());
        match step.command {
            [] => process::kill(self.pids()[0]),
            words => {
                let output = self.ctl(words);
                assert!(output.status.success(), "{words:?}: {output:?}");
            }
        }
        let wanted: Vec<&str> = expected.split_whitespace().collect();
        let wanted_calls: Vec<&str> = wanted.iter().copied().filter(|word| !word.starts_with('+')).collect();
        let silent = |word: &&str| !word.starts_with("extended_stats");
        let wanted_events: Vec<&str> = wanted.iter().copied().filter(silent).map(without_details).collect();
        wait_until(&format!("all that comes of {:?}", step.command), || {
            lines(&self.trace).len() >= calls + wanted_calls.len()
                && self.events.of("web").len() >= events + wanted_events.len()
        });
        let told: Vec<String> = lines(&self.trace)[calls..].iter().map(|line| numbers.call(line)).collect();
        assert_eq!(told, wanted_calls, "calls of {:?}", step.command);
        let seen: Vec<String> = self.events.of("web")[events..].iter().map(|it| numbers.event(it)).collect();
        assert_eq!(seen, wanted_events, "events of {:?}", step.command);
    }
}

/// A hook's word as its event has it.
fn without_details(word: &str) -> &str {
    if word.starts_with('+') { word } else { word.split('(').next().unwrap_or(word) }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Pids by the order in which they appear.
#[derive(Default)]
struct Numbers(BTreeMap<i64, usize>);

impl Numbers {
    fn of(&mut self, pid: i64) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(pid).or_insert(next)
    }

    /// A line of the trace: `after_reap 123 -15` is `after_reap(1,-15)`.
    fn call(&mut self, line: &str) -> String {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let Some(pid) = words.next() else { return name.to_owned() };
        let told: Vec<String> = std::iter::once(self.of(pid.parse().unwrap()).to_string())
            .chain(words.map(str::to_owned))
            .collect();
        format!("{name}({})", told.join(","))
    }

    /// An event: that of a hook is its name, others begin with `+`.
    fn event(&mut self, seen: &Seen) -> String {
        if let Some(name) = seen.members.get("name") {
            return name.as_str().unwrap_or_default().to_owned();
        }
        let number = |key: &str| seen.members.get(key).and_then(serde_json::Value::as_i64);
        let Some(pid) = number("process_pid") else { return format!("+{}", seen.event) };
        let pid = self.of(pid);
        match number("exit_code") {
            Some(code) => format!("+{}({pid},{code})", seen.event),
            None => format!("+{}({pid})", seen.event),
        }
    }
}

#[test]
fn hooks_are_called_in_circus_order_but_for_what_is_documented() {
    let test = "hooks_are_called_in_circus_order_but_for_what_is_documented";
    let (Some(first), Some(second)) = (python(test), python(test)) else { return };
    let (ours, theirs) = (Side::ours(&first), Side::theirs(second));
    let (mut our_numbers, mut their_numbers) = (Numbers::default(), Numbers::default());
    for step in STORY {
        theirs.play(step, step.theirs, &mut their_numbers);
        ours.play(step, step.ours.unwrap_or(step.theirs), &mut our_numbers);
    }
}
