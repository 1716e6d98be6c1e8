//! One frame and out (`--once`, `--json`); or a frame each second where the terminal can only print.

use std::io::{self, Write as _};

use tokio::{
    sync::mpsc,
    time::{Duration, Instant, MissedTickBehavior, interval_at, timeout_at},
};

use crate::{
    cli::Form,
    state::{
        Input, State,
        report::{Control, Report},
    },
    view::{json, look::Look, plain},
};

/// By then every process has published once: statistics come each second.
const ONE_ROUND: Duration = Duration::from_millis(1200);
/// How long the first figures may take beyond the process time-out.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a frame is printed where nothing else can be done.
const SECOND: Duration = Duration::from_secs(1);

/// Gathers figures until there is one of everything, or too long.
pub async fn gather(state: &mut State, reports: &mut mpsc::Receiver<(usize, Report)>, limit: Duration) {
    let begun = Instant::now();
    let mut until = begun + limit + PATIENCE;
    let mut is_first = true;
    while let Ok(Some((host, report))) = timeout_at(until, reports.recv()).await {
        state.handle(begun.elapsed(), Input::Report(host, report));
        if is_first && state.hosts().iter().all(is_complete) {
            // All are there and tell of themselves: one round more, and nothing is missing.
            is_first = false;
            until = until.min(Instant::now() + ONE_ROUND);
        }
    }
    state.handle(begun.elapsed(), Input::Tick);
}

/// Whether a daemon is past its first words.
fn is_complete(host: &crate::state::host::Host) -> bool {
    host.heard.is_some() && !matches!(host.control, Control::Seeking)
}

/// Prints what was gathered. Whether every host had something to tell.
///
/// # Errors
/// When nobody reads it.
pub fn print(state: &State, form: Form, look: Look) -> io::Result<bool> {
    let text = match form {
        Form::Json => format!("{}\n", json::value(state)),
        Form::Text | Form::Live => plain::text(state, look),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(state.hosts().iter().all(crate::state::host::Host::has_data))
}

/// Prints a frame each second until nobody reads them any more.
///
/// # Errors
/// When nobody reads any more.
pub async fn go_on(
    state: &mut State,
    reports: &mut mpsc::Receiver<(usize, Report)>,
    look: Look,
) -> io::Result<()> {
    let begun = Instant::now();
    let mut seconds = interval_at(begun + ONE_ROUND, SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            Some((host, report)) = reports.recv() => {
                state.handle(begun.elapsed(), Input::Report(host, report));
            }
            _ = seconds.tick() => {
                state.handle(begun.elapsed(), Input::Tick);
                print(state, Form::Text, look)?;
                io::stdout().lock().write_all(b"\n")?;
            }
        }
    }
}
