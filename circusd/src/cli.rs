//! The command line of circusd: arguments to what is to be done, nothing else.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{CommandFactory, Parser, builder::PossibleValuesParser, error::ErrorKind};

use crate::log::Settings;

/// Choices of `--log-level`, as Circus lists them.
const LEVELS: [&str; 10] =
    ["critical", "error", "warning", "info", "debug", "CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"];

#[derive(Debug, Parser)]
#[command(
    name = "circusd",
    about = "Run some watchers.",
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
struct Arguments {
    /// Configuration file
    config: Option<PathBuf>,

    /// Log level; overrides the one in the file
    #[arg(long, value_name = "LEVEL", hide_possible_values = true, value_parser = PossibleValuesParser::new(LEVELS))]
    log_level: Option<String>,

    /// Where the log goes: a file, `syslog://HOST[:PORT]?FACILITY`, `syslog:///PATH?FACILITY`, or `-` for stderr
    #[arg(long, value_name = "OUTPUT")]
    log_output: Option<String>,

    /// A Python logging configuration (.ini or .json); level, file and format are taken from it
    #[arg(long, value_name = "FILE")]
    logger_config: Option<String>,

    /// Start circusd in the background; return when it is ready, or with the error
    #[arg(long)]
    daemon: bool,

    /// Where the pid is written; overrides the one in the file
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,

    /// Show the version and exit
    #[arg(long)]
    version: bool,

    /// Check the configuration file, show what would start, and exit
    #[arg(long, requires = "config", conflicts_with_all = ["init", "daemon"])]
    check: bool,

    /// Write a configuration to start from, to the file given or to stdout, and exit
    #[arg(long, conflicts_with = "daemon")]
    init: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Print this on stdout and exit with 0: the version or the usage.
    Print(String),
    /// Check this file.
    Check(PathBuf),
    /// Write a first configuration to this file, or to stdout.
    Init(Option<PathBuf>),
    /// Run.
    Run(RunOptions),
}

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// The configuration file.
    pub config: PathBuf,
    /// What the command line says about the log: comes before the file.
    pub log: Settings,
    /// Whether to go into the background.
    pub daemon: bool,
    /// Where the pid is written: comes before the file.
    pub pidfile: Option<PathBuf>,
}

/// There is no configuration file of that name.
#[derive(Debug, thiserror::Error)]
#[error("the configuration file '{}' does not exist", path.display())]
pub struct MissingConfig {
    path: PathBuf,
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
        return Ok(Action::Print(format!("{}\n", env!("CARGO_PKG_VERSION"))));
    }
    if given.init {
        return Ok(Action::Init(given.config));
    }
    let Some(config) = given.config else {
        return Ok(Action::Print(format!("{}\n", Arguments::command().render_usage())));
    };
    if config.as_os_str().is_empty() {
        return Err(Arguments::command().error(ErrorKind::InvalidValue, "the configuration file has no name"));
    }
    if given.check {
        return Ok(Action::Check(config));
    }
    let log = Settings { level: given.log_level, output: given.log_output, config: given.logger_config };
    Ok(Action::Run(RunOptions { config, log, daemon: given.daemon, pidfile: given.pidfile }))
}

/// Says whether there is a configuration file at all, before anything else is done with it.
///
/// # Errors
/// There is none.
pub fn config_exists(path: &Path) -> Result<(), MissingConfig> {
    if path.exists() { Ok(()) } else { Err(MissingConfig { path: path.to_owned() }) }
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
        parse(std::iter::once("circusd").chain(line.split_whitespace()))
    }

    fn run(line: &str) -> RunOptions {
        match given(line).unwrap() {
            Action::Run(options) => options,
            other @ (Action::Print(_) | Action::Check(_) | Action::Init(_)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_version_is_printed_bare() {
        let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(given("--version").unwrap(), Action::Print(version.clone()));
        assert_eq!(given("--version circus.ini --daemon").unwrap(), Action::Print(version));
    }

    #[test]
    fn without_a_configuration_the_usage_is_printed() {
        for line in ["", "--daemon", "--pidfile x"] {
            let Action::Print(usage) = given(line).unwrap() else { panic!("{line}") };
            assert!(usage.starts_with("Usage: circusd [OPTIONS] [CONFIG]"), "{usage}");
        }
    }

    #[test]
    fn every_option_reaches_the_one_who_runs() {
        let line =
            "--log-level DEBUG --log-output=x.log --logger-config l.ini --daemon --pidfile p.pid circus.ini";
        let options = RunOptions {
            config: PathBuf::from("circus.ini"),
            log: Settings {
                level: Some("DEBUG".to_owned()),
                output: Some("x.log".to_owned()),
                config: Some("l.ini".to_owned()),
            },
            daemon: true,
            pidfile: Some(PathBuf::from("p.pid")),
        };
        assert_eq!(run(line), options);
        assert_eq!(run("circus.ini").log, Settings::default());
    }

    #[test]
    fn options_may_be_shortened_and_repeated_as_in_python() {
        let options = run("--log-l info --log-l debug --log-o - --dae circus.ini");
        assert_eq!(options.log.level.as_deref(), Some("debug"));
        assert_eq!(options.log.output.as_deref(), Some("-"));
        assert!(options.daemon);
    }

    #[test]
    fn levels_are_lower_or_upper_case() {
        for level in LEVELS {
            assert_eq!(run(&format!("--log-level {level} c")).log.level.as_deref(), Some(level));
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "--log-level Info c",
            "--log-level loud c",
            "--nope",
            "a b",
            "--pidfile",
            "--check",
            "--check --init c",
        ] {
            assert_eq!(given(line).unwrap_err().exit_code(), 2, "{line}");
        }
        assert_eq!(parse(["circusd", ""]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn help_is_no_error() {
        assert_eq!(given("-h").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn check_and_init_are_actions_of_their_own() {
        assert_eq!(given("--check c.ini").unwrap(), Action::Check(PathBuf::from("c.ini")));
        assert_eq!(given("--init").unwrap(), Action::Init(None));
        assert_eq!(given("--init c.ini").unwrap(), Action::Init(Some(PathBuf::from("c.ini"))));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = config_exists(Path::new("/nowhere/x.ini")).unwrap_err();
        assert_eq!(error.to_string(), "the configuration file '/nowhere/x.ini' does not exist");
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }
}
