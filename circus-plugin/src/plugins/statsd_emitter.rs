//! StatsdEmitter: one count for every event.

use super::Setup;
use crate::{
    machine::{Action, Input, Moment, Needs, Plugin},
    metrics::Metrics,
    options::OptionError,
};

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct StatsdEmitter {
    metrics: Metrics,
}

impl StatsdEmitter {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        Ok(Self { metrics: Metrics::new(&setup.options, "app")? })
    }
}

impl Plugin for StatsdEmitter {
    fn handle(&mut self, _: Moment, input: Input, out: &mut Vec<Action>) {
        if let Input::Event(seen) = input {
            self.metrics.increment(&format!("{}.{}", seen.watcher, seen.event), out);
        }
    }

    fn needs(&self) -> Needs {
        self.metrics.needs()
    }
}

#[cfg(test)]
mod tests {
    use circus_common::config::plugin::builtin::Builtin;
    use serde_json::json;

    use super::super::story::Story;

    #[test]
    fn every_event_is_counted_under_its_watcher() {
        let mut story = Story::of(Builtin::StatsdEmitter, &[]);
        story.event("flap2", "spawn", json!({"process_pid": 1}));
        story.event("dotted.name", "start", json!({}));
        assert_eq!(
            story.metrics(),
            ["circus.app.watcher.flap2.spawn:1|c", "circus.app.watcher.dotted.name.start:1|c"]
        );
    }
}
