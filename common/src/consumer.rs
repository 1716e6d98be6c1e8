//! Follows events, across restarts of the daemon.
//!
//! Events are missed while the daemon is away: after [`Item::Reconnected`] ask it for its state again.

use tokio::time::{Duration, Instant, sleep_until};

use crate::{
    client::CallError,
    config::endpoint::Endpoint,
    transport::{Received, Subscriber, TransportError},
};

/// The pause before a daemon that refused us is tried again.
const AFTER_REFUSAL: Duration = Duration::from_secs(2);

/// What a [`Consumer`] gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event, or whatever else has two frames on that socket.
    Event {
        /// `watcher.NAME.EVENT`; bytes that are no text are replaced.
        topic: String,
        /// A JSON object, as text.
        payload: String,
    },
    /// The daemon is there, for the first time.
    Connected,
    /// The daemon went away. It is looked for until it is back.
    Disconnected,
    /// The daemon is there again; events may have been missed.
    Reconnected,
}

/// A subscription to events.
#[derive(Debug)]
pub struct Consumer {
    endpoint: Endpoint,
    topics: Vec<String>,
    socket: Subscriber,
    was_connected: bool,
    /// When a new socket may be made after a refusal.
    again_at: Option<Instant>,
}

impl Consumer {
    /// Subscribes to all events whose topic begins with one of these; to all of them if there is none.
    ///
    /// # Errors
    /// When the address is none. That nobody is there is no error.
    pub async fn connect(endpoint: &str, topics: &[&str]) -> Result<Self, CallError> {
        let endpoint: Endpoint = endpoint.parse().map_err(CallError::Endpoint)?;
        let mut topics: Vec<String> = topics.iter().map(|&topic| topic.to_owned()).collect();
        if topics.is_empty() {
            topics.push(String::new());
        }
        let socket = Subscriber::connect(&endpoint, &topics)
            .await
            .map_err(|reason| CallError::Connect { endpoint: endpoint.clone(), reason })?;
        Ok(Self { endpoint, topics, socket, was_connected: false, again_at: None })
    }

    /// What comes next. May be dropped at any moment without loss.
    ///
    /// # Errors
    /// When a new socket is needed and cannot be made.
    pub async fn next(&mut self) -> Result<Item, CallError> {
        loop {
            if let Some(again_at) = self.again_at {
                sleep_until(again_at).await;
                self.socket = self.new_socket().await?;
                self.again_at = None;
            }
            match self.socket.next().await {
                Ok(Received::Message(frames)) => {
                    let [topic, payload] = &frames[..] else { continue };
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    return Ok(Item::Event { topic: text(topic), payload: text(payload) });
                }
                Ok(Received::Joined) => {
                    let again = std::mem::replace(&mut self.was_connected, true);
                    return Ok(if again { Item::Reconnected } else { Item::Connected });
                }
                Ok(Received::Left) => return Ok(Item::Disconnected),
                Ok(Received::Stopped) | Err(_) => self.again_at = Some(Instant::now() + AFTER_REFUSAL),
            }
        }
    }

    async fn new_socket(&self) -> Result<Subscriber, CallError> {
        Subscriber::connect(&self.endpoint, &self.topics)
            .await
            .map_err(|reason: TransportError| CallError::Connect { endpoint: self.endpoint.clone(), reason })
    }
}
