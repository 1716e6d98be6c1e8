//! Nothing is left of a test: neither circusd, nor what it runs, nor what escaped it.
//!
//! circusd is stopped first, so that it replaces nobody. While it is there its processes stay its descendants, however
//! often they fork, for it is a subreaper. Whatever was let go or left by a killed circusd is known by its number or by
//! its current directory, which is the daemon's folder unless the test said otherwise.

use std::{fs, path::Path, process::Child, thread, time::Duration};

use rustix::process::Signal;

use super::{Daemon, process};

/// Rounds of killing before what remains is left to the machine.
const ROUNDS: u32 = 500;

/// Some program that a test runs; it ends with this value, and with it everything below it.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        end_with_all(&mut self.0);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- circusd's log\n{}--- end of circusd's log", self.log());
        }
        let mut child = self.child.borrow_mut().take();
        if let Some(child) = child.as_mut() {
            end_with_all(child);
        }
        let others = std::mem::take(&mut *self.others.borrow_mut());
        let folder = self.dir.path().to_owned();
        kill_until_gone(|| {
            let listed = others.iter().copied().filter(|pid| is_of(*pid, &folder));
            listed.chain(living_in(&folder)).collect()
        });
    }
}

/// Ends a program with everything below it, whatever it does about that.
fn end_with_all(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let pid = child.id().cast_signed();
        process::signal(pid, Signal::STOP);
        kill_until_gone(|| process::living_descendants(pid));
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn kill_until_gone(mut find: impl FnMut() -> Vec<i32>) {
    for _ in 0..ROUNDS {
        let found = find();
        if found.is_empty() {
            return;
        }
        found.into_iter().for_each(process::kill);
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// A number noted long ago may be another's by now: it must at least have come from here.
fn is_of(pid: i32, folder: &Path) -> bool {
    process::lives(pid)
        && (process::directory(pid).starts_with(folder) || process::status(pid, "PPid") == "1")
}

/// Every process that lives in the daemon's folder.
fn living_in(folder: &Path) -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own && process::directory(*pid).starts_with(folder) && process::lives(*pid))
        .collect()
}
