//! `[circus]` settings that change while everything runs: log, umask, pid file.

use std::path::{Path, PathBuf};

use circus_common::config::CircusConfig;
use nix::sys::stat::{Mode, umask};
use tracing::warn;

use super::signals::Signals;
use crate::{
    log::{self, LogHandle},
    os::{
        Kept, Released,
        pidfile::{Pidfile, PidfileError},
        sockets::Inherited,
    },
    readiness::ServiceManager,
};

/// What belongs to the process and outlives an in-place restart of the daemon.
#[derive(Debug)]
pub struct Live {
    /// The command line's word on the log, which goes before the file's.
    log_options: log::Settings,
    log: LogHandle,
    /// The command line's word on the pid file.
    pidfile_option: Option<PathBuf>,
    pidfile: Option<Pidfile>,
    manager: ServiceManager,
    /// Between two lives: the signals that came and were not handled.
    signals: Option<Signals>,
    /// Processes that were given away for good.
    released: Released,
    /// Managed sockets.
    sockets: Kept,
}

impl Live {
    /// Takes the pid file.
    ///
    /// # Errors
    /// When it names another daemon or cannot be written.
    pub fn new(
        log_options: log::Settings,
        log: LogHandle,
        pidfile_option: Option<PathBuf>,
        manager: ServiceManager,
        circus: &CircusConfig,
        inherited: Vec<Inherited>,
    ) -> Result<Self, PidfileError> {
        let path = pidfile_option.clone().or_else(|| circus.pidfile.as_ref().map(PathBuf::from));
        let pidfile = path.as_deref().map(Pidfile::create).transpose()?;
        let (signals, released, sockets) = (None, Released::default(), Kept::new(inherited));
        Ok(Self { log_options, log, pidfile_option, pidfile, manager, signals, released, sockets })
    }

    /// Takes over what a life of the daemon leaves to the next.
    pub(super) fn keep(&mut self, signals: Signals, released: Released, sockets: Kept) {
        self.signals = Some(signals);
        self.released = released;
        self.sockets = sockets;
    }

    /// What the last life left.
    pub(super) fn take_kept(&mut self) -> (Option<Signals>, Released, Kept) {
        (self.signals.take(), std::mem::take(&mut self.released), std::mem::take(&mut self.sockets))
    }

    /// The endpoints are bound.
    pub fn ready(&self) {
        self.manager.ready();
    }

    /// The daemon begins anew in place.
    pub fn reloading(&self) {
        self.manager.reloading();
    }

    /// The daemon ends.
    pub fn stopping(&self) {
        self.manager.stopping();
    }

    /// Opens the log file again.
    pub fn reopen_log(&self) {
        self.log.reopen();
    }

    /// Puts changed settings into force.
    pub fn apply(&mut self, circus: &CircusConfig) {
        self.log.apply(self.log_options.or(&log_settings(circus)));
        set_umask(circus.umask);
        let wanted = self.pidfile_option.clone().or_else(|| circus.pidfile.as_ref().map(PathBuf::from));
        if wanted.as_deref() != self.pidfile.as_ref().map(Pidfile::path) {
            self.move_pidfile(wanted.as_deref());
        }
    }

    /// The new file is taken before the old one is given back.
    fn move_pidfile(&mut self, wanted: Option<&Path>) {
        match wanted.map(Pidfile::create).transpose() {
            Ok(pidfile) => self.pidfile = pidfile,
            Err(error) => warn!("the pid file stays where it is: {error}"),
        }
    }

    /// Writes out what was logged and gives the pid file back.
    pub fn end(self) {
        drop(self.pidfile);
        self.log.flush();
    }
}

/// What a configuration says about the log.
#[must_use]
pub fn log_settings(circus: &CircusConfig) -> log::Settings {
    log::Settings {
        level: circus.loglevel.clone(),
        output: circus.logoutput.clone(),
        config: circus.loggerconfig.clone(),
    }
}

/// Sets circusd's mask, and so that of its children.
pub fn set_umask(mask: Option<u16>) {
    if let Some(mask) = mask {
        umask(Mode::from_bits_truncate(mask.into()));
    }
}
