//! The command line without a daemon: help, usage errors, exit statuses, time-outs, completion.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpListener;

use assert_cmd::Command;

/// Exit status, stdout and stderr of one call.
fn circusctl(args: &[&str]) -> (i32, String, String) {
    finished(command().args(args))
}

fn command() -> Command {
    let mut command = Command::cargo_bin("circusctl").unwrap();
    command.env_remove("CIRCUSCTL_ENDPOINT").env_remove("AUTO_COMPLETE").env("NO_COLOR", "1");
    command
}

fn finished(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// An endpoint at which nobody listens; the listener only keeps the port from others while it is chosen.
fn closed_endpoint() -> String {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    format!("tcp://127.0.0.1:{port}")
}

const TIMED_OUT: &str = "\
Timed out.
A time out usually happens in one of those cases:

#1 The Circus daemon could not be reached.
#2 The Circus daemon took too long to perform the operation

For #1, make sure you are hitting the right place
by checking your --endpoint option.

For #2, if you are not expecting a result to
come back, increase your timeout option value
(particularly with waiting switches)
";

#[test]
fn the_version_is_printed_after_the_name() {
    let (code, stdout, stderr) = circusctl(&["--version"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout, format!("circusctl {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_goes_to_stdout_and_is_no_failure() {
    let table: [(&[&str], &str); 5] = [
        (
            &["--help"],
            "usage: circusctl [options] command [args]\n\nControls a Circus daemon\n\nCommands:\n  add ",
        ),
        (&["-h"], "usage: circusctl [options] command [args]\n\nControls a Circus daemon\n"),
        (&["--help", "list"], "Get list of watchers or processes in a watcher\n====="),
        (&["list", "--help"], "usage: circusctl [options] list [NAME]\n"),
        (&["signal", "-h"], "usage: circusctl [options] signal NAME"),
    ];
    for (args, start) in table {
        let (code, stdout, stderr) = circusctl(args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
        assert!(stdout.starts_with(start), "{args:?}: {stdout}");
    }
}

#[test]
fn a_usage_error_exits_with_2_and_says_what_is_wrong() {
    let table: [(&[&str], &str); 5] = [
        (&["nope"], "unrecognized arguments: nope"),
        (&["--nope"], "unrecognized arguments: --nope"),
        (&["list", "--nope"], "unrecognized arguments: --nope"),
        (&["--timeout", "x", "list"], "argument --timeout: invalid int value: 'x'"),
        (&["kill", "web", "--signum"], "argument --signum: expected one argument"),
    ];
    for (args, complaint) in table {
        let expected = format!("usage: circusctl [options] command [args]\ncircusctl: error: {complaint}\n");
        assert_eq!(circusctl(args), (2, String::new(), expected), "{args:?}");
    }
}

#[test]
fn wrong_arguments_exit_with_1_and_ask_no_daemon() {
    let table: [(&[&str], &str); 5] = [
        (&["incr"], "Invalid number of arguments"),
        (&["incr", "web", "x"], "NB must be an integer, not 'x'"),
        (&["status", "a", "b"], "message invalid: wrong number of arguments, expected `status [NAME]`"),
        (&["set", "web", "a", "b"], "unknown key 'a'"),
        (&["stop", "a", "b"], "Invalid number of arguments"),
    ];
    for (args, complaint) in table {
        assert_eq!(circusctl(args), (1, String::new(), format!("{complaint}\n")), "{args:?}");
    }
}

#[test]
fn without_an_answer_it_is_explained_what_that_may_mean() {
    let endpoint = closed_endpoint();
    let args = ["--endpoint", &endpoint, "--timeout", "0", "list"];
    assert_eq!(circusctl(&args), (1, String::new(), TIMED_OUT.to_owned()));
    let from_environment =
        finished(command().env("CIRCUSCTL_ENDPOINT", &endpoint).args(["--timeout", "0", "list"]));
    assert_eq!(from_environment, (1, String::new(), TIMED_OUT.to_owned()));
}

#[test]
fn without_an_answer_json_is_still_json() {
    let endpoint = closed_endpoint();
    let table = [
        (endpoint.as_str(), r#"{"status": "error", "reason": "Timed out.", "errno": null}"#),
        ("garbage", r#"{"status": "error", "reason": ""#),
    ];
    for (endpoint, start) in table {
        for command in [&["list"][..], &["status"], &["reloadconfig", "--plan"]] {
            let args = [&["--json", "--endpoint", endpoint, "--timeout", "0"], command].concat();
            let (code, stdout, stderr) = circusctl(&args);
            assert_eq!((code, stderr.as_str(), stdout.lines().count()), (1, "", 1), "{args:?}");
            assert!(stdout.starts_with(start), "{stdout}");
        }
    }
    let (code, stdout, _) =
        circusctl(&["--json", "--prettify", "--endpoint", &endpoint, "--timeout", "0", "list"]);
    assert_eq!(code, 1);
    assert_eq!(stdout, "{\n  \"errno\": null,\n  \"reason\": \"Timed out.\",\n  \"status\": \"error\"\n}\n");
}

#[test]
fn an_endpoint_that_is_none_is_one_line() {
    let (code, stdout, stderr) = circusctl(&["--endpoint", "garbage", "list"]);
    assert_eq!((code, stdout.as_str(), stderr.lines().count()), (1, "", 1), "{stderr}");
    assert!(stderr.contains("garbage"));
}

#[test]
fn a_tunnel_needs_a_tcp_endpoint_and_a_server() {
    let (code, _, stderr) = circusctl(&["--ssh", "host", "--endpoint", "ipc:///run/x", "list"]);
    assert_eq!(code, 1);
    assert_eq!(stderr, "cannot tunnel to ipc:///run/x: --ssh needs a tcp:// endpoint\n");
    let (code, _, stderr) = circusctl(&["--ssh=-oProxyCommand=x", "list"]);
    assert_eq!((code, stderr.contains("expected [user@]host[:port]")), (1, true), "{stderr}");
}

#[test]
fn the_shell_outlives_a_daemon_that_is_not_there() {
    let endpoint = closed_endpoint();
    let (code, stdout, stderr) = finished(
        command()
            .args(["--endpoint", &endpoint, "--timeout", "0"])
            .write_stdin("list\nfoo bar\nlist \"a\nlist --nope\nlist --help\nEOF\nlist\n"),
    );
    assert_eq!(code, 0);
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        stdout.starts_with(&format!(
            "circusctl {version}\n(circusctl) (circusctl) *** Unknown syntax: foo bar\n(circusctl) (circusctl) \
             (circusctl) usage: circusctl [options] list [NAME]\n"
        )),
        "{stdout}"
    );
    assert!(stdout.ends_with("(circusctl) \n"), "{stdout}");
    assert_eq!(stderr.matches("Timed out.").count(), 2);
    assert!(stderr.contains("No closing quotation") && stderr.contains("unrecognized arguments: --nope"));
}

#[test]
fn help_in_the_shell_comes_from_the_command_table() {
    let endpoint = closed_endpoint();
    let (code, stdout, _) = finished(
        command().args(["--endpoint", &endpoint, "--timeout", "0"]).write_stdin("help\n? list\nhelp nope\n"),
    );
    assert_eq!(code, 0);
    assert!(stdout.contains("Documented commands (type help <topic>):\n=====") && stdout.contains("\nEOF\n"));
    assert!(stdout.contains("Get list of watchers or processes in a watcher\n====="));
    assert!(stdout.contains("*** No help on nope\n"));
}

#[test]
fn commands_are_completed_by_the_protocol_of_circus() {
    let complete = |words: &str, place: &str| {
        finished(command().env("AUTO_COMPLETE", "1").env("COMP_WORDS", words).env("COMP_CWORD", place))
    };
    assert_eq!(complete("circusctl st", "1"), (1, "start stats status stop\n".to_owned(), String::new()));
    assert_eq!(complete("circusctl start w", "2"), (1, String::new(), String::new()));
}

#[test]
fn every_completion_script_is_accepted_by_its_shell() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let (code, script, _) = circusctl(&["completions", shell]);
        assert_eq!((code, script.contains("AUTO_COMPLETE=lines")), (0, true));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("script");
        std::fs::write(&file, script).unwrap();
        match Command::new(shell).arg(check).arg(&file).ok() {
            Ok(output) => assert!(output.stderr.is_empty(), "{shell}: {output:?}"),
            Err(error) if error.to_string().contains("No such file") => {
                assert!(std::env::var("CIRCUS_TESTS_REQUIRE").as_deref() != Ok("all"), "{shell} is missing");
                println!("SKIPPED every_completion_script_is_accepted_by_its_shell: needs {shell}");
            }
            Err(error) => panic!("{shell}: {error}"),
        }
    }
    assert_eq!(circusctl(&["completions", "tcsh"]).0, 2);
}

#[test]
fn bash_completes_through_the_script() {
    let script = circusctl(&["completions", "bash"]).1;
    let program = assert_cmd::cargo::cargo_bin("circusctl");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("script");
    std::fs::write(&file, script).unwrap();
    let line = format!(
        "source {}; COMP_WORDS=({} start --m); COMP_CWORD=2; _circusctl; echo \"${{COMPREPLY[@]}}\"",
        file.display(),
        program.display()
    );
    let output = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "--match\n");
}
