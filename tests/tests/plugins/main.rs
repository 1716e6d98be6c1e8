//! Plugins run by the real circusd, against real servers, one file for each subject.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "a test watches the clock and runs programs")]

mod commands;
mod metrics;
mod notifier;
mod own;
mod prometheus;
mod remedies;
mod servers;

use circus_tests::daemon::Daemon;

/// Waits until a plugin's log says that it runs; the log is named in its section's daemon.
fn wait_started(daemon: &Daemon, plugins: usize) {
    daemon.wait_until("the plugins to start", |daemon| {
        let text = std::fs::read_to_string(daemon.path("all.log")).unwrap_or_default();
        text.matches("] Starting\n").count() >= plugins
    });
}

/// The head of a configuration whose plugins log into `all.log`.
const LOGGED: &str = "[circus]\nlogoutput = all.log\n";
