//! The command line: the options before the command, and what is asked for.
//!
//! clap reads the options; the words of a command are read by the command table, since Circus lets its options
//! stand anywhere. The texts of usage errors are those of Circus.

use std::{ffi::OsString, time::Duration};

use circus_common::{
    config::python_text::repr_text,
    protocol::commands::{CommandSpec, find},
};
use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    render::Form,
    words::{Words, WordsError},
};

/// Where circusd listens unless told otherwise.
pub const DEFAULT_ENDPOINT: &str = "tcp://127.0.0.1:5555";
/// Where circusd publishes its events unless told otherwise.
pub const DEFAULT_PUBSUB_ENDPOINT: &str = "tcp://127.0.0.1:5556";

/// As long as anyone waits: clocks cannot add much more to the present.
const FOREVER: Duration = Duration::from_secs(365 * 86_400);

/// The options before the command.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "circusctl",
    about = "Controls a Circus daemon",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
pub struct Args {
    /// connection endpoint
    #[arg(long)]
    pub endpoint: Option<String>,
    /// Show help and exit
    #[arg(short, long)]
    pub help: bool,
    /// output to JSON
    #[arg(long)]
    pub json: bool,
    /// prettify output
    #[arg(long)]
    pub prettify: bool,
    /// SSH Server in the format user@host:port
    #[arg(long)]
    pub ssh: Option<String>,
    /// the path to the keyfile to authorise the user
    #[arg(long = "ssh_keyfile")]
    pub ssh_keyfile: Option<String>,
    /// connection timeout
    #[arg(long, default_value = "5", allow_negative_numbers = true)]
    pub timeout: i32,
    /// display version and exit
    #[arg(long)]
    pub version: bool,
    /// The command and what follows it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    words: Vec<String>,
}

