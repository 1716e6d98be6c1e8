//! The terminal: taken on opening, given back as it was on every way out.
//!
//! Given back is: its usual screen, cursor, echo and mouse. That holds for a quiet end, a panic, a signal and being
//! stopped as a job; only SIGKILL leaves it as it is.

use std::io::{self, IsTerminal as _, Stdout, Write as _, stdout};

use nix::unistd::{getpgrp, getppid, getsid};
use ratatui::{
    Frame, Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{DisableMouseCapture, EnableMouseCapture},
        execute,
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
            size,
        },
    },
    layout::Rect,
};
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};

use crate::view::look::Look;

/// The size of a terminal that does not know its own.
const USUAL: (u16, u16) = (80, 24);

/// The exit code after a panic, as Rust has it.
const PANICKED: i32 = 101;

/// Whom a stop is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All of the job: the operator pressed the key.
    Job,
    /// This process: somebody sent it the signal.
    Process,
}

/// The terminal while it shows the screen.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be switched.
    pub fn open() -> io::Result<Self> {
        give_back_on_panic();
        take()?;
        let (width, height) = dimensions();
        canvas(width, height).map(|terminal| Self { terminal }).inspect_err(|_| give_back())
    }

    /// Paints what has changed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(paint).map(drop)
    }

    /// Forgets what the terminal shows, and how large it was: the next painting paints everything.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn repaint(&mut self, width: u16, height: u16) -> io::Result<()> {
        // The terminal's own `clear` asks where the cursor is, and waits for an answer that may never come.
        execute!(stdout(), Clear(ClearType::All))?;
        self.terminal = canvas(width, height)?;
        Ok(())
    }

    /// Gives the terminal back, stops until somebody continues us, and takes it again.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn stop(&mut self, whom: Stop) -> io::Result<()> {
        // With nobody to continue us it would be for ever.
        if !has_shell() {
            return Ok(());
        }
        give_back();
        _ = match whom {
            Stop::Job => kill_current_process_group(Signal::STOP),
            Stop::Process => kill_process(getpid(), Signal::STOP),
        };
        take()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// The terminal's size.
#[must_use]
pub fn dimensions() -> (u16, u16) {
    match size() {
        Ok((width, height)) if width > 0 && height > 0 => (width, height),
        Ok(_) | Err(_) => USUAL,
    }
}

/// Whether stdout is a terminal that can do more than print.
#[must_use]
pub fn is_capable(variable: impl Fn(&str) -> Option<String>) -> bool {
    stdout().is_terminal() && !matches!(variable("TERM").as_deref(), None | Some("" | "dumb"))
}

/// What the environment says the terminal can show.
#[must_use]
pub fn look(variable: impl Fn(&str) -> Option<String>) -> Look {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let term = variable("TERM").unwrap_or_default();
    let is_plain = term.is_empty() || term == "dumb" || term.starts_with("vt");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|it| !it.is_empty()));
    let locale = locale.unwrap_or_default().to_ascii_uppercase();
    Look {
        colour: !is_set("NO_COLOR") && !is_plain,
        unicode: locale.contains("UTF-8") || locale.contains("UTF8"),
    }
}

/// A screen of that size of which nothing is painted yet.
fn canvas(width: u16, height: u16) -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    Terminal::with_options(CrosstermBackend::new(stdout()), TerminalOptions { viewport })
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    let taken = execute!(stdout(), EnterAlternateScreen, EnableMouseCapture);
    if taken.is_err() {
        give_back();
    }
    taken
}

/// What fails here fails because the terminal is gone.
fn give_back() {
    _ = execute!(stdout(), DisableMouseCapture, LeaveAlternateScreen, Show);
    _ = disable_raw_mode();
    _ = stdout().flush();
}

/// The words of a panic belong on the usual screen. One on any other thread or in a task ends us too: what is left
/// would go on painting on a terminal that is no longer ours.
fn give_back_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        print(panic);
        std::process::exit(PANICKED);
    }));
}

/// Whether a shell with job control started us: one that is in our session, but not of our group.
fn has_shell() -> bool {
    let parent = getppid();
    // Asked for the session of 0, the kernel would tell ours.
    let theirs = (parent.as_raw() > 0).then(|| getsid(Some(parent)).ok()).flatten();
    getsid(None).is_ok_and(|ours| ours != getpgrp() && theirs == Some(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&'static str, &'static str)]) -> Look {
        look(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_says_what_can_be_shown() {
        for (pairs, colour, unicode) in [
            (&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")][..], true, true),
            (&[("TERM", "xterm"), ("LANG", "de_DE.utf8"), ("NO_COLOR", "1")], false, true),
            (&[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "de_DE.utf8"), ("NO_COLOR", "")], true, false),
            (&[("TERM", "dumb"), ("LANG", "C.UTF-8")], false, true),
            (&[("TERM", "vt100")], false, false),
            (&[], false, false),
        ] {
            assert_eq!(with(pairs), Look { colour, unicode }, "{pairs:?}");
        }
    }
}
