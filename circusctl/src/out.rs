//! What is printed, and the exit status. A reader that went away is no reason to panic.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use circus_common::visible;

/// How a command ended; the numbers are those of Circus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// It was done.
    Done = 0,
    /// Wrong arguments, no answer, or interrupted.
    Failed = 1,
    /// No such command or option.
    Usage = 2,
    /// The daemon refused.
    Refused = 3,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(outcome as u8)
    }
}

/// Prints a text and a newline on stdout, at once. A terminal is shown names and reasons of others and obeys none of
/// them; whatever else reads gets what the daemon said.
///
/// # Errors
/// When nobody reads any more.
pub fn say(text: &str) -> io::Result<()> {
    let shown = if on_terminal() { visible::lines(text) } else { text.into() };
    put(&format!("{shown}\n"))
}

/// Prints a text on stdout as it stands, at once. What a reply holds is passed on byte for byte.
///
/// # Errors
/// When nobody reads any more.
pub fn put(text: &str) -> io::Result<()> {
    write(&mut io::stdout().lock(), text)
}

/// Prints a text of ours and a newline; its colours are dropped where they are not wanted.
///
/// # Errors
/// When nobody reads any more.
pub fn show(text: &str) -> io::Result<()> {
    write(&mut anstream::stdout().lock(), &format!("{text}\n"))
}

fn write(stdout: &mut impl io::Write, text: &str) -> io::Result<()> {
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Prints a text and a newline on stderr. There is nobody to tell when that fails.
pub fn complain(text: &str) {
    let mut stderr = io::stderr().lock();
    let shown = if stderr.is_terminal() { visible::lines(text) } else { text.into() };
    _ = writeln!(stderr, "{shown}");
}

/// Ends the line in which a terminal has shown the `^C` that was typed: whatever follows would stand behind it, or over it.
pub fn end_line() {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        complain("");
    }
}

/// Whether colours are wanted on stdout: it is a terminal, and NO_COLOR and its like do not forbid them.
pub fn wants_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether stdout is a terminal.
pub fn on_terminal() -> bool {
    io::stdout().is_terminal()
}
