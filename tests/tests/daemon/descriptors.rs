//! When the descriptors run out: nobody is hurt for good, and all is well when some are free again.

use std::os::unix::net::UnixStream;

use circus_tests::daemon::{Plan, process};
use serde_json::json;

/// circusd and all it runs may have so many descriptors.
const FEW: &str = "ulimit -n 80; exec \"$@\"";

#[test]
fn clients_that_use_up_the_descriptors_stop_neither_the_daemon_nor_its_watchers() {
    let config = "[watcher:web]\ncmd = sleep 1000\nrespawn_healthy = 0\n";
    let daemon = Plan::new(config).under(&["sh", "-c", FEW, "sh"]).start();
    let old = daemon.wait_pids("web", 1)[0];
    let path = daemon.endpoint().trim_start_matches("ipc://").to_owned();
    let crowd: Vec<UnixStream> = (0..200).map_while(|_| UnixStream::connect(&path).ok()).collect();
    daemon.wait_until("the descriptors to run out", |daemon| process::descriptors(daemon.pid()).len() >= 75);
    // It ends while there may be no descriptor for its replacement: that is tried again.
    process::kill(old);
    drop(crowd);
    let new = daemon.wait_other("web", old);
    assert!(process::lives(new));
    assert_eq!(daemon.ok("numwatchers", json!({}))["numwatchers"], json!(1));
}
