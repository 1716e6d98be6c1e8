//! The command line of circus-top: what it prints without a daemon, and its exit codes.

use std::process::{Command, Output};

fn top(arguments: &[&str]) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("circus-top"));
    command.args(arguments).env_remove("CIRCUSCTL_ENDPOINT");
    #[expect(clippy::disallowed_methods, reason = "a test runs the program")]
    command.output().expect("circus-top is built beside its tests")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_version_is_printed_bare() {
    let output = top(&["--version"]);
    assert_eq!(text(&output.stdout), format!("{}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn help_names_every_option() {
    let output = top(&["--help"]);
    let help = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    let options = ["endpoint", "control", "ssh", "process-timeout", "read-only", "once", "json", "version"];
    for option in options {
        assert!(help.contains(&format!("--{option}")), "{option}");
    }
}

#[test]
fn wrong_arguments_are_a_usage_error() {
    for arguments in [&["--nope"][..], &["--endpoint", "nowhere"], &["--process-timeout", "-1"]] {
        let output = top(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn nobody_there_is_exit_code_1() {
    for form in ["--once", "--json"] {
        let output = top(&["--endpoint", "ipc:///nonexistent/stats", "--process-timeout", "0.1", form]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), "circus-top: no data from ipc:///nonexistent/stats\n");
    }
}
