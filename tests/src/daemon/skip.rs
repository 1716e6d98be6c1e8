//! A test that lacks a program or a privilege says so and passes, except where everything is required.

use std::{
    env,
    process::{Command, Stdio},
};

/// Says that a test cannot be made here; the test then returns.
///
/// # Panics
/// When `CIRCUS_TESTS_REQUIRE` is `all` and `CIRCUS_TESTS_WITHOUT` does not name what is needed.
pub fn skipped(test: &str, needs: &str) {
    let required = env::var("CIRCUS_TESTS_REQUIRE").is_ok_and(|value| value == "all");
    let without = env::var("CIRCUS_TESTS_WITHOUT").unwrap_or_default();
    let excused = without.split_ascii_whitespace().any(|name| name == needs);
    assert!(!required || excused, "{test} needs {needs}, and CIRCUS_TESTS_REQUIRE is `all`");
    eprintln!("SKIPPED {test}: needs {needs}");
}

/// Whether this process is root; else the test is skipped.
#[must_use]
pub fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(test, "root");
    }
    root
}

/// Whether that command runs and succeeds; else the test is skipped.
#[must_use]
pub fn can_run(test: &str, command: &[&str]) -> bool {
    let (program, arguments) = command.split_first().expect("a command has a program");
    let done = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !done {
        skipped(test, program);
    }
    done
}

/// Whether the long tests were asked for.
#[must_use]
pub fn long() -> bool {
    env::var("CIRCUS_TESTS").is_ok_and(|value| value == "long")
}
