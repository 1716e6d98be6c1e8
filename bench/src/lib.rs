//! The benchmark: circusd beside Circus, Supervisor and the bare limits, on the same work in the same run.
//!
//! `contender` has one file for each of those who are measured, `scenario` one for each thing that is measured; `board`
//! says who runs, `session` holds a contender at work, `sheet` and `report` make medians and a table of the figures, and
//! `guard` leaves no process behind. Nothing here is timed by asking a contender about itself.

mod activity;
mod asking;
pub mod board;
mod cli;
mod contender;
pub mod failure;
pub mod flood;
mod guard;
mod helper;
mod machine;
mod measure;
mod place;
mod plot;
mod report;
mod scenario;
mod session;
mod sheet;
mod subscriber;
mod tree;

use std::{env, process::ExitCode};

use clap::Parser;

use crate::{
    cli::{Arguments, Helper},
    failure::Failure,
    helper::{bare, echo},
};

/// Runs the benchmark, or the helper of it that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let done = match arguments.helper {
        // The child reads the same arguments again.
        None => return guard::run(&env::args_os().skip(1).collect::<Vec<_>>()),
        Some(Helper::Measure { run, options }) => measure::run(run, &options),
        Some(Helper::Bare { socket, program, board, count }) => bare::run(&socket, &program, &board, count),
        Some(Helper::Echo { endpoint }) => echo::run(&endpoint),
    };
    done.map(|()| ExitCode::SUCCESS)
}
