//! Python's circusd, to compare ours with.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use circus_tests::daemon::wait::wait_until;
use rustix::process::{Pid, Signal, kill_process};

const CIRCUSD: &str = "import sys; sys.argv[0] = 'circusd'; from circus.circusd import main; main()";

/// A child that is killed with its value.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Python's circusd. Its workers lead sessions of their own, so it is asked to end, also where a test has failed.
pub struct Circusd(Program);

impl Circusd {
    /// Runs it in this directory with this configuration, under a Python that has it.
    pub fn start(python: &mut Command, directory: &Path, config: &str) -> Self {
        fs::write(directory.join("circus.ini"), config).unwrap();
        let log = fs::File::create(directory.join("log")).unwrap();
        python.args(["-c", CIRCUSD, "circus.ini"]).current_dir(directory).stdin(Stdio::null());
        Self(Program(python.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.0.0.id()
    }
}

impl Drop for Circusd {
    fn drop(&mut self) {
        let child = &mut self.0.0;
        _ = kill_process(Pid::from_child(child), Signal::TERM);
        wait_until("the end of Python's circusd", || !matches!(child.try_wait(), Ok(None)));
    }
}
