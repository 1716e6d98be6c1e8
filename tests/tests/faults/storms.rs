//! Reloads and changes of the file without end, while children crash without end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use circus_tests::daemon::{Daemon, process};
use serde_json::json;

use crate::{measured, scale};

fn config(number: u32, patient: bool) -> String {
    let grace = if patient { 3 } else { 2 };
    format!(
        "[watcher:web]\ncmd = sleep 1000\nnumprocesses = {number}\nrespawn_healthy = 0\ngraceful_timeout = {grace}\n\
         [watcher:bad]\ncmd = sh -c \"exit 1\"\nnumprocesses = 3\nrespawn_healthy = 0.05\n\
         [watcher:undoing]\ncmd = sleep 1001\nreload_undo = True\nreload_settle = 0.05\nrespawn_healthy = 0\n"
    )
}

#[test]
fn reloads_while_children_crash_are_each_answered_and_end_in_what_is_wanted() {
    let daemon = Daemon::start(&config(3, false));
    daemon.wait_pids("web", 3);
    let enough = Arc::new(AtomicBool::new(false));
    let (stop, circusd) = (Arc::clone(&enough), daemon.pid());
    let killer = thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(5);
        let mut killed = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            let victims = process::living_descendants(circusd);
            if let Some(victim) = victims.get(random.usize(..victims.len().max(1))) {
                process::kill(*victim);
                killed += 1;
            }
            thread::park_timeout(Duration::from_millis(random.u64(0..20)));
        }
        killed
    });
    let mut random = fastrand::Rng::with_seed(6);
    let mut asked = Vec::new();
    let rounds = scale(60, 1000);
    for round in 0..rounds {
        daemon.rewrite(&config(random.u32(1..6), random.bool()));
        if random.u8(0..5) == 0 {
            daemon.rewrite("[watcher:web]\ncmd = sleep 1000\nnumprocesses = many\n");
        }
        let waiting = json!({"waiting": random.bool()});
        asked.push(match random.u8(0..4) {
            0 => daemon.ask("reload", waiting),
            1 => daemon.ask("reload", json!({"name": "undoing", "waiting": true})),
            _ => daemon.ask("reloadconfig", waiting),
        });
        if round % 20 == 19 {
            for answer in asked.drain(..) {
                assert!(answer.answer().contains_key("status"));
            }
        }
    }
    asked.into_iter().for_each(|asked| drop(asked.answer()));
    enough.store(true, Ordering::Relaxed);
    let killed = killer.join().unwrap();
    daemon.rewrite(&config(4, true));
    daemon.ok("reloadconfig", json!({"waiting": true}));
    daemon.wait_pids("web", 4);
    daemon.wait_pids("undoing", 1);
    daemon.ok("rm", json!({"name": "bad", "waiting": true}));
    daemon.wait_until("nobody else to be there", |daemon| process::descendants(daemon.pid()).len() == 5);
    measured(
        "reload storm",
        &format!("{rounds} reloads, {killed} kills: each answered, all as wanted at the end"),
    );
}
