//! What a long life must leave as it was, squeezed into a short one by small limits.

use std::{collections::BTreeSet, fs};

use circus_tests::daemon::{Daemon, process};

/// As many reloads, and at least as many rotations.
const ROUNDS: usize = 1000;
/// Reloads after which everything that is allocated once has been.
const WARM_UP: usize = 100;
/// Lines of each process: more than one file takes.
const LINES: usize = 24;
/// Where they are.
const FILES: [&str; 4] = ["talk", "talk.1", "talk.2", "talk.3"];

#[test]
fn a_thousand_reloads_and_rotations_leave_nothing_over() {
    let daemon = Daemon::start(&format!(
        "[watcher:web]\nshell = True\nrespawn_healthy = 0\n\
         cmd = i=0; while [ $i -lt {LINES} ]; do echo line $i of a process that talks; i=$((i+1)); done; \
         exec sleep 1000\n\
         stdout_stream.class = FileStream\nstdout_stream.filename = talk\nstdout_stream.max_bytes = 500\n\
         stdout_stream.backup_count = 3\nstdout_stream.time_format = %H:%M:%S\nstdout_stream.log_ring = 4K\n",
    ));
    daemon.wait_pids("web", 1);
    reload(&daemon, WARM_UP);
    let before = Held::by(daemon.pid());
    reload(&daemon, ROUNDS);
    // A pipe is let go by the data plane a moment after its process.
    daemon.wait_until("no more descriptors than before", |daemon| {
        Held::by(daemon.pid()).descriptors <= before.descriptors
    });
    let after = Held::by(daemon.pid());
    assert!(after.threads <= before.threads, "{} threads, were {}", after.threads, before.threads);
    let bound = before.resident + before.resident / 10;
    assert!(after.resident <= bound, "{} bytes, were {}", after.resident, before.resident);
    files_are_whole(&daemon);
}

fn reload(daemon: &Daemon, times: usize) {
    for _ in 0..times {
        daemon.done("reload", "web");
    }
    // Its last line is in a file: nothing is rolled over any more, and everything is open that stays so.
    let last = format!("[{}] | line {} of", daemon.the_pid("web"), LINES - 1);
    daemon.wait_until("the last line", |daemon| {
        FILES.iter().any(|name| fs::read_to_string(daemon.path(name)).is_ok_and(|text| text.contains(&last)))
    });
}

/// What circusd holds.
struct Held {
    descriptors: usize,
    threads: usize,
    resident: u64,
}

impl Held {
    fn by(pid: i32) -> Self {
        Self {
            descriptors: process::descriptors(pid).len(),
            threads: fs::read_dir(format!("/proc/{pid}/task")).unwrap().count(),
            resident: process::resident(pid),
        }
    }
}

/// Three old files and the present one, each no larger than allowed, and every line as it was written.
fn files_are_whole(daemon: &Daemon) {
    let lines: BTreeSet<String> = (0..LINES).map(|it| format!("line {it} of a process that talks")).collect();
    for name in FILES {
        let text = fs::read_to_string(daemon.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        for line in text.lines() {
            let (_, said) = line.split_once("] | ").unwrap_or_else(|| panic!("{name}: {line:?}"));
            assert!(lines.contains(said), "{name}: {line:?}");
        }
    }
    assert!(!daemon.path("talk.4").exists());
}
