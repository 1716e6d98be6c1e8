//! The environment of a watcher's processes: exactly these variables, nothing is added later.

use std::collections::BTreeMap;

use super::{
    Files, Host, WatcherConfig,
    expand::{Dollars, dollar},
    fnmatch::fnmatch,
    virtualenv,
};

/// The environment sections of all files.
#[derive(Debug, Default)]
pub(super) struct EnvSections {
    /// `[env]`, `circus.env.*` put in, `$NAME` not yet.
    pub all: BTreeMap<String, String>,
    /// `[env:PATTERNS]` in the order of their appearance.
    pub by_name: Vec<NamedEnv>,
}

/// One `[env:PATTERNS]` section.
#[derive(Debug)]
pub(super) struct NamedEnv {
    /// What the watchers' names are compared with.
    pub patterns: Vec<String>,
    /// As in [`EnvSections::all`].
    pub variables: Vec<(String, String)>,
}

impl EnvSections {
    /// What `$(circus.env.X)` see outside of watchers, and in their numbers: `[env]` over circusd's own.
    pub(super) fn global(&self, host: &Host) -> BTreeMap<String, String> {
        let mut env = host.env.clone();
        env.extend(self.all.iter().map(|(name, value)| written(name, value, host)));
        env
    }

    /// The environment of the processes of one watcher, before `virtualenv`.
    pub(super) fn of_watcher(&self, name: &str, copy_env: bool, host: &Host) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        if copy_env {
            let handed_on = |value: &str| dollar(value, &host.env, Dollars::Inherited);
            env.extend(host.env.iter().map(|(name, value)| (name.clone(), handed_on(value))));
        }
        env.extend(self.all.iter().map(|(name, value)| written(name, value, host)));
        for section in &self.by_name {
            if section.patterns.iter().any(|pattern| fnmatch(pattern, name)) {
                env.extend(section.variables.iter().map(|(name, value)| written(name, value, host)));
            }
        }
        env
    }
}

/// A variable as a file says it.
fn written(name: &str, value: &str, host: &Host) -> (String, String) {
    (name.to_owned(), dollar(value, &host.env, Dollars::Written))
}

/// Completes the environment of a watcher that came by `add`: its `env` is over circusd's own with `copy_env`.
pub(super) fn of_add(watcher: &mut WatcherConfig, host: &Host, files: &dyn Files) -> Result<(), String> {
    if watcher.copy_env {
        let mut env = host.env.clone();
        env.extend(watcher.env.take().unwrap_or_default());
        watcher.env = Some(env);
    }
    virtualenv::apply(watcher, files)
}
