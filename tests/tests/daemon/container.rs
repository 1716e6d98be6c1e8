//! circusd as process 1 of a pid namespace, as in a container.

use circus_tests::daemon::{CONTAINED, Plan, process, skip};

#[test]
fn as_process_one_it_reaps_strangers_and_ends_when_told() {
    let probe = [&CONTAINED[..], &["true"]].concat();
    if !skip::can_run("as_process_one_it_reaps_strangers_and_ends_when_told", &probe) {
        return;
    }
    let script = "(setsid sh -c 'sleep 0.2' &); echo up > up; exec sleep 1000";
    let daemon =
        Plan::new(&format!("[watcher:web]\ncmd = {script}\nshell = True\n")).under(&CONTAINED).start();
    daemon.wait_file("up");
    assert!(daemon.wait_pids("web", 1)[0] < 100, "numbers are those of the namespace");
    // unshare, circusd, the sleep: the stranger was reaped.
    daemon.wait_until("the stranger to be reaped", |daemon| {
        let all = process::descendants(daemon.pid());
        all.len() == 2 && all.iter().all(|stat| !stat.zombie)
    });
    assert!(daemon.log().contains("Starting master on pid 1"), "{}", daemon.log());
    let circusd = process::descendants(daemon.pid())[0].pid;
    process::signal(circusd, rustix::process::Signal::TERM);
    assert!(daemon.wait_end().success());
}
