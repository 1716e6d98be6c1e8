//! Whoever listens to what a contender publishes, and counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use circus_common::consumer::{Consumer, Item};
use tokio::{runtime::Builder, time::timeout};

/// How soon it notices that it is over.
const LOOK: Duration = Duration::from_millis(300);

/// A thread that counts what it receives.
pub struct Subscriber {
    seen: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Subscriber {
    /// Listens to what begins with this topic.
    #[must_use]
    pub fn start(endpoint: &str, topic: &'static str) -> Self {
        let (seen, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (endpoint, counter, end) = (endpoint.to_owned(), Arc::clone(&seen), Arc::clone(&over));
        let thread = thread::spawn(move || {
            // Whoever cannot listen sees nothing, and the measurement says so.
            let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(count(&endpoint, topic, &counter, &end));
        });
        Self { seen, over, thread: Some(thread) }
    }

    /// How many messages have come.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

async fn count(endpoint: &str, topic: &str, seen: &AtomicUsize, over: &AtomicBool) {
    let Ok(mut consumer) = Consumer::connect(endpoint, &[topic]).await else { return };
    while !over.load(Ordering::Relaxed) {
        match timeout(LOOK, consumer.next()).await {
            Ok(Ok(Item::Event { .. })) => {
                seen.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Ok(Item::Connected | Item::Disconnected | Item::Reconnected)) | Err(_) => {}
            Ok(Err(_)) => return,
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // If it panicked it has counted too little.
            let _ended = thread.join();
        }
    }
}
