//! Circus and Supervisor from PyPI, in a venv below `target`. Kept from run to run.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What is installed.
const PACKAGES: [&str; 2] = ["circus==0.19.0", "supervisor==4.3.0"];
/// Written last, so that an interrupted installation is not taken for a whole one.
const COMPLETE: &str = "complete";

/// A venv that has them both.
#[derive(Clone, Debug)]
pub struct Venv(PathBuf);

impl Venv {
    /// Makes it, if it is not there. When that fails a line on stderr says so.
    #[must_use]
    pub fn prepare(target: &Path) -> Option<Self> {
        let venv = Self(target.join("bench-venv"));
        if venv.0.join(COMPLETE).exists() {
            return Some(venv);
        }
        eprintln!("bench: installing {} into {}", PACKAGES.join(" and "), venv.0.display());
        match venv.install() {
            Ok(()) => Some(venv),
            Err(reason) => {
                eprintln!("bench: SKIPPED Circus and Supervisor: {reason}");
                None
            }
        }
    }

    /// A program in it.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join("bin").join(name)
    }

    fn install(&self) -> Result<(), String> {
        succeed(Command::new("python3").arg("-m").arg("venv").arg(&self.0))?;
        succeed(Command::new(self.program("pip")).args(["install", "--quiet"]).args(PACKAGES))?;
        let mark = self.0.join(COMPLETE);
        File::create(&mark).map(drop).map_err(|error| format!("cannot write `{}`: {error}", mark.display()))
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark runs programs")]
fn succeed(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).stdout(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("cannot run {command:?}: {error}")),
    }
}
