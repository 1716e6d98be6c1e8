//! circusd, the binary beside the benchmark's own.

use std::{path::PathBuf, process::Command};

use super::{Contender, Launched, Layout, Name, first_line, free_port, run, wire, write};
use crate::{failure::Failure, place::Place, scenario::capture};

/// The scenarios kill in a row, which is no reason to back off.
const EXTRA: &str = "respawn_healthy = 0\n";

/// This project's daemon.
pub struct Ours {
    program: PathBuf,
}

impl Ours {
    /// The one beside us.
    #[must_use]
    pub fn new(place: &Place) -> Self {
        Self { program: place.circusd() }
    }
}

impl Contender for Ours {
    fn name(&self) -> Name {
        Name::Circusd
    }

    fn version(&self) -> Result<String, Failure> {
        first_line(Command::new(&self.program).arg("--version"))
    }

    fn launch(&self, place: &Place, layout: Layout) -> Result<Launched, Failure> {
        // What it keeps for its successor stays in the run folder, too.
        let mut command = Command::new(&self.program);
        command.env("RUNTIME_DIRECTORY", &place.run);
        launch(command, place, layout, EXTRA, "circusd")
    }
}

/// Launches a daemon that reads Circus files.
pub fn launch(
    mut command: Command,
    place: &Place,
    layout: Layout,
    extra: &str,
    name: &str,
) -> Result<Launched, Failure> {
    let control = format!("tcp://127.0.0.1:{}", free_port()?);
    let events = format!("tcp://127.0.0.1:{}", free_port()?);
    let config = place.run.join(format!("{name}.ini"));
    let mut text = format!("[circus]\nendpoint = {control}\npubsub_endpoint = {events}\n");
    let statistics = match layout {
        Layout::Statistics => Some(format!("tcp://127.0.0.1:{}", free_port()?)),
        Layout::One | Layout::Each | Layout::Capture => None,
    };
    text.push_str(&match &statistics {
        Some(endpoint) => format!("statsd = True\nstats_endpoint = {endpoint}\n"),
        None => "statsd = False\n".to_owned(),
    });
    text.push_str(&watchers(place, layout, extra));
    write(&config, &text)?;
    let pid = run(command.arg(&config), place, &format!("{name}.log"))?;
    let limit = place.limit;
    let launched = Launched::new(pid, move || Ok(Box::new(wire::Wire::new(&control, limit)?)));
    Ok(launched.with_events(events).with_statistics(statistics))
}

/// The same text for circusd and for Circus, but for `extra`.
fn watchers(place: &Place, layout: Layout, extra: &str) -> String {
    let pauses = |name: &str, count| {
        format!("\n[watcher:{name}]\ncmd = {}\nnumprocesses = {count}\n{extra}", place.pause_command())
    };
    match layout {
        Layout::One | Layout::Statistics => pauses("pause", place.processes),
        Layout::Each => (1..=place.processes).map(|number| pauses(&format!("pause{number}"), 1)).collect(),
        Layout::Capture => format!(
            "\n[watcher:flood]\ncmd = {}\nstdout_stream.class = FileStream\nstdout_stream.filename = {}\n\
             stdout_stream.max_bytes = {}\nstdout_stream.backup_count = {}\n{extra}",
            place.flood_command(),
            place.captured().display(),
            capture::MAX_BYTES,
            capture::BACKUPS,
        ),
    }
}
