//! What a configuration asks of this machine: users, groups, directories, programs.
//!
//! All of it may be there by the time a process is started, or be gone, so it is never worse than a warning.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use circus_common::config::{Account, Config, Degree, Host, Mistake, WatcherConfig, expand};

use super::class;
use crate::{
    arbiter::{self, hook::HookCandidate, stream::Outlet},
    os::account,
    stream::check_sink,
};

/// What is asked of a machine.
pub(super) trait Machine {
    /// Why there is no such user, if there is none.
    fn user(&self, user: &Account) -> Result<(), String>;

    /// Why there is no such group, if there is none.
    fn group(&self, group: &Account) -> Result<(), String>;

    /// Whether it is certain that this is no directory.
    fn lacks_dir(&self, path: &Path) -> bool;

    /// Whether it is certain that this is no file that can be executed.
    fn lacks_program(&self, path: &Path) -> bool;

    /// Why a stream cannot be had, if it cannot.
    fn stream(&self, outlet: &Outlet) -> Result<(), String>;

    /// Why a hook cannot be had, if it cannot.
    fn hook(&self, candidate: &HookCandidate) -> Result<(), String>;
}

/// The machine this runs on.
pub(super) struct Here;

impl Machine for Here {
    fn user(&self, user: &Account) -> Result<(), String> {
        account::resolve(Some(user), None).map(drop)
    }

    fn group(&self, group: &Account) -> Result<(), String> {
        account::resolve(None, Some(group)).map(drop)
    }

    fn lacks_dir(&self, path: &Path) -> bool {
        looked_at(path).is_some_and(|found| found.is_none_or(|found| !found.is_dir()))
    }

    fn lacks_program(&self, path: &Path) -> bool {
        let executable = |found: fs::Metadata| found.is_file() && found.permissions().mode() & 0o111 != 0;
        looked_at(path).is_some_and(|found| !found.is_some_and(executable))
    }

    fn stream(&self, outlet: &Outlet) -> Result<(), String> {
        match &outlet.helper {
            Some(helper) => class::try_out(&outlet.config, helper),
            None => check_sink(&outlet.config),
        }
    }

    fn hook(&self, candidate: &HookCandidate) -> Result<(), String> {
        class::look_up(candidate)
    }
}

/// What is there; `None` where one may not look, as circusd itself perhaps may.
fn looked_at(path: &Path) -> Option<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(found) => Some(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Some(None)
        }
        Err(_) => None,
    }
}

/// What the machine does not have.
pub(super) fn remarks(config: &Config, machine: &dyn Machine) -> Vec<Mistake> {
    let of_watcher = |watcher: &WatcherConfig| {
        let name = watcher.name.clone();
        let mistake = move |(key, message): (&'static str, String)| {
            config.places.of_watcher(Degree::Warning, &name, key, &[key], message)
        };
        lacking(watcher, machine).into_iter().map(mistake)
    };
    config.watchers.iter().flat_map(of_watcher).collect()
}

/// What a watcher cannot have: the option, and why.
fn lacking(watcher: &WatcherConfig, machine: &dyn Machine) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if let Some(Err(message)) = watcher.uid.as_ref().map(|user| machine.user(user)) {
        wrong.push(("uid", message));
    }
    if let Some(Err(message)) = watcher.gid.as_ref().map(|group| machine.group(group)) {
        wrong.push(("gid", message));
    }
    let directory = Path::new(&watcher.working_dir);
    if machine.lacks_dir(directory) {
        wrong.push(("working_dir", format!("there is no directory `{}`", directory.display())));
    }
    // A command that makes no words was found wrong when the file was read.
    let path = watcher.env.as_ref().and_then(|env| env.get("PATH")).map(String::as_str);
    if let Some((key, program)) = program(watcher)
        && expand::program_files(&program, directory, path).iter().all(|file| machine.lacks_program(file))
    {
        let place = if program.contains('/') { "" } else { " in the PATH of the watcher's environment" };
        wrong.push((key, format!("there is no executable file `{program}`{place}")));
    }
    wrong
}

/// The program that is executed, and the option that names it. With a shell it is the shell.
fn program(watcher: &WatcherConfig) -> Option<(&'static str, String)> {
    let first = expand::command_line(watcher, 1, &expand::Descriptors::new()).ok()?.into_iter().next()?;
    Some(match &watcher.executable {
        Some(executable) if !watcher.shell => ("executable", executable.clone()),
        Some(_) | None => ("cmd", first),
    })
}

/// The streams that cannot be had. A start leaves their watchers out, so this is worse than a warning.
pub(super) fn broken_streams(config: &Config, host: &Host, machine: &dyn Machine) -> Vec<Mistake> {
    let candidates = arbiter::candidates(config, host);
    let broken = candidates.into_iter().filter_map(|candidate| {
        let message = machine.stream(&candidate.outlet).err()?;
        Some(candidate.fault(true, message).mistake(&config.places))
    });
    broken.collect()
}

/// The hooks that cannot be had; likewise.
pub(super) fn broken_hooks(config: &Config, host: &Host, machine: &dyn Machine) -> Vec<Mistake> {
    let candidates = arbiter::hook_candidates(config, host);
    let broken = candidates.into_iter().filter_map(|candidate| {
        let message = machine.hook(&candidate).err()?;
        Some(candidate.fault(message).mistake(&config.places))
    });
    broken.collect()
}
