//! circus-top: arguments to exit code, nothing else.

use std::{
    env,
    io::{Write as _, stderr, stdout},
    process::ExitCode,
};

use circus_top::cli::{self, Action};

fn main() -> ExitCode {
    let environment = env::var("CIRCUSCTL_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    let options = match cli::parse(env::args_os(), environment.as_deref()) {
        Ok(Action::Run(options)) => options,
        Ok(Action::Version(version)) => {
            // Nobody reads it: nobody to tell.
            _ = writeln!(stdout(), "{version}");
            return ExitCode::SUCCESS;
        }
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            _ = writeln!(stderr(), "circus-top: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(circus_top::run(options));
    // A thread that still reads the terminal must not hold us back.
    runtime.shutdown_background();
    ended.unwrap_or_else(|failure| {
        _ = writeln!(stderr(), "circus-top: {failure}");
        ExitCode::FAILURE
    })
}
