//! `--daemon` as the one who starts it sees it: exit code, text, and what becomes of the daemon.
//!
//! A test of the usual kind runs on a thread, and a process with threads cannot go into the background. So this
//! program has a `main` of its own: started with a marker in its environment it is the daemon, else it runs the tests.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "a test may run a program and watch the clock")]

use std::{
    env, fs,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use circusd::os::daemonize::daemonize;

/// Set for the process that is to be the daemon.
const MARKER: &str = "CIRCUS_TEST_BACKGROUND";

const TESTS: [(&str, fn()); 4] = [
    (
        "a_daemon_that_is_ready_ends_its_parent_with_success",
        a_daemon_that_is_ready_ends_its_parent_with_success,
    ),
    (
        "a_daemon_that_fails_ends_its_parent_with_its_code_and_text",
        a_daemon_that_fails_ends_its_parent_with_its_code_and_text,
    ),
    ("a_failure_is_never_a_success", a_failure_is_never_a_success),
    (
        "a_daemon_that_dies_without_a_word_ends_its_parent_with_an_error",
        a_daemon_that_dies_without_a_word_ends_its_parent_with_an_error,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if env::var_os(MARKER).is_some() {
        return daemon(&arguments);
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let wanted: Vec<_> = arguments.iter().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, test) in TESTS {
        let chosen = wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
        match (has("--list"), has("--ignored")) {
            (true, false) => println!("{name}: test"),
            // Its panic ends the program, and the run with it.
            (false, false) if chosen => {
                test();
                println!("test {name} ... ok");
            }
            (_, true) | (false, false) => {}
        }
    }
    ExitCode::SUCCESS
}

/// Goes into the background and does there what its arguments say.
fn daemon(arguments: &[String]) -> ExitCode {
    let mut readiness = match daemonize(&[]) {
        Ok(readiness) => readiness,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, file, "ready"] => {
            // Found before the terminal is left: descriptors 0 to 2 and the pipe.
            let inherited = descriptors();
            let left = readiness.ready();
            let text = format!("{} {inherited} {}", left.is_ok(), state());
            // Renamed into place, so that who waits for it finds all of it.
            let part = format!("{file}.part");
            fs::write(&part, text).and_then(|()| fs::rename(&part, file)).is_ok()
        }
        [_, _, "failed", text, code] => {
            readiness.failed(text, code.parse().unwrap_or(9));
            true
        }
        _ => false,
    };
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn descriptors() -> usize {
    // One more is the directory itself.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// Where descriptors 0 to 2 lead, and whether it leads a session (then it could get a terminal).
fn state() -> String {
    let links: Vec<PathBuf> =
        (0..=2).filter_map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).ok()).collect();
    let leads = nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid());
    format!("{links:?} leader={leads}")
}

fn run(file: &Path, arguments: &[&str]) -> Output {
    let program = env::current_exe().unwrap();
    Command::new(program).env(MARKER, "1").arg(file).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Waits for the file the daemon writes.
fn written(file: &Path) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        if let Ok(text) = fs::read_to_string(file) {
            return text;
        }
        thread::yield_now();
    }
    panic!("the daemon wrote nothing to {}", file.display());
}

fn a_daemon_that_is_ready_ends_its_parent_with_success() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    // Left open by mistake, without CLOEXEC: the daemon must not keep it.
    let leak = fs::File::open("/dev/zero").unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    assert!(leak.as_raw_fd() > 2);
    let output = run(&file, &["ready"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    // Four descriptors: 0 to 2 and the pipe to the parent.
    assert_eq!(written(&file), r#"true 4 ["/dev/null", "/dev/null", "/dev/null"] leader=false"#);
}

fn a_daemon_that_fails_ends_its_parent_with_its_code_and_text() {
    let output = run(Path::new("-"), &["failed", "cannot bind tcp://127.0.0.1:5555", "3"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "circusd: cannot bind tcp://127.0.0.1:5555\n");
}

fn a_failure_is_never_a_success() {
    assert_eq!(run(Path::new("-"), &["failed", "x", "0"]).status.code(), Some(1));
}

fn a_daemon_that_dies_without_a_word_ends_its_parent_with_an_error() {
    let output = run(Path::new("-"), &["silent"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "circusd: the daemon ended before it was ready\n");
}
