//! What circusd publishes, written down in order from a moment before anything is done.

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use circus_common::{
    consumer::{Consumer, Item},
    protocol::event::{self, Seen},
};
use tokio::{runtime, sync::oneshot};

use super::wait;

/// Follows all events of a daemon, also over its restarts.
pub struct Recorder {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Dropped to end the thread.
    _stop: oneshot::Sender<()>,
}

impl Recorder {
    /// Begins to follow. Whether the subscription has arrived, the caller finds out.
    ///
    /// # Panics
    /// Its thread does when there is no runtime.
    #[must_use]
    pub fn follow(endpoint: String) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let written = Arc::clone(&seen);
        thread::spawn(move || {
            let runtime =
                runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is made");
            runtime.block_on(async {
                tokio::select! {
                    () = record(&endpoint, &written) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { seen, _stop: stop }
    }

    /// Everything so far.
    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// What was published of one watcher so far.
    #[must_use]
    pub fn of(&self, watcher: &str) -> Vec<Seen> {
        let name = event::res_name(watcher);
        self.lock().iter().filter(|seen| seen.watcher == name).cloned().collect()
    }

    /// The events of one watcher so far, as words: `spawn kill reap`.
    #[must_use]
    pub fn words(&self, watcher: &str) -> String {
        join(self.of(watcher).iter().map(|seen| seen.event.clone()))
    }

    /// The same with what is told of a process: `spawn(1) kill(1) reap(1,-15)`, pids numbered as they appear.
    #[must_use]
    pub fn story(&self, watcher: &str) -> String {
        let mut known: Vec<i64> = Vec::new();
        let words = self.of(watcher).into_iter().map(|seen| {
            let Some(pid) = pid(&seen) else { return seen.event };
            let at = known.iter().position(|known| *known == pid).unwrap_or_else(|| {
                known.push(pid);
                known.len() - 1
            });
            let mut word = format!("{}({}", seen.event, at + 1);
            if let Some(code) = seen.members.get("exit_code") {
                let _ = write!(word, ",{code}");
            }
            word + ")"
        });
        join(words)
    }

    /// The pids an event was published for, in order.
    #[must_use]
    pub fn pids(&self, watcher: &str, event: &str) -> Vec<i32> {
        let found = self.of(watcher).into_iter().filter(|seen| seen.event == event);
        found.filter_map(|seen| i32::try_from(pid(&seen)?).ok()).collect()
    }

    /// Waits until the events of a watcher are these words, and no others.
    ///
    /// # Panics
    /// When they never are.
    pub fn wait_words(&self, watcher: &str, words: &str) {
        self.wait(&format!("the events `{words}` of {watcher}"), |recorder| {
            let seen = recorder.words(watcher);
            (seen == words, seen)
        });
    }

    /// Waits until the story of a watcher is this one; see [`Recorder::story`].
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_story(&self, watcher: &str, story: &str) {
        self.wait(&format!("the story `{story}` of {watcher}"), |recorder| {
            let seen = recorder.story(watcher);
            (seen == story, seen)
        });
    }

    /// Waits until an event was published so often for a watcher.
    ///
    /// # Panics
    /// When it never is.
    pub fn wait_count(&self, watcher: &str, event: &str, count: usize) {
        self.wait(&format!("{count} x {event} of {watcher}"), |recorder| {
            let seen = recorder.of(watcher).iter().filter(|seen| seen.event == event).count();
            (seen >= count, recorder.words(watcher))
        });
    }

    /// Forgets what was written down.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Looks until it is so; else says what there is.
    fn wait(&self, reason: &str, mut look: impl FnMut(&Self) -> (bool, String)) {
        let end = Instant::now() + wait::LIMIT;
        loop {
            let (done, seen) = look(self);
            if done {
                return;
            }
            assert!(Instant::now() < end, "waited in vain for {reason}; there is `{seen}`");
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.all().iter().map(|seen| format!("{} {}", seen.watcher, seen.event)))
            .finish()
    }
}

async fn record(endpoint: &str, seen: &Mutex<Vec<Seen>>) {
    let mut consumer = Consumer::connect(endpoint, &["watcher."]).await.expect("the endpoint is one");
    while let Ok(item) = consumer.next().await {
        let Item::Event { topic, payload } = item else { continue };
        let event =
            event::parse(topic.as_bytes(), payload.as_bytes()).expect("circusd publishes events only");
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

fn pid(seen: &Seen) -> Option<i64> {
    seen.members.get("process_pid")?.as_i64()
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(" ")
}
