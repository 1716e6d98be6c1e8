//! The command line of circus-plugin: arguments to what is to be done, nothing else.

use std::ffi::OsString;

use circus_common::config::plugin::{builtin::Uses, codec};
use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::options::Options;

#[derive(Debug, Parser)]
#[command(
    name = "circus-plugin",
    about = "Runs a plugin.",
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
struct Arguments {
    /// The plugin: a built-in one, the full name of a Python class, or `exec:PROGRAM ARGUMENTS`
    plugin: Option<String>,

    /// The circusd ZeroMQ socket to connect to
    #[arg(long, default_value = "tcp://127.0.0.1:5555")]
    endpoint: String,

    /// The circusd ZeroMQ pub/sub socket to connect to
    #[arg(long, default_value = "tcp://127.0.0.1:5556")]
    pubsub: String,

    /// Where circusd publishes the events that Circus does not have
    #[arg(long, value_name = "ENDPOINT")]
    events: Option<String>,

    /// The options of the plugin: `key:value`, divided by `:::`
    #[arg(long)]
    config: Option<String>,

    /// The options of the plugin as a JSON object; before those of --config
    #[arg(long, value_name = "JSON")]
    config_json: Option<String>,

    /// circusd's check_delay
    #[arg(long, default_value = "5.0", allow_negative_numbers = true)]
    check_delay: f64,

    /// The interpreter of a Python class
    #[arg(long, default_value = "python3")]
    python: String,

    /// Log level: debug, info, warning, error or critical
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,

    /// Where the log goes: a file, `syslog://...`, or `-` for stderr
    #[arg(long, value_name = "OUTPUT", default_value = "-")]
    log_output: String,

    /// SSH server in the format user@host:port
    #[arg(long)]
    ssh: Option<String>,

    /// Show the version and exit
    #[arg(long)]
    version: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Print this on stdout and exit with 0: the version or the usage.
    Print(String),
    /// Run a plugin.
    Run(Box<Job>),
}

/// A plugin to be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What runs it.
    pub uses: Uses,
    /// Where circusd takes commands.
    pub endpoint: String,
    /// Where it publishes events.
    pub pubsub: String,
    /// Where it publishes the events that Circus does not have.
    pub events: Option<String>,
    /// circusd's `check_delay`; never 0 or less.
    pub check_delay: f64,
    /// The options of the plugin.
    pub options: Options,
    /// The interpreter of a Python class.
    pub python: String,
    /// How much is logged.
    pub log_level: String,
    /// Where to.
    pub log_output: String,
    /// The way to circusd, if it is on another machine.
    pub ssh: Option<String>,
}

/// What stands for a `check_delay` that is none.
const CHECK_DELAY: f64 = 5.0;

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
    let Some(plugin) = given.plugin else {
        return Ok(Action::Print(format!("{}\n", Arguments::command().render_usage())));
    };
    let wrong = |message: String| Arguments::command().error(ErrorKind::InvalidValue, message);
    let uses = Uses::parse(&plugin).map_err(wrong)?;
    let mut options = given.config.as_deref().map(codec::decode).unwrap_or_default();
    if let Some(json) = &given.config_json {
        options.extend(codec::decode_json(json).map_err(|reason| wrong(format!("--config-json: {reason}")))?);
    }
    let is_delay = given.check_delay.is_finite() && given.check_delay > 0.0;
    Ok(Action::Run(Box::new(Job {
        uses,
        endpoint: given.endpoint,
        pubsub: given.pubsub,
        events: given.events,
        check_delay: if is_delay { given.check_delay } else { CHECK_DELAY },
        options: Options::new(options),
        python: given.python,
        log_level: given.log_level,
        log_output: given.log_output,
        ssh: given.ssh,
    })))
}

/// The command itself, for help pages and completion scripts.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use circus_common::config::plugin::builtin::Builtin;

    use super::*;

    fn given(words: &[&str]) -> Result<Action, clap::Error> {
        parse(std::iter::once("circus-plugin").chain(words.iter().copied()))
    }

    fn job(words: &[&str]) -> Job {
        match given(words).unwrap() {
            Action::Run(job) => *job,
            Action::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn without_a_plugin_the_usage_is_printed() {
        let Action::Print(usage) = given(&["--endpoint", "x"]).unwrap() else { panic!("it runs") };
        assert!(usage.starts_with("Usage: circus-plugin [OPTIONS] [PLUGIN]"), "{usage}");
        let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(given(&["--version"]).unwrap(), Action::Print(version));
    }

    #[test]
    fn the_recorded_command_line_is_understood() {
        let job = job(&[
            "--endpoint",
            "tcp://127.0.0.1:20340",
            "--pubsub",
            "tcp://127.0.0.1:20341",
            "--config",
            "__name__:plugin:flapping:::max_retry:2:::name:plugin:flapping:::retry_in:2:::window:3",
            "--log-level",
            "info",
            "--log-output",
            "RUN/all.log",
            "circus.plugins.flapping.Flapping",
        ]);
        assert_eq!(job.uses, Uses::Builtin(Builtin::Flapping));
        assert_eq!(
            (job.options.given("window"), job.options.given("name")),
            (Some("3"), Some("plugin:flapping"))
        );
        assert_eq!((job.endpoint.as_str(), job.check_delay), ("tcp://127.0.0.1:20340", 5.0));
    }

    #[test]
    fn json_comes_before_the_other_form() {
        let job = job(&["--config", "a:1:::b:2", "--config-json", r#"{"b": "x:::y"}"#, "my.Class"]);
        assert_eq!((job.options.given("a"), job.options.given("b")), (Some("1"), Some("x:::y")));
    }

    #[test]
    fn a_check_delay_that_is_none_is_the_usual_one() {
        for (text, delay) in [("2.5", 2.5), ("0", 5.0), ("-1", 5.0), ("nan", 5.0)] {
            assert_eq!(
                job(&["--check-delay", text, "Flapping"]).check_delay.total_cmp(&delay),
                std::cmp::Ordering::Equal,
                "{text}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for words in [
            &["Flaping"][..],
            &["--check-delay", "x", "Flapping"],
            &["--config-json", "[]", "Flapping"],
            &["--nope"],
        ] {
            assert_eq!(given(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn the_definition_holds_together() {
        command().debug_assert();
    }
}
