//! The program circusd-stats: what it prints without a daemon, and its exit codes.

use std::process::{Command, Output};

fn stats(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circusd-stats"));
    #[expect(clippy::disallowed_methods, reason = "a test runs the program")]
    command.args(arguments).output().expect("circusd-stats is built beside its tests")
}

#[test]
fn version_and_help_are_printed_without_a_daemon() {
    let version = stats(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.status.code(), Some(0));
    let help = stats(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    assert_eq!(help.status.code(), Some(0));
    for option in ["endpoint", "pubsub", "statspoint", "log-level", "log-output", "ssh", "version"] {
        assert!(text.contains(&format!("--{option}")), "{option}");
    }
}

#[test]
fn wrong_arguments_are_a_usage_error() {
    for arguments in [&["--nope"][..], &["word"], &["--endpoint"]] {
        let output = stats(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_endpoint_that_is_none_is_named() {
    let output = stats(&["--statspoint", "nowhere"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("circusd-stats: ") && text.contains("nowhere"), "{text}");
}
