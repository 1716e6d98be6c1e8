//! Small Python scripts on Python's own classes, in `tests/python`: each fails with a traceback.

use crate::daemon::{Daemon, python};

/// Runs a script over tcp and over ipc, each against a daemon of its own.
fn runs(script: &str) {
    let path = format!("{}/python/{script}.py", env!("CARGO_MANIFEST_DIR"));
    for start in [Daemon::start, Daemon::start_on_ipc] {
        let Some(mut command) = python(script) else { return };
        let daemon = start();
        let output = daemon.ask(&mut command, &[&path, &daemon.endpoint, &daemon.pubsub]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}.py on {}:\n{said}\n{}", daemon.endpoint, daemon.log());
    }
}

#[test]
fn the_synchronous_client_drives_every_command() {
    runs("client");
}

#[test]
fn the_asynchronous_client_waits_for_what_it_asked() {
    runs("async_client");
}

#[test]
fn the_consumer_sees_the_recorded_events_of_each_operation() {
    runs("events");
}

#[test]
fn a_plugin_on_the_base_class_asks_casts_and_hears() {
    runs("plugin");
}

#[test]
fn requests_by_hand_are_answered_on_req_and_dealer() {
    runs("wire");
}
