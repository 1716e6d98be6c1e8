//! circus-plugin: arguments to exit code, nothing else.

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use circus_common::{ErrorChain, complain, config::plugin::builtin::Uses};
use circus_plugin::{
    cli::{self, Action, Job},
    host::{self, HostError},
    runner,
};

fn main() -> ExitCode {
    let done = match cli::parse(env::args_os()) {
        Ok(Action::Print(text)) => io::stdout().write_all(text.as_bytes()).map_err(Into::into),
        Ok(Action::Run(job)) => run(&job),
        Err(usage) => usage.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("circus-plugin", &ErrorChain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(job: &Job) -> Result<(), Box<dyn Error>> {
    match &job.uses {
        Uses::Builtin(builtin) => runner::run(*builtin, job)?,
        Uses::Class(name) => return failed(job, host::python(name, job)),
        Uses::Program(program) => return failed(job, host::program(program, job)),
    }
    Ok(())
}

/// Tells the log too: circusd throws away what plugins write on stderr.
fn failed(job: &Job, error: HostError) -> Result<(), Box<dyn Error>> {
    runner::log_failure(job, &error)?;
    Err(error.into())
}
