//! circusd-stats: arguments to exit code, nothing else.

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use circus_common::{ErrorChain, complain, log};
use circus_stats::{
    cli::{self, Action, Options},
    program,
};

fn main() -> ExitCode {
    let done = match cli::parse(env::args_os()) {
        Ok(Action::Version(text)) => io::stdout().write_all(text.as_bytes()).map_err(Into::into),
        Ok(Action::Run(options)) => run(&options),
        Err(usage) => usage.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("circusd-stats", &ErrorChain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let log = log::start(&options.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(program::run(options));
    // A tunnel that is just being opened must not hold us back.
    runtime.shutdown_background();
    if let Err(error) = &done
        && options.log.is_file()
    {
        tracing::error!("{}", ErrorChain(error));
    }
    log.flush();
    Ok(done?)
}