/// What one call of circusctl is to do.
#[derive(Debug)]
pub enum Action {
    /// Print the version.
    Version,
    /// Print the commands and the options.
    Help,
    /// Print the documentation of a command.
    HelpOn(&'static CommandSpec),
    /// Print the usage of a command.
    UsageOf(&'static CommandSpec),
    /// Print a completion script.
    Completions(crate::completions::Shell),
    /// Read commands from the terminal or standard input.
    Shell,
    /// Carry out one command.
    Run(&'static CommandSpec, Words),
}

/// A command line that circusctl does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl From<WordsError> for UsageError {
    fn from(error: WordsError) -> Self {
        Self(error.to_string())
    }
}

impl Default for Args {
    /// What holds when nothing is said.
    fn default() -> Self {
        Self::parse_from(["circusctl"])
    }
}

impl Args {
    /// Reads a command line, the program's name first.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, UsageError> {
        Self::try_parse_from(args).map_err(|error| UsageError(in_circus_words(&error)))
    }

    /// How replies are to be printed.
    pub fn form(&self) -> Form {
        match (self.json, self.prettify) {
            (false, _) => Form::Text,
            (true, false) => Form::Json,
            (true, true) => Form::PrettyJson,
        }
    }

    /// How long an answer is awaited; a negative number means as long as it takes.
    pub fn patience(&self) -> Duration {
        u64::try_from(self.timeout).map_or(FOREVER, |seconds| Duration::from_secs(seconds).min(FOREVER))
    }

    /// What is asked for.
    pub fn action(&self) -> Result<Action, UsageError> {
        if self.version {
            return Ok(Action::Version);
        }
        let Some((first, rest)) = self.words.split_first() else {
            return Ok(if self.help { Action::Help } else { Action::Shell });
        };
        if first == "completions" {
            return completions(rest);
        }
        match find(first) {
            None => Err(self.unrecognized()),
            Some(spec) if self.help => Ok(Action::HelpOn(spec)),
            Some(spec) => run(spec, rest),
        }
    }

    /// Everything up to the first word that is a command.
    fn unrecognized(&self) -> UsageError {
        let strange: Vec<_> =
            self.words.iter().take_while(|word| find(word).is_none()).map(String::as_str).collect();
        UsageError(format!("unrecognized arguments: {}", strange.join(" ")))
    }
}

/// One command with its words; its usage if that is what they ask for.
pub fn run(spec: &'static CommandSpec, rest: &[String]) -> Result<Action, UsageError> {
    let words = Words::parse(spec, rest)?;
    Ok(if words.help { Action::UsageOf(spec) } else { Action::Run(spec, words) })
}

/// The options before the command with their value names and meanings, for the help text.
pub fn option_lines() -> Vec<(String, String)> {
    let command = Args::command();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    shown
        .filter_map(|arg| {
            let long = arg.get_long()?;
            let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
            let value = if arg.get_action().takes_values() {
                format!(" {}", long.to_uppercase())
            } else {
                String::new()
            };
            let meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
            Some((format!("{short}--{long}{value}"), meaning))
        })
        .collect()
}

fn completions(rest: &[String]) -> Result<Action, UsageError> {
    let expected = || UsageError("completions: expected one of bash, zsh, fish".to_owned());
    let [name] = rest else { return Err(expected()) };
    name.parse().map(Action::Completions).map_err(|_| expected())
}

/// clap's errors as Python's argparse words them.
fn in_circus_words(error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    // clap names an option with its value, as in `--timeout <TIMEOUT>`.
    let argument = text(ContextKind::InvalidArg);
    let option = argument.split(' ').next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    #[expect(clippy::wildcard_enum_match_arm, reason = "the kinds are clap's, and may grow")]
    match error.kind() {
        ErrorKind::UnknownArgument => format!("unrecognized arguments: {argument}"),
        ErrorKind::ValueValidation => format!("argument {option}: invalid int value: {}", repr_text(&value)),
        ErrorKind::InvalidValue => format!("argument {option}: expected one argument"),
        ErrorKind::TooManyValues => {
            format!("argument {option}: ignored explicit argument {}", repr_text(&value))
        }
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8".to_owned(),
        _ => error.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(line: &str) -> String {
        let words = std::iter::once("circusctl").chain(line.split_whitespace()).map(OsString::from);
        match Args::read(words).and_then(|args| args.action()) {
            Ok(Action::HelpOn(spec)) => format!("help on {}", spec.name),
            Ok(Action::UsageOf(spec)) => format!("usage of {}", spec.name),
            Ok(Action::Run(spec, words)) => format!("{} {:?}", spec.name, words.args),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_command_line_says_what_is_asked_for() {
        let table = [
            ("", "Shell"),
            ("--version", "Version"),
            ("--help", "Help"),
            ("-h", "Help"),
            ("--help list", "help on list"),
            ("list --help", "usage of list"),
            ("list -h", "usage of list"),
            ("--endpoint tcp://h:1 list", "list []"),
            ("--end tcp://h:1 --timeout -1 list web", "list [\"web\"]"),
            ("add n sleep -- -x", "add [\"n\", \"sleep\", \"-x\"]"),
            ("completions fish", "Completions(Fish)"),
        ];
        for (line, expected) in table {
            assert_eq!(action(line), expected, "{line}");
        }
    }

    #[test]
    fn usage_errors_have_the_texts_of_circus() {
        let table = [
            ("nope", "unrecognized arguments: nope"),
            ("--nope", "unrecognized arguments: --nope"),
            ("nope a b", "unrecognized arguments: nope a b"),
            ("--nope list", "unrecognized arguments: --nope"),
            ("list --nope", "unrecognized arguments: --nope"),
            ("list --json", "unrecognized arguments: --json"),
            ("--help nope", "unrecognized arguments: nope"),
            ("--timeout x list", "argument --timeout: invalid int value: 'x'"),
            ("--timeout", "argument --timeout: expected one argument"),
            ("--endpoint", "argument --endpoint: expected one argument"),
            ("--json=x list", "argument --json: ignored explicit argument 'x'"),
            ("kill web --signum", "argument --signum: expected one argument"),
            ("completions tcsh", "completions: expected one of bash, zsh, fish"),
        ];
        for (line, expected) in table {
            assert_eq!(action(line), expected, "{line}");
        }
    }

    #[test]
    fn a_timeout_below_zero_means_no_limit() {
        let patience = |line: &str| Args::read(line.split(' ').map(OsString::from)).unwrap().patience();
        assert_eq!(patience("circusctl --timeout -1"), FOREVER);
        assert_eq!(patience("circusctl"), Duration::from_secs(5));
    }
}
