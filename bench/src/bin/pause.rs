//! The trivial program that everybody starts: it signs the board, then waits for signals for ever.
//!
//! `pause BOARD`. What it writes is the moment at which it runs, so that nobody has to be asked whether it does.

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: pause BOARD");
        return ExitCode::FAILURE;
    };
    if let Err(error) = circus_bench::board::sign(&path) {
        eprintln!("pause: cannot sign `{}`: {error}", path.display());
        return ExitCode::FAILURE;
    }
    loop {
        rustix::event::pause();
    }
}
