//! The near side of the log: turns an event into a record and hands it over, never waiting for anything.
//!
//! Invariant: what waits in the channel is bounded in bytes. A line beyond that is dropped and counted.

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    mpsc::Sender,
};

use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, layer::Context};

use super::{
    level::Level,
    record::Record,
    writer::{Order, now},
};

/// How many bytes may wait for the log thread.
const QUEUE_LIMIT: usize = 1 << 20;
/// What a record costs beside its text.
const RECORD_COST: usize = 64;
/// Events of the libraries below us count only from this level up.
const FOREIGN: Level = Level::Warning;

/// What both sides of the channel know.
#[derive(Debug)]
pub(super) struct Shared {
    threshold: AtomicU8,
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

impl Shared {
    pub(super) fn new(threshold: Level) -> Self {
        Self {
            threshold: AtomicU8::new(threshold as u8),
            waiting: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    pub(super) fn set_threshold(&self, level: Level) {
        self.threshold.store(level as u8, Ordering::Relaxed);
        // Each place that logs keeps the answer to "is this wanted?"; they ask again after this.
        tracing_core::callsite::rebuild_interest_cache();
    }

    fn threshold(&self) -> Level {
        Level::from_byte(self.threshold.load(Ordering::Relaxed))
    }

    /// Takes room for a record; `false` if there is none, and then it is counted as dropped.
    fn admit(&self, record: &Record) -> bool {
        let cost = cost(record);
        let before = self.waiting.fetch_add(cost, Ordering::Relaxed);
        let admitted = before.saturating_add(cost) <= QUEUE_LIMIT;
        if !admitted {
            self.waiting.fetch_sub(cost, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// Gives the room of a written record back.
    pub(super) fn written(&self, record: &Record) {
        self.waiting.fetch_sub(cost(record), Ordering::Relaxed);
    }

    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

fn cost(record: &Record) -> usize {
    record.text.len().saturating_add(RECORD_COST)
}

/// Hands events over to the log thread.
#[derive(Debug)]
pub struct LogLayer {
    pub(super) shared: Arc<Shared>,
    pub(super) orders: Sender<Order>,
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = Level::of(metadata);
        let ours = metadata.target().starts_with("circus");
        level >= self.shared.threshold() && (ours || level >= FOREIGN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.shared.threshold().filter())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let record = Record::new(event, now());
        if self.shared.admit(&record) {
            // The thread ends only with the process.
            let _ = self.orders.send(Order::Write(record));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tracing_subscriber::prelude::*;

    use super::*;

    #[test]
    fn when_nobody_writes_the_rest_is_dropped_and_counted() {
        let shared = Arc::new(Shared::new(Level::Debug));
        let (orders, waiting) = mpsc::channel();
        let layer = LogLayer { shared: Arc::clone(&shared), orders };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..20_000 {
                tracing::info!("{}", "x".repeat(100));
            }
        });
        let kept: Vec<_> = waiting.try_iter().collect();
        assert_eq!(kept.len(), QUEUE_LIMIT / (100 + RECORD_COST));
        assert_eq!(usize::try_from(shared.take_dropped()).unwrap(), 20_000 - kept.len());
        for order in &kept {
            let Order::Write(record) = order else { panic!("{order:?}") };
            shared.written(record);
        }
        assert_eq!(shared.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_level_changes_while_it_runs() {
        let shared = Arc::new(Shared::new(Level::Error));
        let (orders, waiting) = mpsc::channel();
        let layer = LogLayer { shared: Arc::clone(&shared), orders };
        let say = || {
            tracing::error!("error");
            tracing::debug!("debug");
            tracing::debug!(target: "somewhere_else", "foreign");
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            say();
            assert_eq!(waiting.try_iter().count(), 1);
            shared.set_threshold(Level::Debug);
            say();
            assert_eq!(waiting.try_iter().count(), 2);
            shared.set_threshold(Level::Critical);
            say();
            tracing::error!(target: super::super::CRITICAL, "critical");
            assert_eq!(waiting.try_iter().count(), 1);
        });
    }
}
