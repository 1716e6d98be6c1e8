//! Python callables of hooks are looked up before anything is changed: only their interpreter knows them. When they were
//! found, streams are tried in the same way.

use circus_common::{config::HookAction, protocol::ErrorCode};

use super::trial::Tried;
use crate::arbiter::{
    Arbiter,
    commands::{AdminRun, SetOrder},
    effect::Effect,
    hook::{HookCandidate, HookFault, HookTrial},
    id::WatcherId,
};

impl Arbiter {
    /// Has the hooks looked up that a `set` changes, if it changes any.
    pub(super) fn try_hooks_of_set(&mut self, id: WatcherId, order: SetOrder) {
        let candidates = self.candidates_of_set(id, &order);
        if candidates.is_empty() {
            return self.try_set(id, order);
        }
        let request = order.client.request;
        self.out.push(Effect::TryHooks { trial: HookTrial::Set(request), candidates });
        self.trying.insert(request, order);
    }

    fn candidates_of_set(&self, id: WatcherId, order: &SetOrder) -> Vec<HookCandidate> {
        let names_hooks = order.options().keys().any(|key| key == "hooks" || key.starts_with("hooks."));
        let watcher = self.watchers.get(&id).filter(|_| names_hooks);
        let Some(mut config) = watcher.map(|watcher| (*watcher.config).clone()) else { return Vec::new() };
        // As in Circus, what is named is looked up anew even if it was there before.
        config.hooks.clear();
        for (key, value) in order.options() {
            // What cannot be set is told when it is set.
            let _told_later = config.set(key, value);
        }
        self.out.surroundings.hook_candidates(&config)
    }

    /// Has the hooks looked up of a change of the set of watchers; then its streams are tried out.
    pub(super) fn try_hooks_of(&mut self, tried: Tried) {
        let candidates = match &tried {
            Tried::Add { config, .. } => self.out.surroundings.hook_candidates(config),
            Tried::Config { purpose, config, .. } => {
                let concerned = self.concerned(*purpose, config);
                concerned.iter().flat_map(|watcher| self.out.surroundings.hook_candidates(watcher)).collect()
            }
        };
        if candidates.is_empty() {
            return self.try_streams_of(tried);
        }
        self.out.push(Effect::TryHooks { trial: HookTrial::Admin, candidates });
        self.admin_running = Some(AdminRun::Trying(Box::new(tried)));
    }

    /// Hooks were looked up.
    pub(in crate::arbiter) fn hooks_tried(&mut self, trial: HookTrial, faults: &[HookFault]) {
        match trial {
            HookTrial::Set(request) => {
                let Some(order) = self.trying.remove(&request) else { return };
                if !faults.is_empty() {
                    return self.refuse(order.client, ErrorCode::Command, told(faults));
                }
                // The watcher may have gone meanwhile.
                let name = order.name().to_owned();
                if let Some(id) = self.known(order.client, &name) {
                    self.try_set(id, order);
                }
            }
            HookTrial::Admin => match self.admin_running.take() {
                Some(AdminRun::Trying(tried)) => self.hooks_of_admin_tried(*tried, faults),
                other => self.admin_running = other,
            },
        }
    }

    fn hooks_of_admin_tried(&mut self, tried: Tried, faults: &[HookFault]) {
        match tried {
            good if faults.is_empty() => self.try_streams_of(good),
            Tried::Add { client, .. } => self.refuse(client, ErrorCode::Command, told(faults)),
            Tried::Config { admin, config, .. } => {
                let line = |fault: &HookFault| fault.mistake(&config.places).to_string();
                let mistakes = faults.iter().map(line).collect::<Vec<_>>().join("\n");
                self.refuse_config(&admin, mistakes);
            }
        }
    }
}

/// Whether a hook has to be looked up.
pub(in crate::arbiter) const fn is_looked_up(action: &HookAction) -> bool {
    match action {
        HookAction::Python(_) => true,
        HookAction::Program(_) | HookAction::Tcp { .. } | HookAction::Http { .. } | HookAction::File(_) => {
            false
        }
    }
}

fn told(faults: &[HookFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
