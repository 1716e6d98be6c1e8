//! The thread that reads lines. It reads only when told to, so that no prompt comes between a command's output.

use std::{
    io::{self, BufRead as _, IsTerminal as _},
    sync::mpsc as std_mpsc,
    thread,
};

use tokio::sync::mpsc;

use super::{PROMPT, editor::Editor};
use crate::{complete::Fact, out::put};

/// What the thread says.
pub enum FromReader {
    /// A line was read.
    Line(String),
    /// Nothing more will come: the end of the input, or Ctrl-C at the prompt.
    End,
    /// Completion wants to know something.
    Question(Fact, std_mpsc::Sender<Vec<String>>),
}

/// What the thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// To read a line.
    Next,
    /// To read one that is typed from now on.
    Anew,
}

/// The way to the thread.
pub struct Reader {
    turn: std_mpsc::Sender<Turn>,
    /// Whether a person types. The editor then reads Ctrl-C as a key; elsewhere it is a signal.
    pub interactive: bool,
}

impl Reader {
    /// Starts the thread.
    pub fn start() -> (Self, mpsc::Receiver<FromReader>) {
        let (turn, turns) = std_mpsc::channel();
        let (sender, receiver) = mpsc::channel(1);
        let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
        thread::spawn(
            move || {
                if interactive { type_lines(&turns, &sender) } else { read_lines(&turns, &sender) }
            },
        );
        (Self { turn, interactive }, receiver)
    }

    /// Lets the thread read a line.
    pub fn next(&mut self, turn: Turn) {
        // A thread that has ended has said so, or its channel is closed.
        _ = self.turn.send(turn);
    }
}

/// Lines that a person types.
fn type_lines(turns: &std_mpsc::Receiver<Turn>, sender: &mpsc::Sender<FromReader>) {
    let mut editor = match Editor::new(sender.clone()) {
        Ok(editor) => editor,
        Err(_) => return read_lines(turns, sender),
    };
    while let Ok(turn) = turns.recv() {
        if turn == Turn::Anew {
            editor.forget_ahead();
        }
        let word = editor.line(PROMPT).map_or(FromReader::End, FromReader::Line);
        if sender.blocking_send(word).is_err() {
            return;
        }
    }
}

/// Lines from a file or pipe. Python prints the prompt there too, and ends its own line at the end.
fn read_lines(turns: &std_mpsc::Receiver<Turn>, sender: &mpsc::Sender<FromReader>) {
    let mut stdin = io::stdin().lock();
    while turns.recv().is_ok() {
        let mut line = Vec::new();
        let read = put(PROMPT).and_then(|()| stdin.read_until(b'\n', &mut line));
        let word = match read {
            Ok(1..) => FromReader::Line(String::from_utf8_lossy(&line).into_owned()),
            Ok(0) | Err(_) => {
                _ = put("\n");
                FromReader::End
            }
        };
        if sender.blocking_send(word).is_err() {
            return;
        }
    }
}
