//! The program circus-plugin: what it prints without a daemon, and its exit codes.

use std::process::{Command, Output};

fn plugin(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_circus-plugin"));
    #[expect(clippy::disallowed_methods, reason = "a test runs the program")]
    command.args(arguments).output().expect("circus-plugin is built beside its tests")
}

#[test]
fn version_help_and_usage_are_printed_without_a_daemon() {
    let version = plugin(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.status.code(), Some(0));
    let usage = plugin(&[]);
    assert!(String::from_utf8_lossy(&usage.stdout).starts_with("Usage: circus-plugin"));
    assert_eq!(usage.status.code(), Some(0));
    let help = plugin(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    assert_eq!(help.status.code(), Some(0));
    for option in ["endpoint", "pubsub", "config", "check-delay", "log-level", "log-output", "ssh", "version"]
    {
        assert!(text.contains(&format!("--{option}")), "{option}");
    }
}

#[test]
fn a_misspelt_plugin_is_a_usage_error_that_names_the_right_one() {
    let output = plugin(&["Flaping"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("Flapping"), "{text}");
}

#[test]
fn a_plugin_without_its_mandatory_option_says_so() {
    let output = plugin(&["ResourceWatcher"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("watcher is mandatory"), "{text}");
}
