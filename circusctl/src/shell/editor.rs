//! Lines typed on a terminal: editing, history and TAB, by rustyline.

use std::{
    cell::RefCell,
    collections::VecDeque,
    env, fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::mpsc as std_mpsc,
    time::{Duration, Instant},
};

use circus_common::config::expand::words::quote;
use rustyline::{
    Completer, CompletionType, Config, Context, Helper, Highlighter, Hinter, Validator,
    completion::{Completer, Pair},
    error::{ReadlineError, Signal},
    history::FileHistory,
};
use tokio::sync::mpsc;

use super::{line::partial, reader::FromReader};
use crate::{
    complete::{self, Fact},
    completions::PATIENCE,
    out::put,
};

/// How many lines are remembered.
const HISTORY: usize = 1000;
/// How long an answer of the daemon is good enough to complete from.
const FRESH: Duration = Duration::from_secs(2);

/// A line editor with a memory.
pub struct Editor {
    inner: rustyline::Editor<Assistant, FileHistory>,
    questions: mpsc::Sender<FromReader>,
    history: Option<PathBuf>,
    /// Lines that were pasted with the one before, to be run after it.
    pasted: VecDeque<String>,
}

impl Editor {
    /// An editor whose completion asks by `questions`.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub fn new(questions: mpsc::Sender<FromReader>) -> rustyline::Result<Self> {
        let history = history_file(|name| env::var_os(name).map(PathBuf::from));
        let inner = begun(questions.clone(), history.as_deref())?;
        Ok(Self { inner, questions, history, pasted: VecDeque::new() })
    }

    /// The next line; `None` at Ctrl-D, Ctrl-C or when the terminal is gone.
    pub fn line(&mut self, prompt: &str) -> Option<String> {
        let line = match self.pasted.pop_front() {
            Some(line) => {
                // As if it had been typed: who reads on wants to know what the output belongs to.
                put(&format!("{prompt}{line}\n")).ok()?;
                line
            }
            None => {
                let (first, others) = pieces(&self.typed(prompt)?);
                self.pasted = others;
                first
            }
        };
        if self.inner.add_history_entry(line.as_str()).is_ok_and(|new| new) {
            self.remember();
        }
        Some(line)
    }

    /// Drops what was typed or pasted ahead: who interrupts a command does not want those that were to follow it.
    pub fn forget_ahead(&mut self) {
        self.pasted.clear();
        // What rustyline has read of the terminal goes with the editor that read it.
        if let Ok(inner) = begun(self.questions.clone(), self.history.as_deref()) {
            self.inner = inner;
        }
    }

    fn typed(&mut self, prompt: &str) -> Option<String> {
        loop {
            match self.inner.readline(prompt) {
                Ok(line) => return Some(line),
                // An empty line would repeat a command: a window that changes its size must not.
                Err(ReadlineError::Signal(Signal::Resize)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Written after each line: a shell that is killed has lost nothing. A full disk must not end it.
    fn remember(&mut self) {
        let Some(path) = &self.history else { return };
        let parent = path.parent().unwrap_or(Path::new("/"));
        if fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).is_ok() {
            _ = self.inner.append_history(path);
        }
    }
}

/// An editor that has read nothing yet, with the lines of the file behind it.
fn begun(
    questions: mpsc::Sender<FromReader>,
    history: Option<&Path>,
) -> rustyline::Result<rustyline::Editor<Assistant, FileHistory>> {
    let config = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut inner = rustyline::Editor::with_config(config)?;
    inner.set_helper(Some(Assistant { completer: Asking { questions, answers: RefCell::default() } }));
    if let Some(path) = history {
        // There is none the first time; one that cannot be read is as good as none.
        _ = inner.load_history(path);
    }
    Ok(inner)
}

/// The first line of a text, and those behind it. Only a text without any word is an empty line, which repeats a
/// command: the end of the last pasted line is none.
fn pieces(text: &str) -> (String, VecDeque<String>) {
    let mut lines: VecDeque<_> =
        text.split('\n').filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    (lines.pop_front().unwrap_or_default(), lines)
}

/// `$XDG_STATE_HOME/circus/history`; the variable counts only when it is absolute.
fn history_file(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| variable(name).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("circus/history"))
}

#[derive(Completer, Helper, Highlighter, Hinter, Validator)]
struct Assistant {
    #[rustyline(Completer)]
    completer: Asking,
}

/// Completion that asks the task which owns the connection.
struct Asking {
    questions: mpsc::Sender<FromReader>,
    answers: RefCell<Vec<(Fact, Instant, Vec<String>)>>,
}

impl Completer for Asking {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let written = partial(line.get(..at).unwrap_or(line));
        let mut before = written.before.as_slice();
        // `help NAME`: what follows is a command.
        if before.first().is_some_and(|word| word == "help") {
            before = &before[1..];
        }
        let known = complete::needs(before, &written.begun).map(|fact| self.ask(fact)).unwrap_or_default();
        let found = complete::words(before, &written.begun, &known);
        let pair = |word: String| Pair { replacement: quote(&word) + " ", display: word };
        Ok((written.start, found.into_iter().map(pair).collect()))
    }
}

impl Asking {
    /// The answer, or nothing if it does not come soon.
    fn ask(&self, fact: Fact) -> Vec<String> {
        #[expect(clippy::disallowed_methods, reason = "the edge: a person waits here")]
        let now = Instant::now();
        let mut answers = self.answers.borrow_mut();
        answers.retain(|(_, asked, _)| now.duration_since(*asked) < FRESH);
        if let Some((.., answer)) = answers.iter().find(|(known, ..)| *known == fact) {
            return answer.clone();
        }
        let (sender, receiver) = std_mpsc::channel();
        if self.questions.blocking_send(FromReader::Question(fact.clone(), sender)).is_err() {
            return Vec::new();
        }
        let answer = receiver.recv_timeout(2 * PATIENCE).unwrap_or_default();
        answers.push((fact, now, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pasted_line_is_a_command_and_its_end_is_none() {
        let split = |text| {
            let (first, others) = pieces(text);
            (first, others.into_iter().collect::<Vec<_>>().join("|"))
        };
        let table = [
            ("", ("", "")),
            ("  ", ("", "")),
            ("list web", ("list web", "")),
            ("incr w\nnumwatchers\n", ("incr w", "numwatchers")),
            ("\nlist\n\n status\nquit", ("list", " status|quit")),
            ("\n\n", ("", "")),
        ];
        for (text, (first, others)) in table {
            assert_eq!(split(text), (first.to_owned(), others.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn history_is_kept_in_the_state_directory() {
        let file = |state: Option<&str>, home: Option<&str>| {
            let variable = |name: &str| if name == "HOME" { home } else { state }.map(PathBuf::from);
            history_file(variable).map(|path| path.display().to_string())
        };
        assert_eq!(file(Some("/s"), Some("/h")), Some("/s/circus/history".to_owned()));
        assert_eq!(file(None, Some("/h")), Some("/h/.local/state/circus/history".to_owned()));
        assert_eq!(file(Some("relative"), Some("/h")), Some("/h/.local/state/circus/history".to_owned()));
        assert_eq!(file(None, None), None);
    }
}
