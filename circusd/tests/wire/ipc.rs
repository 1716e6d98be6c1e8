//! The file of an ipc endpoint.

use std::{
    fs,
    os::unix::{fs::MetadataExt, net::UnixListener},
    path::Path,
    time::Duration,
};

use circus_common::config::endpoint::Endpoint;
use circusd::controller::Settings;

use crate::{
    alone,
    daemon::{BlockingClient, Daemon},
};

fn address(place: &Path) -> String {
    format!("ipc://{}", place.display())
}

#[test]
fn clients_are_served_over_ipc_and_the_file_is_ours_alone() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("control");
    let daemon = Daemon::start(&address(&place));
    assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o600);
    daemon.client().is_served();
    drop(daemon);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_stale_socket_is_taken_over_and_a_living_daemon_is_not() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("control");
    drop(UnixListener::bind(&place).unwrap());
    let daemon = Daemon::start(&address(&place));
    daemon.client().is_served();
    let error = Daemon::with(Settings::local(&address(&place)).unwrap()).err().unwrap();
    let text = format!("cannot bind {}: a daemon is listening there already", address(&place));
    assert_eq!(error.to_string(), text);
    daemon.client().is_served();
}

#[test]
fn a_regular_file_is_left_alone() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("control");
    fs::write(&place, "precious").unwrap();
    let error = Daemon::with(Settings::local(&address(&place)).unwrap()).err().unwrap();
    assert!(error.to_string().ends_with("what is there is no socket; it is left alone"), "{error}");
    assert_eq!(fs::read_to_string(&place).unwrap(), "precious");
}

#[test]
fn two_endpoints_are_served_by_one_daemon() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("control");
    let daemon = Daemon::start(&format!("tcp://127.0.0.1:* {}", address(&place)));
    daemon.client().is_served();
    BlockingClient::new(&Endpoint::Ipc { path: place.display().to_string() }, Duration::from_secs(5))
        .is_served();
}
