//! The interactive shell: reads commands until the end, and nothing that goes wrong ends it.
//!
//! A thread reads lines (rustyline on a terminal, plain lines elsewhere, with the prompt that Circus prints there);
//! everything else happens here, also the questions that completion asks, so one task owns the connection.

mod editor;
mod line;
mod reader;

use circus_common::{config::expand::words, protocol::commands::find};
use tokio::sync::mpsc;

use self::{
    line::Line,
    reader::{FromReader, Reader, Turn},
};
use crate::{
    cli,
    completions::find_out,
    help,
    out::{Outcome, complain, put, say},
    runner::Runner,
};

/// What stands before each line.
const PROMPT: &str = "(circusctl) ";

/// Runs the shell to its end, which is always a good one.
pub async fn run(runner: Runner) -> Outcome {
    let mut shell = Shell { runner, last: String::new() };
    if say(&format!("circusctl {}", env!("CARGO_PKG_VERSION"))).is_err() {
        return Outcome::Failed;
    }
    shell.runner.banner().await;
    let (mut reader, mut words) = Reader::start();
    while let Some(line) = shell.next_line(&mut reader, &mut words).await {
        if !shell.obey(&line).await {
            // The terminal's own end of line came with Enter; Circus adds one.
            _ = put("\n");
            break;
        }
    }
    Outcome::Done
}

struct Shell {
    runner: Runner,
    /// What an empty line repeats.
    last: String,
}

impl Shell {
    /// The next line; `None` at the end. Answers the questions that come while it is being written.
    async fn next_line(
        &mut self,
        reader: &mut Reader,
        words: &mut mpsc::Receiver<FromReader>,
    ) -> Option<String> {
        reader.next(if self.runner.was_interrupted() { Turn::Anew } else { Turn::Next });
        loop {
            let word = tokio::select! {
                word = words.recv() => word?,
                _ = tokio::signal::ctrl_c(), if !reader.interactive => {
                    _ = put("\n");
                    return None;
                }
            };
            match word {
                FromReader::Line(line) => return Some(line),
                FromReader::End => return None,
                FromReader::Question(fact, answer) => {
                    let known = find_out(&mut self.runner, &fact).await;
                    // The reader may have stopped waiting.
                    _ = answer.send(known);
                }
            }
        }
    }

    /// Carries a line out; false for the word that ends the shell.
    async fn obey(&mut self, line: &str) -> bool {
        let repeated = self.last.clone();
        let line = if line::read(line) == Line::Empty { repeated.as_str() } else { line.trim() };
        line.clone_into(&mut self.last);
        match line::read(line) {
            Line::Empty => {}
            Line::Eof => return false,
            Line::Help(topic) => help_on(topic),
            Line::Unknown => unknown(line),
            Line::Command(name, rest) => self.command(line, name, rest).await,
        }
        true
    }

    async fn command(&mut self, line: &str, name: &str, rest: &str) {
        let Some(spec) = find(name) else {
            return unknown(line);
        };
        let action = match words::split(rest) {
            Ok(words) => cli::run(spec, &words),
            Err(error) => return complain(&format!("error: {error}")),
        };
        // The exit status is for scripts; here the text has said it.
        _ = self.runner.perform(action).await;
    }
}

fn unknown(line: &str) {
    _ = say(&format!("*** Unknown syntax: {line}"));
}

fn help_on(topic: &str) {
    let text = match (topic, find(topic)) {
        ("", _) => help::topics(),
        ("help", _) => "List the commands, or with a command's name show its documentation.".to_owned(),
        (_, Some(spec)) => help::documentation(spec),
        (_, None) => format!("*** No help on {topic}"),
    };
    _ = say(&text);
}
