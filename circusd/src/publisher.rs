//! The event endpoint: [`Event`] to frames.
//!
//! Never waits: when events come faster than they can be sent, the oldest are dropped and counted. A
//! subscriber that falls behind misses events; it never holds up the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use circus_common::subscribers::{MAX_SUBSCRIBERS, MAX_SUBSCRIPTIONS};
use circus_common::{
    bind::bind_endpoint, config::endpoint::Endpoint, protocol::Event, subscribers, transport,
};
use tokio::{
    sync::Notify,
    task::{JoinHandle, yield_now},
};
use tracing::warn;

use crate::{
    controller::{BindError, Settings, tidy_after},
    os::ipc::SocketFile,
};

/// Events that may wait to be sent.
pub const QUEUE: usize = 10_000;
/// After so many events the others on the thread get their turn.
const BURST: usize = 64;

/// The event endpoint, bound.
#[derive(Debug)]
pub struct Publisher {
    queue: Arc<Queue>,
    endpoints: Vec<Endpoint>,
    files: Vec<SocketFile>,
    sender: JoinHandle<()>,
    warden: JoinHandle<()>,
}

impl Publisher {
    /// Binds every endpoint.
    ///
    /// # Errors
    /// When one of the endpoints cannot be bound; none stays bound then.
    pub async fn bind(settings: Settings) -> Result<Self, BindError> {
        let socket = transport::Publisher::new().map_err(BindError::Socket)?;
        let (mut endpoints, mut files) = (Vec::new(), Vec::new());
        for endpoint in settings.endpoints() {
            let (bound, file) =
                bind_endpoint(endpoint, settings.owner(), async |it: &Endpoint| socket.bind(it).await)
                    .await?;
            endpoints.push(bound);
            files.extend(file);
        }
        let queue = Arc::new(Queue::default());
        let warden = tokio::spawn(subscribers::watch(socket.clone(), settings.peers(), |_| {}));
        tokio::spawn(tidy_after(socket.traffic()));
        let sender = tokio::spawn(send_all(socket, Arc::clone(&queue)));
        Ok(Self { queue, endpoints, files, sender, warden })
    }

    /// The addresses with the ports that were really bound.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Tells all subscribers, in the order of the calls. Never waits.
    pub fn publish(&self, event: Event) {
        self.queue.push(event);
    }

    /// How many events were dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.lock().dropped
    }

    /// Sends what was published so far, for a second at most, and frees the addresses.
    pub async fn close(self) {
        self.queue.close();
        // It ends by itself; if it panicked there is nothing to send.
        let _ = self.sender.await;
        self.warden.abort();
        drop(self.files);
    }
}

/// The events that wait to be sent.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    news: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<Event>,
    dropped: u64,
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Nothing that could panic is done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Event) {
        let mut state = self.lock();
        if state.events.len() == QUEUE {
            state.events.pop_front();
            state.dropped += 1;
            if state.dropped == 1 {
                warn!(limit = QUEUE, "events come faster than they can be sent: the oldest are dropped");
            }
        }
        state.events.push_back(event);
        drop(state);
        self.news.notify_one();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// The oldest event; `None` when there is none any more, and never will be.
    async fn next(&self) -> Option<Event> {
        loop {
            {
                let mut state = self.lock();
                if let Some(event) = state.events.pop_front() {
                    return Some(event);
                }
                // A storm of events leaves room for thousands of them behind.
                state.events.shrink_to(BURST);
                if state.closed {
                    return None;
                }
            }
            // A notice given before this is kept, so none is missed.
            self.news.notified().await;
        }
    }
}

async fn send_all(socket: transport::Publisher, queue: Arc<Queue>) {
    let mut sent = 0_usize;
    while let Some(event) = queue.next().await {
        if socket.send(event.topic(), event.payload()).await.is_err() {
            return;
        }
        sent = sent.wrapping_add(1);
        if sent.is_multiple_of(BURST) {
            yield_now().await;
        }
    }
    socket.close().await;
}
