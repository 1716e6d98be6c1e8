//! What circusd-stats publishes, written down as it comes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use circus_common::consumer::{Consumer, Item};
use serde_json::Value;
use tokio::{runtime, sync::oneshot};

use super::wait;

/// A subscriber of a stats endpoint, also over restarts of its other end.
#[derive(Debug)]
pub struct Listener {
    heard: Arc<Mutex<Vec<(String, Value)>>>,
    /// Dropped to end the thread.
    _stop: oneshot::Sender<()>,
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Panics
    /// When the endpoint is none.
    #[must_use]
    pub fn to(endpoint: &str) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let (written, endpoint) = (Arc::clone(&heard), endpoint.to_owned());
        thread::spawn(move || {
            let runtime =
                runtime::Builder::new_current_thread().enable_all().build().expect("a runtime is made");
            runtime.block_on(async {
                tokio::select! {
                    () = listen(&endpoint, &written) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { heard, _stop: stop }
    }

    /// Everything since the start or the last [`Listener::forget`]: topics and payloads in order.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Value)> {
        self.lock().clone()
    }

    /// The newest message of a topic.
    #[must_use]
    pub fn newest(&self, topic: &str) -> Option<Value> {
        let heard = self.lock();
        heard.iter().rfind(|(name, _)| name == topic).map(|(_, value)| value.clone())
    }

    /// Forgets what was heard.
    pub fn forget(&self) {
        self.lock().clear();
    }

    /// Waits for a message of a topic that came after this call and is as wanted.
    #[must_use]
    pub fn wait(&self, topic: &str, reason: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let from = self.lock().len();
        wait::wait_for(&format!("{reason} of {topic}"), || {
            let heard = self.lock();
            let mut later = heard.get(from..).unwrap_or_default().iter();
            later.find(|(name, value)| name == topic && wanted(value)).map(|(_, value)| value.clone())
        })
    }

    /// The next message of a topic.
    #[must_use]
    pub fn next(&self, topic: &str) -> Value {
        self.wait(topic, "a message", |_| true)
    }

    /// Waits until the group of a watcher is of these pids.
    pub fn wait_pids(&self, watcher: &str, pids: &[i32]) -> Value {
        self.wait(&format!("stat.{watcher}"), &format!("the pids {pids:?}"), |value| {
            value["pid"] == Value::from(pids)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Value)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(endpoint: &str, heard: &Mutex<Vec<(String, Value)>>) {
    let mut consumer = Consumer::connect(endpoint, &["stat."]).await.expect("the endpoint is one");
    while let Ok(item) = consumer.next().await {
        let Item::Event { topic, payload } = item else { continue };
        let payload = serde_json::from_str(&payload).expect("circusd-stats publishes JSON only");
        heard.lock().unwrap_or_else(PoisonError::into_inner).push((topic, payload));
    }
}
