//! circus-top in a real terminal, on real daemons: ours and Python's.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test runs programs and waits for them"
)]

mod live;
mod panic;
mod python;

use std::process::{Command, Stdio};

use circus_tests::{daemon::programs::program, terminal::Terminal};

/// circus-top in a terminal of that many lines and columns.
fn top(arguments: &[&str], lines: u16, columns: u16) -> Terminal {
    Terminal::program("circus-top", arguments, lines, columns)
}

/// Runs circus-top to its end: exit code, stdout, stderr.
fn output(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program("circus-top"));
    command.args(arguments).env_remove("CIRCUSCTL_ENDPOINT").stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}
