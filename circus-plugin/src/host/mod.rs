//! Plugins that are other programs: a Python class in an interpreter, or any executable.
//!
//! Such a program takes the place of this process, so that circusd's signals reach it and its end is seen by circusd.

use std::{io, os::unix::process::CommandExt, path::PathBuf, process::Command};

use circus_common::{
    config::{expand::words, plugin::codec},
    python::{OFFER, RESOLVE},
};
use serde_json::json;

use crate::{
    cli::Job,
    options::{OptionError, flag},
    stdin,
};

/// What runs a Python class.
const HOST: &str = include_str!("host.py");

/// Why the program was not run.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It cannot be executed.
    #[error("cannot run `{}`", program.display())]
    Run {
        /// Which.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It cannot be handed its text.
    #[error("cannot hand the host of Python classes to the interpreter")]
    Text {
        /// Why not.
        source: io::Error,
    },
    /// The words of its command line make no sense.
    #[error("cannot read the words of `exec:{text}`: {reason}")]
    Words {
        /// The command line.
        text: String,
        /// Why.
        reason: String,
    },
    /// It is switched off.
    #[error(transparent)]
    Option(#[from] OptionError),
}

/// Runs a Python class. Returns only when that fails.
pub fn python(class: &str, job: &Job) -> HostError {
    let stdin = match stdin::holding(&[RESOLVE, OFFER, HOST].map(str::as_bytes)) {
        Ok(stdin) => stdin,
        Err(source) => return HostError::Text { source },
    };
    // `-` leaves the current directory on the module path, as in Circus.
    let mut command = Command::new(&job.python);
    command.arg("-").arg(description(class, job)).stdin(stdin);
    HostError::Run { program: PathBuf::from(&job.python), source: command.exec() }
}

fn description(class: &str, job: &Job) -> String {
    json!({
        "class": class,
        "endpoint": job.endpoint,
        "pubsub": job.pubsub,
        "check_delay": job.check_delay,
        "ssh": job.ssh,
        "config": job.options.all(),
        "log_level": job.log_level,
        "log_output": job.log_output,
    })
    .to_string()
}

/// Runs a program. Returns only when that fails.
pub fn program(text: &str, job: &Job) -> HostError {
    if job.options.given("active").and_then(flag) == Some(false) {
        return OptionError::Inactive.into();
    }
    let words = match words::split(text) {
        Ok(words) => words,
        Err(reason) => return HostError::Words { text: text.to_owned(), reason },
    };
    let Some((program, arguments)) = words.split_first() else {
        return HostError::Words { text: text.to_owned(), reason: "there is none".to_owned() };
    };
    let mut command = Command::new(program);
    command.args(arguments).args(program_arguments(job)).envs(program_environment(job));
    HostError::Run { program: PathBuf::from(program), source: command.exec() }
}

/// What follows the arguments that the configuration gives.
fn program_arguments(job: &Job) -> Vec<String> {
    let mut words =
        vec!["--endpoint".to_owned(), job.endpoint.clone(), "--pubsub".to_owned(), job.pubsub.clone()];
    words.extend(job.events.iter().flat_map(|events| ["--events".to_owned(), events.clone()]));
    words.extend(["--check-delay".to_owned(), format!("{:?}", job.check_delay)]);
    words.extend(["--config-json".to_owned(), codec::encode_json(job.options.all())]);
    words
}

/// The same by environment; with `CIRCUSCTL_ENDPOINT` circusctl goes to this circusd by itself.
fn program_environment(job: &Job) -> Vec<(String, String)> {
    let mut variables = vec![
        ("CIRCUSCTL_ENDPOINT".to_owned(), job.endpoint.clone()),
        ("CIRCUS_ENDPOINT".to_owned(), job.endpoint.clone()),
        ("CIRCUS_PUBSUB_ENDPOINT".to_owned(), job.pubsub.clone()),
        ("CIRCUS_CHECK_DELAY".to_owned(), format!("{:?}", job.check_delay)),
        ("CIRCUS_PLUGIN_CONFIG".to_owned(), codec::encode_json(job.options.all())),
    ];
    variables.extend(job.events.iter().map(|events| ("CIRCUS_EVENTS_ENDPOINT".to_owned(), events.clone())));
    for (key, value) in job.options.all() {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = key.chars().map(letter).collect();
        variables.push((format!("CIRCUS_OPTION_{name}"), value.replace('\0', "")));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Action};

    fn job(words: &[&str]) -> Job {
        match cli::parse(std::iter::once("circus-plugin").chain(words.iter().copied())).unwrap() {
            Action::Run(job) => *job,
            Action::Print(text) => panic!("{text}"),
        }
    }

    #[test]
    fn a_program_learns_everything_by_arguments_and_environment() {
        let job = job(&["--events", "ipc:///e", "--config", "file.name:x y", "exec:/bin/p -v"]);
        let arguments = program_arguments(&job).join(" ");
        assert_eq!(
            arguments,
            "--endpoint tcp://127.0.0.1:5555 --pubsub tcp://127.0.0.1:5556 --events ipc:///e --check-delay 5.0 \
             --config-json {\"file.name\":\"x y\"}"
        );
        let variables = program_environment(&job);
        for (name, value) in [
            ("CIRCUSCTL_ENDPOINT", "tcp://127.0.0.1:5555"),
            ("CIRCUS_EVENTS_ENDPOINT", "ipc:///e"),
            ("CIRCUS_OPTION_FILE_NAME", "x y"),
        ] {
            assert!(variables.contains(&(name.to_owned(), value.to_owned())), "{name}");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let missing = job(&["exec:/nonexistent/p"]);
        assert_eq!(program("/nonexistent/p", &missing).to_string(), "cannot run `/nonexistent/p`");
        let inactive = job(&["--config", "active:off", "exec:/nonexistent/p"]);
        assert_eq!(program("/nonexistent/p", &inactive).to_string(), "Will not start an inactive plugin");
    }
}
