//! What must hold of the orders to the data plane.

use std::collections::{BTreeMap, BTreeSet};

use circus_common::{Channel, config::stream::StreamConfig};
use circusd::arbiter::{
    effect::{Output, SpawnSpec},
    id::{ProcessId, WatcherId},
    stream::StreamOrder,
};

use serde_json::Value;

use super::rules::hold;

/// Whether a stream cannot be had on the simulated machine: a file under `/nowhere`, a class of the module `missing`.
pub(super) fn is_missing(config: &StreamConfig) -> bool {
    let text = |key: &str| config.written.get(key).and_then(Value::as_str).unwrap_or_default();
    text("filename").starts_with("/nowhere/") || text("class").starts_with("missing.")
}

/// What the data plane was told, as far as the invariants need it.
#[derive(Debug, Default)]
pub(super) struct Streams {
    configured: BTreeSet<(WatcherId, Channel)>,
    /// Closed by a stop, and not opened or made anew since.
    closed: BTreeSet<(WatcherId, Channel)>,
    removed: BTreeSet<WatcherId>,
    /// Whether the start is over: from then on what is new was tried.
    pub begun: bool,
    /// Processes that write to a stream, or will.
    attached: BTreeMap<ProcessId, WatcherId>,
}

impl Streams {
    /// An order: nothing comes after a removal, and whatever has a pipe keeps its stream open.
    pub fn told(&mut self, order: &StreamOrder) {
        let watcher = order.watcher();
        hold!(StreamOrders, !self.removed.contains(&watcher), "{order:?} after the removal");
        let writes = self.attached.values().any(|of| *of == watcher);
        match order {
            StreamOrder::Configure { channel, outlet: Some(outlet), .. } => {
                let had = !self.begun || !is_missing(&outlet.config);
                hold!(TriedFirst, had, "{watcher:?} has a {channel} that cannot be had");
                self.configured.insert((watcher, *channel));
                self.closed.remove(&(watcher, *channel));
            }
            StreamOrder::Configure { channel, outlet: None, .. } => {
                hold!(
                    StreamOrders,
                    !writes,
                    "the stream of {watcher:?} is dropped while processes write to it"
                );
                hold!(
                    StreamOrders,
                    self.configured.remove(&(watcher, *channel)),
                    "{watcher:?} had no such stream"
                );
            }
            StreamOrder::Open { .. } => {
                hold!(StreamOrders, self.has_any(watcher), "{watcher:?} has nothing to open");
                self.closed.retain(|(of, _)| *of != watcher);
            }
            StreamOrder::Close { .. } => {
                hold!(
                    StreamOrders,
                    !writes,
                    "the streams of {watcher:?} are closed while processes write to them"
                );
                hold!(StreamOrders, self.has_any(watcher), "{watcher:?} has nothing to close");
                self.closed.extend(self.configured.iter().filter(|(of, _)| *of == watcher));
            }
            StreamOrder::Remove { .. } => {
                hold!(
                    StreamOrders,
                    !writes,
                    "the streams of {watcher:?} are removed while processes write to them"
                );
                hold!(StreamOrders, self.has_any(watcher), "{watcher:?} has nothing to remove");
                self.configured.retain(|(of, _)| *of != watcher);
                self.removed.insert(watcher);
            }
        }
    }

    /// A spawn: what is to have a pipe has an open stream.
    pub fn spawned(&mut self, process: ProcessId, spec: &SpawnSpec) {
        for (output, channel) in [(spec.stdout, Channel::Stdout), (spec.stderr, Channel::Stderr)] {
            if output == Output::Stream {
                let configured = self.configured.contains(&(process.watcher, channel));
                hold!(StreamOrders, configured, "{process} is spawned before its {channel} is configured");
                hold!(
                    StreamOrders,
                    !self.closed.contains(&(process.watcher, channel)),
                    "{process} is spawned before its {channel} is open"
                );
                self.attached.insert(process, process.watcher);
            }
        }
    }

    /// Nothing of a process is waited for any more.
    pub fn ended(&mut self, process: ProcessId) {
        self.attached.remove(&process);
    }

    fn has_any(&self, watcher: WatcherId) -> bool {
        self.configured.iter().any(|(of, _)| *of == watcher)
    }
}
