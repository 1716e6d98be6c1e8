//! The command line of circusd-stats: arguments to what is to be done, nothing else.

use std::ffi::OsString;

use circus_common::log::Settings;
use clap::{CommandFactory, Parser};

#[derive(Debug, Parser)]
#[command(
    name = "circusd-stats",
    about = "Runs the stats aggregator for Circus",
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
struct Arguments {
    /// Where circusd receives commands
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5555")]
    endpoint: String,

    /// Where circusd publishes events
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5556")]
    pubsub: String,

    /// Where to publish the statistics
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5557")]
    statspoint: String,

    /// Log level: debug, info, warning, error or critical
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// Where the log goes: a file, `syslog://HOST[:PORT]?FACILITY`, `syslog:///PATH?FACILITY`, or `-` for stderr
    #[arg(long, value_name = "OUTPUT", default_value = "-")]
    log_output: String,

    /// Reach circusd through this ssh server
    #[arg(long, value_name = "[USER@]HOST[:PORT]")]
    ssh: Option<String>,

    /// Show the version and exit
    #[arg(long)]
    version: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Print this on stdout and exit with 0.
    Version(String),
    /// Run.
    Run(Options),
}

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// circusd's control endpoint, as the ssh server sees it if there is one.
    pub endpoint: String,
    /// circusd's event endpoint, likewise.
    pub pubsub: String,
    /// The endpoint to publish on.
    pub statspoint: String,
    /// The ssh server.
    pub ssh: Option<String>,
    /// The log.
    pub log: Settings,
}

/// Reads the command line, the program's name first. Help, and what cannot be understood, come as an error that
/// prints itself and knows its exit code (`clap::Error::exit`).
///
/// # Errors
/// Help was asked for, or the arguments make no sense.
pub fn parse<I>(arguments: I) -> Result<Action, clap::Error>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let given = Arguments::try_parse_from(arguments)?;
    if given.version {
        return Ok(Action::Version(format!("{}\n", env!("CARGO_PKG_VERSION"))));
    }
    let log = Settings { level: Some(given.log_level), output: Some(given.log_output), config: None };
    Ok(Action::Run(Options {
        endpoint: given.endpoint,
        pubsub: given.pubsub,
        statspoint: given.statspoint,
        ssh: given.ssh.filter(|server| !server.is_empty()),
        log,
    }))
}

/// The command itself, for help pages and completion scripts.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<Action, clap::Error> {
        parse(std::iter::once("circusd-stats").chain(line.split_whitespace()))
    }

    fn run(line: &str) -> Options {
        match given(line).unwrap() {
            Action::Run(options) => options,
            Action::Version(text) => panic!("{text}"),
        }
    }

    #[test]
    fn the_defaults_are_circus_ports_and_stderr() {
        let options = run("");
        assert_eq!(
            (options.endpoint.as_str(), options.pubsub.as_str(), options.statspoint.as_str()),
            ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556", "tcp://127.0.0.1:5557")
        );
        assert_eq!((options.log.level.as_deref(), options.log.output.as_deref()), (Some("info"), Some("-")));
        assert_eq!(options.ssh, None);
    }

    #[test]
    fn options_may_be_shortened_and_repeated_as_in_python() {
        let options =
            run("--end a --endpoint ipc:///c --pub p --stats s --log-l DEBUG --log-o f --ssh u@h:22");
        assert_eq!((options.endpoint.as_str(), options.ssh.as_deref()), ("ipc:///c", Some("u@h:22")));
        assert_eq!(options.log.level.as_deref(), Some("DEBUG"));
    }

    #[test]
    fn the_version_is_printed_bare() {
        assert_eq!(given("--version").unwrap(), Action::Version(format!("{}\n", env!("CARGO_PKG_VERSION"))));
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in ["word", "--nope", "--endpoint"] {
            assert_eq!(given(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(given("--help").unwrap_err().exit_code(), 0);
        command().debug_assert();
    }
}
