//! Python's Circus, with its defaults (`check_delay` 5 s among them) and without statistics.

use std::process::Command;

use super::{Contender, Launched, Layout, Name, Venv, first_line, ours};
use crate::{failure::Failure, place::Place};

/// Circus from PyPI.
pub struct Circus {
    venv: Venv,
}

impl Circus {
    /// The one in this venv.
    #[must_use]
    pub const fn new(venv: Venv) -> Self {
        Self { venv }
    }
}

impl Contender for Circus {
    fn name(&self) -> Name {
        Name::Circus
    }

    fn version(&self) -> Result<String, Failure> {
        first_line(Command::new(self.venv.program("circusd")).arg("--version"))
    }

    fn launch(&self, place: &Place, layout: Layout) -> Result<Launched, Failure> {
        ours::launch(Command::new(self.venv.program("circusd")), place, layout, "", "circus")
    }
}
