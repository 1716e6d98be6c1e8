//! Simulated hooks: what each answers, and how long it takes over it.

use std::{collections::BTreeMap, time::Duration};

use circus_common::config::HookAction;
use circusd::arbiter::hook::{HookAnswer, HookCandidate, HookFault, HookOrder, Verdict};
use serde_json::{Map, Value};

/// How a hook behaves.
#[derive(Clone, Debug)]
pub struct HookBehaviour {
    /// What it answers; `None` if its answer gets lost.
    pub verdict: Option<Verdict>,
    /// How long that takes.
    pub takes: Duration,
    /// What it changes on its watcher.
    pub changes: Map<String, Value>,
}

impl Default for HookBehaviour {
    fn default() -> Self {
        Self { verdict: Some(Verdict::Yes), takes: Duration::from_millis(1), changes: Map::new() }
    }
}

/// All hooks of a story.
#[derive(Debug, Default)]
pub struct Hooks {
    behaviours: BTreeMap<(String, String), HookBehaviour>,
    /// The hooks that cannot be found, as `module.function`.
    pub missing: Vec<String>,
    /// What was asked: watcher, hook, and what it was told.
    pub asked: Vec<(String, String, Map<String, Value>)>,
}

impl Hooks {
    /// Says how a hook behaves from now on.
    pub fn behave(&mut self, watcher: &str, hook: &str, behaviour: HookBehaviour) {
        self.behaviours.insert((watcher.to_owned(), hook.to_owned()), behaviour);
    }

    /// Lets every hook say yes at once.
    pub fn mend(&mut self) {
        self.behaviours.clear();
    }

    /// Says what a hook answers from now on.
    pub fn answer(&mut self, watcher: &str, hook: &str, verdict: Verdict) {
        self.behave(watcher, hook, HookBehaviour { verdict: Some(verdict), ..HookBehaviour::default() });
    }

    /// The hooks of a watcher that were asked, in order.
    #[must_use]
    pub fn names(&self, watcher: &str) -> Vec<&str> {
        self.asked.iter().filter(|(name, _, _)| name == watcher).map(|(_, hook, _)| hook.as_str()).collect()
    }

    /// Which of these cannot be found.
    pub(super) fn missing(&self, candidates: &[HookCandidate]) -> Vec<HookFault> {
        let missing =
            |action: &HookAction| matches!(action, HookAction::Python(name) if self.missing.contains(name));
        let faults = candidates.iter().filter(|it| missing(&it.place.action)).map(|it| HookFault {
            watcher: it.place.watcher.clone(),
            hook: it.hook,
            reason: "No module named 'nope'".to_owned(),
        });
        faults.collect()
    }

    /// The answer to a question and when it comes.
    pub(super) fn ask(&mut self, order: &HookOrder) -> Option<(Duration, HookAnswer)> {
        let key = (order.place.watcher.clone(), order.hook.to_string());
        self.asked.push((key.0.clone(), key.1.clone(), order.details.clone()));
        let behaviour = self.behaviours.get(&key).cloned().unwrap_or_default();
        let stats = order.details.get("stats").and_then(Value::as_object).map(|stats| {
            let mut stats = stats.clone();
            stats.insert("foo".to_owned(), 42.into());
            stats
        });
        let answer = HookAnswer { verdict: behaviour.verdict?, changes: behaviour.changes, stats };
        Some((behaviour.takes, answer))
    }
}
