//! Streams are tried out before anything is changed: by whom, and how it goes on. Hooks were before them.
//!
//! A file that cannot be written and a Python class that cannot be had are found out outside; `set`, `add`,
//! `reloadconfig` and the restart in place wait for that, and nothing else does.

use circus_common::{
    Channel,
    config::{Config, SetError, WatcherConfig},
    protocol::ErrorCode,
};
use serde_json::{Map, Value};

use super::admin::Admin;
use crate::arbiter::{
    Arbiter,
    commands::{AdminRun, SetOrder},
    effect::Effect,
    id::WatcherId,
    input::LoadPurpose,
    request::Client,
    stream::{Candidate, Fault, Trial},
};

/// A change of the set of watchers that waits for a trial.
#[derive(Debug)]
pub(in crate::arbiter) enum Tried {
    /// `add`.
    Add { client: Client, config: Box<WatcherConfig>, start: bool, waiting: bool },
    /// `reloadconfig`, or the restart in place.
    Config { admin: Admin, purpose: LoadPurpose, config: Box<Config> },
}

impl Tried {
    /// Who is still to be answered.
    pub const fn client(&self) -> Client {
        match self {
            Self::Add { client, .. } => *client,
            Self::Config { admin, .. } => admin.client,
        }
    }
}

impl Arbiter {
    /// Has the streams tried out that a `set` changes, if it changes any, then applies it.
    pub(super) fn try_set(&mut self, id: WatcherId, order: SetOrder) {
        let Some(watcher) = self.watchers.get(&id) else { return };
        let changed = match with_streams(&watcher.config, order.options()) {
            Ok(changed) => changed,
            Err((code, reason)) => return self.refuse(order.client, code, reason),
        };
        let mut candidates = changed.map_or_else(Vec::new, |changed| self.candidates(&changed));
        candidates.retain(|candidate| !watcher.is_outlet(candidate.channel, &candidate.outlet));
        if candidates.is_empty() {
            return self.apply_set(id, order);
        }
        let request = order.client.request;
        self.out.push(Effect::TryStreams { trial: Trial::Set(request), candidates });
        self.trying.insert(request, order);
    }

    /// Has the streams tried out of a change of the set of watchers, and makes it if nothing is wrong.
    pub(super) fn try_streams_of(&mut self, tried: Tried) {
        let candidates = match &tried {
            Tried::Add { config, .. } => self.candidates(config),
            Tried::Config { purpose, config, .. } => self.candidates_of_config(*purpose, config),
        };
        if let Some(tried) = self.try_for_admin(candidates, tried) {
            self.admin_tried(tried, &[]);
        }
    }

    fn try_for_admin(&mut self, candidates: Vec<Candidate>, tried: Tried) -> Option<Tried> {
        if candidates.is_empty() {
            return Some(tried);
        }
        // What an `add` asks for is used at once; a new configuration when each watcher has come to its end.
        let adopt = matches!(tried, Tried::Add { .. });
        self.out.push(Effect::TryStreams { trial: Trial::Admin { adopt }, candidates });
        self.admin_running = Some(AdminRun::Trying(Box::new(tried)));
        None
    }

    /// The streams of a watcher, to be tried out.
    pub(super) fn candidates(&self, watcher: &WatcherConfig) -> Vec<Candidate> {
        self.out.surroundings.candidates(watcher)
    }

    /// Streams were tried out.
    pub(in crate::arbiter) fn streams_tried(&mut self, trial: Trial, faults: &[Fault]) {
        match trial {
            Trial::Set(request) => {
                let Some(order) = self.trying.remove(&request) else { return };
                if let Some((code, reason)) = refusal_of(faults) {
                    return self.refuse(order.client, code, reason);
                }
                // The watcher may have gone meanwhile.
                let name = order.name().to_owned();
                if let Some(id) = self.known(order.client, &name) {
                    self.apply_set(id, order);
                }
            }
            Trial::Admin { .. } => match self.admin_running.take() {
                Some(AdminRun::Trying(tried)) => self.admin_tried(*tried, faults),
                other => self.admin_running = other,
            },
        }
    }

    pub(super) fn admin_tried(&mut self, tried: Tried, faults: &[Fault]) {
        match tried {
            Tried::Add { client, config, start, waiting } => match refusal_of(faults) {
                Some((code, reason)) => self.refuse(client, code, reason),
                None => self.add_watcher(client, *config, start, waiting),
            },
            Tried::Config { admin, purpose, config } if faults.is_empty() => {
                self.take_over(admin, purpose, config);
            }
            Tried::Config { admin, config, .. } => {
                let line = |fault: &Fault| fault.mistake(&config.places).to_string();
                let mistakes = faults.iter().map(line).collect::<Vec<_>>().join("\n");
                self.refuse_config(&admin, mistakes);
            }
        }
    }
}

/// The options of a watcher with the new streams of a `set`, if it names any.
fn with_streams(
    config: &WatcherConfig,
    changes: &Map<String, Value>,
) -> Result<Option<WatcherConfig>, (ErrorCode, String)> {
    let concerns = |key: &str| key == "python" || Channel::ALL.iter().any(|it| key.starts_with(it.option()));
    let mut changed = config.clone();
    let mut any = false;
    for (key, value) in changes.iter().filter(|(key, _)| concerns(key)) {
        any = true;
        changed.set(key, value).map_err(|error| match error {
            SetError::Message(reason) => (ErrorCode::Message, reason),
            SetError::Command(reason) => (ErrorCode::Command, reason),
        })?;
    }
    changed.check_streams().map_err(|reason| (ErrorCode::Command, reason))?;
    Ok(any.then_some(changed))
}

/// How a request is refused for these faults; `None` if there are none.
fn refusal_of(faults: &[Fault]) -> Option<(ErrorCode, String)> {
    let system = faults.first()?.system;
    let reasons: Vec<&str> = faults.iter().map(|fault| fault.reason.as_str()).collect();
    Some((if system { ErrorCode::Os } else { ErrorCode::Command }, reasons.join("; ")))
}
