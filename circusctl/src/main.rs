//! circusctl: controls a Circus daemon, one command at a time or as a shell.
//!
//! Arguments to exit status, nothing else: [`runner`] carries out commands, [`render`] makes text of replies.

mod cli;
mod complete;
mod completions;
mod help;
mod listen;
mod logs;
mod message;
mod out;
mod overview;
mod render;
mod runner;
mod shell;
mod words;

use std::{env, process::ExitCode};

use crate::{
    cli::{Action, Args},
    completions::Question,
    out::{Outcome, complain, put},
    runner::Runner,
};

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("circusctl: cannot start: {error}"));
            return Outcome::Failed.into();
        }
    };
    let code = runtime.block_on(run());
    // A thread that still reads the terminal must not hold us back.
    runtime.shutdown_background();
    code
}

async fn run() -> ExitCode {
    let environment = env::var("CIRCUSCTL_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    if let Some(question) = Question::read(|name| env::var(name).ok()) {
        let (text, code) = question.answer(environment).await;
        // Nobody reads it: nobody to tell.
        _ = if text.is_empty() { Ok(()) } else { put(&format!("{text}\n")) };
        return code.into();
    }
    let (args, action) = match Args::read(env::args_os()) {
        Ok(args) => {
            let action = args.action();
            (args, action)
        }
        Err(error) => (Args::default(), Err(error)),
    };
    let is_shell = matches!(action, Ok(Action::Shell));
    let mut runner = Runner::new(args, environment);
    if is_shell { shell::run(runner).await.into() } else { runner.perform(action).await.into() }
}
