//! Python's circusd, to compare ours with.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use circus_tests::daemon::Program;

const CIRCUSD: &str = "import sys; sys.argv[0] = 'circusd'; from circus.circusd import main; main()";

/// Python's circusd. It is not asked to end: version 0.19 does not always do so in the middle of a crash loop.
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
