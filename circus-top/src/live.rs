//! The loop of the whole screen: joins connections, keys, signals and the clock with the state, and paints it.
//!
//! Figures come by the hundred and are painted once a second, so that the picture is calm; a key is answered at
//! once, an event within a tenth of a second.

use std::{io, process::ExitCode};

use ratatui::crossterm::event::{self, Event};
use rustix::process::Signal;
use tokio::{
    signal::unix::{self, SignalKind, signal},
    sync::mpsc,
    time::{Duration, Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    conn::{Connection, Wish},
    input,
    state::{Effect, Input, State, command::Command, report::Report},
    term::{Screen, Stop, dimensions},
    view::{self, look::Look},
};

/// Keys that may wait; more than that nobody types.
const MOST_KEYS: usize = 256;
/// Inputs taken together before they are painted.
const AT_ONCE: usize = 512;
/// The least time between two paintings that no key asked for.
const BETWEEN: Duration = Duration::from_millis(100);
/// How often the picture is made anew.
const SECOND: Duration = Duration::from_secs(1);

/// What woke the loop.
enum Woken {
    Second,
    Report(usize, Report),
    Terminal(io::Result<Event>),
    /// A signal that ends us.
    Ended(Signal),
    /// SIGTSTP.
    Stopped,
    /// SIGCONT.
    Continued,
    /// What was put off is to be painted.
    Paint,
}

/// What paints, and what is put off.
struct Painter {
    screen: Screen,
    look: Look,
    painted: Instant,
    due: Option<Instant>,
}

/// What the loop has in hand.
struct Live<'a> {
    state: State,
    connections: &'a [Connection],
    painter: Painter,
    begun: Instant,
}

/// Shows the hosts until the operator leaves or a signal says so; the exit code is that signal's.
///
/// # Errors
/// When the terminal cannot be had, or is gone.
pub async fn run(
    state: State,
    connections: &[Connection],
    reports: &mut mpsc::Receiver<(usize, Report)>,
    look: Look,
) -> io::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let painter = Painter { screen: Screen::open()?, look, painted: Instant::now(), due: None };
    let mut keys = listen_to_terminal();
    let mut live = Live { state, connections, painter, begun: Instant::now() };
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    live.paint()?;
    loop {
        let due = live.painter.due;
        let mut woken = tokio::select! {
            biased;
            Some(key) = keys.recv() => Woken::Terminal(key),
            ended = signals.next() => ended,
            _ = seconds.tick() => Woken::Second,
            Some((host, report)) = reports.recv() => Woken::Report(host, report),
            () = wait_until(due), if due.is_some() => Woken::Paint,
        };
        for _ in 0..AT_ONCE {
            if let Some(code) = live.take(woken)? {
                return Ok(code);
            }
            match reports.try_recv() {
                Ok((host, report)) => woken = Woken::Report(host, report),
                Err(_) => break,
            }
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}

impl Live<'_> {
    /// Takes in what happened; an exit code when it is time to leave.
    fn take(&mut self, woken: Woken) -> io::Result<Option<ExitCode>> {
        match woken {
            Woken::Second => {
                self.handle(Input::Tick)?;
                self.paint()?;
            }
            Woken::Report(host, report) => {
                let is_figure = matches!(report, Report::Message { .. });
                self.handle(Input::Report(host, report))?;
                if !is_figure {
                    self.painter.put_off();
                }
            }
            Woken::Terminal(event) => {
                let Some(command) = input::command(&event?, self.state.keys()) else { return Ok(None) };
                let leaving = self.handle(Input::Command(command))?;
                if leaving {
                    return Ok(Some(ExitCode::SUCCESS));
                }
                if let Command::Resize(width, height) = command {
                    self.painter.screen.repaint(width, height)?;
                }
                self.paint()?;
            }
            Woken::Ended(Signal::INT) => return Ok(Some(ExitCode::SUCCESS)),
            Woken::Ended(signal) => {
                let number = u8::try_from(signal.as_raw()).unwrap_or(1);
                return Ok(Some(ExitCode::from(128_u8.saturating_add(number))));
            }
            Woken::Stopped => self.stop(Stop::Process)?,
            Woken::Continued => self.repaint()?,
            Woken::Paint => self.paint()?,
        }
        Ok(None)
    }

    /// Hands an input over and carries out what follows. Whether it is time to leave.
    fn handle(&mut self, input: Input) -> io::Result<bool> {
        let mut leaving = false;
        for effect in self.state.handle(self.begun.elapsed(), input) {
            match effect {
                Effect::Quit => leaving = true,
                Effect::Suspend => self.stop(Stop::Job)?,
                Effect::Repaint => self.repaint()?,
                Effect::Inspect { host, watcher } => _ = self.wish(host, Wish::Inspect(watcher)),
                Effect::Act { host, watcher, action } => {
                    if !self.wish(host, Wish::Act { watcher, action }) {
                        let text = "too much is asked already; nothing was done".to_owned();
                        self.state.handle(
                            self.begun.elapsed(),
                            Input::Report(host, Report::Outcome { done: false, text }),
                        );
                    }
                }
            }
        }
        Ok(leaving)
    }

    fn wish(&self, host: usize, wish: Wish) -> bool {
        self.connections.get(host).is_some_and(|connection| connection.wish(wish))
    }

    fn stop(&mut self, whom: Stop) -> io::Result<()> {
        self.painter.screen.stop(whom)?;
        self.repaint()
    }

    /// The terminal may show anything, and have any size.
    fn repaint(&mut self) -> io::Result<()> {
        let (width, height) = dimensions();
        self.state.handle(self.begun.elapsed(), Input::Command(Command::Resize(width, height)));
        self.painter.screen.repaint(width, height)?;
        self.paint()
    }

    fn paint(&mut self) -> io::Result<()> {
        let Painter { screen, look, painted, due } = &mut self.painter;
        screen.draw(|frame| view::draw(frame, &self.state, *look))?;
        (*painted, *due) = (Instant::now(), None);
        Ok(())
    }
}

impl Painter {
    /// Not now, but soon.
    fn put_off(&mut self) {
        let due = (self.painted + BETWEEN).max(Instant::now());
        self.due.get_or_insert(due);
    }
}

/// The signals that mean something to us.
struct Signals {
    int: unix::Signal,
    term: unix::Signal,
    hup: unix::Signal,
    quit: unix::Signal,
    stop: unix::Signal,
    cont: unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let other = |it: Signal| signal(SignalKind::from_raw(it.as_raw()));
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            stop: other(Signal::TSTP)?,
            cont: other(Signal::CONT)?,
        })
    }

    async fn next(&mut self) -> Woken {
        tokio::select! {
            _ = self.int.recv() => Woken::Ended(Signal::INT),
            _ = self.term.recv() => Woken::Ended(Signal::TERM),
            _ = self.hup.recv() => Woken::Ended(Signal::HUP),
            _ = self.quit.recv() => Woken::Ended(Signal::QUIT),
            _ = self.stop.recv() => Woken::Stopped,
            _ = self.cont.recv() => Woken::Continued,
        }
    }
}

/// Reads the terminal on a thread of its own, since reading it blocks. It ends with the program.
fn listen_to_terminal() -> mpsc::Receiver<io::Result<Event>> {
    let (keys, heard) = mpsc::channel(MOST_KEYS);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if keys.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    });
    heard
}
