//! The command line: arguments to what is to be done, nothing else.

use std::{ffi::OsString, time::Duration};

use circus_common::config::endpoint::Endpoint;
use clap::{CommandFactory, Parser, error::ErrorKind};

use crate::conn::Address;

/// Where circusd-stats publishes unless told otherwise.
pub const DEFAULT_ENDPOINT: &str = "tcp://127.0.0.1:5557";

/// The longest time-out; no process is remembered longer after it fell silent.
const LONGEST_TIMEOUT: f64 = 86_400.0;

#[derive(Debug, Parser)]
#[command(
    name = "circus-top",
    about = "Shows what Circus daemons run: watchers, processes, sockets and events, as they happen",
    after_help = "Keys: ? shows them. The statistics come from circusd-stats: set `statsd = True` in [circus].",
    disable_version_flag = true,
    infer_long_args = true
)]
struct Arguments {
    /// Where the statistics are published; give it again for each further host
    #[arg(long, value_name = "ENDPOINT", default_value = DEFAULT_ENDPOINT)]
    endpoint: Vec<String>,

    /// Where circusd takes commands: the nth belongs to the nth endpoint. Without it circus-top looks at
    /// CIRCUSCTL_ENDPOINT and at port 5555, and takes the one that names this statistics endpoint
    #[arg(long, value_name = "ENDPOINT")]
    control: Vec<String>,

    /// Reach the daemon through this ssh server: the nth for the nth endpoint, a single one for all
    #[arg(long, value_name = "[USER@]HOST[:PORT]")]
    ssh: Vec<String>,

    /// Forget a process that was not heard of for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    process_timeout: Duration,

    /// Change nothing, whatever key is pressed
    #[arg(long)]
    read_only: bool,

    /// Print one frame as text and exit; exit code 1 when there is no data
    #[arg(long)]
    once: bool,

    /// Print one frame as JSON and exit; exit code 1 when there is no data
    #[arg(long)]
    json: bool,

    /// Show the version and exit
    #[arg(long)]
    version: bool,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// Print this on stdout and exit with 0.
    Version(String),
    /// Run.
    Run(Options),
}

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the daemons are.
    pub addresses: Vec<Address>,
    /// When a silent process is forgotten.
    pub process_timeout: Duration,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// In which form.
    pub form: Form,
}

/// In which form the picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// On the whole screen, until told to leave.
    Live,
    /// Once, as text.
    Text,
    /// Once, as JSON.
    Json,
}

/// Reads the command line, the program's name first. Help, and what cannot be understood, come as an error that
/// prints itself and knows its exit code (`clap::Error::exit`). `environment` is the control endpoint that the
/// environment names.
///
/// # Errors
/// Help was asked for, or the arguments make no sense.
pub fn parse<I>(arguments: I, environment: Option<&str>) -> Result<Action, clap::Error>
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let given = Arguments::try_parse_from(arguments)?;
    if given.version {
        return Ok(Action::Version(env!("CARGO_PKG_VERSION").to_owned()));
    }
    let form = match (given.json, given.once) {
        (true, _) => Form::Json,
        (false, true) => Form::Text,
        (false, false) => Form::Live,
    };
    let too_many = |what: &str| wrong(&format!("more --{what} than --endpoint"));
    if given.control.len() > given.endpoint.len() {
        return Err(too_many("control"));
    }
    if given.ssh.len() > given.endpoint.len() {
        return Err(too_many("ssh"));
    }
    for control in &given.control {
        control.parse::<Endpoint>().map_err(|error| wrong(&error.to_string()))?;
    }
    let address = |(at, endpoint): (usize, &String)| {
        Ok(Address {
            stats: endpoint
                .parse()
                .map_err(|error: circus_common::config::endpoint::EndpointError| wrong(&error.to_string()))?,
            control: given.control.get(at).cloned(),
            environment: environment.map(str::to_owned),
            ssh: if given.ssh.len() == 1 { given.ssh.first() } else { given.ssh.get(at) }
                .filter(|server| !server.is_empty())
                .cloned(),
        })
    };
    Ok(Action::Run(Options {
        addresses: given.endpoint.iter().enumerate().map(address).collect::<Result<_, clap::Error>>()?,
        process_timeout: given.process_timeout,
        read_only: given.read_only,
        form,
    }))
}

/// The command itself, for help pages and completion scripts.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

fn wrong(text: &str) -> clap::Error {
    Arguments::command().error(ErrorKind::ValueValidation, text)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= LONGEST_TIMEOUT => Ok(Duration::from_secs_f64(number)),
        Ok(_) | Err(_) => Err(format!("expected seconds, above 0 and up to {LONGEST_TIMEOUT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<Action, clap::Error> {
        parse(std::iter::once("circus-top").chain(line.split_whitespace()), Some("tcp://h:1"))
    }

    fn run(line: &str) -> Options {
        match given(line).unwrap() {
            Action::Run(options) => options,
            Action::Version(text) => panic!("{text}"),
        }
    }

    #[test]
    fn without_arguments_it_is_the_local_daemon_of_circus() {
        let options = run("");
        assert_eq!(options.addresses.len(), 1);
        assert_eq!(options.addresses[0].stats.to_string(), DEFAULT_ENDPOINT);
        assert_eq!(options.addresses[0].environment.as_deref(), Some("tcp://h:1"));
        assert_eq!((options.process_timeout, options.form), (Duration::from_secs(3), Form::Live));
    }

    #[test]
    fn endpoints_controls_and_servers_belong_together_by_place() {
        let options = run("--endpoint tcp://a:1 --control tcp://a:2 --endpoint tcp://b:1 --ssh joe@c");
        let [a, b] = &options.addresses[..] else { panic!() };
        assert_eq!((a.control.as_deref(), b.control.as_deref()), (Some("tcp://a:2"), None));
        assert_eq!((a.ssh.as_deref(), b.ssh.as_deref()), (Some("joe@c"), Some("joe@c")));
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "--endpoint nowhere",
            "--control nowhere",
            "--process-timeout 0",
            "--process-timeout x",
            "--process-timeout inf",
            "--control tcp://a:1 --control tcp://b:1",
            "--nope",
            "word",
        ] {
            assert_eq!(given(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn json_wins_over_text() {
        assert_eq!(run("--once --json").form, Form::Json);
        assert_eq!(run("--once").form, Form::Text);
        assert!(
            matches!(given("--version").unwrap(), Action::Version(text) if text == env!("CARGO_PKG_VERSION"))
        );
    }
}
