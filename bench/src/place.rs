//! Where everything is, and how much of it.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::failure::Failure;

/// Folders, programs and sizes of this run.
#[derive(Clone, Debug)]
pub struct Place {
    /// This very program.
    pub bench: PathBuf,
    /// cargo's `target` folder.
    pub target: PathBuf,
    /// What the run leaves behind here vanishes with it.
    pub run: PathBuf,
    /// How many processes are managed.
    pub processes: usize,
    /// How long a contender may take for one thing.
    pub limit: Duration,
    /// How long the daemon is left alone, to see what it does then.
    pub idle: Duration,
}

impl Place {
    /// Around this program.
    ///
    /// # Errors
    /// It does not know where it is.
    pub fn new(run: PathBuf, limit: Duration, idle: Duration) -> Result<Self, Failure> {
        let bench = env::current_exe()?;
        // target/PROFILE/bench
        let target = bench.parent().and_then(Path::parent).map(Path::to_owned);
        let target =
            target.ok_or_else(|| Failure::Broken("the benchmark is in no target folder".to_owned()))?;
        Ok(Self { bench, target, run, processes: 0, limit, idle })
    }

    /// The daemon under test.
    #[must_use]
    pub fn circusd(&self) -> PathBuf {
        self.bench.with_file_name("circusd")
    }

    /// The trivial program.
    #[must_use]
    pub fn pause(&self) -> PathBuf {
        self.bench.with_file_name("pause")
    }

    /// Where the programs sign.
    #[must_use]
    pub fn board(&self) -> PathBuf {
        self.run.join("board")
    }

    /// Where captured output goes; backups have this name with something after it.
    #[must_use]
    pub fn captured(&self) -> PathBuf {
        self.run.join("captured.log")
    }

    /// The named pipe whose opening lets the flood begin.
    #[must_use]
    pub fn gate(&self) -> PathBuf {
        self.run.join("gate")
    }

    /// The program that writes, with its arguments.
    #[must_use]
    pub fn flood_command(&self) -> String {
        let flood = self.bench.with_file_name("flood");
        format!("{} {} {}", flood.display(), self.board().display(), self.gate().display())
    }

    /// The trivial program with its argument.
    #[must_use]
    pub fn pause_command(&self) -> String {
        format!("{} {}", self.pause().display(), self.board().display())
    }
}
