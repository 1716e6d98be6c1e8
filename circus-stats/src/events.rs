//! circusd's events, across its restarts and those of an ssh tunnel.

use circus_common::{
    client::CallError,
    consumer::{Consumer, Item},
    tunnel::TunnelError,
};
use tokio::{
    task::JoinHandle,
    time::{Duration, Instant, sleep_until},
};
use tracing::warn;

use crate::road::Road;

/// What all of circusd's events begin with.
const TOPIC: &str = "watcher.";

/// The pause before a tunnel is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The endpoint cannot be used.
    #[error("cannot follow circusd's events: {0}")]
    Endpoint(CallError),
    /// There is no tunnel to it.
    #[error(transparent)]
    Tunnel(TunnelError),
}

/// A subscription that is renewed as often as it must be.
#[derive(Debug)]
pub struct Events {
    road: Road,
    line: Line,
}

#[derive(Debug)]
enum Line {
    Open(Box<Consumer>),
    /// The way is being made.
    Opening(JoinHandle<Result<String, TunnelError>>),
    Pausing(Instant),
}

impl Events {
    /// Subscribes. That circusd is not there is no error; that ssh cannot get through is one.
    ///
    /// # Errors
    /// When the endpoint cannot be used at all, or there is no tunnel.
    pub async fn follow(road: Road) -> Result<Self, EventsError> {
        let endpoint = road.open().await.map_err(EventsError::Tunnel)?;
        let consumer = Consumer::connect(&endpoint, &[TOPIC]).await.map_err(EventsError::Endpoint)?;
        Ok(Self { road, line: Line::Open(Box::new(consumer)) })
    }

    /// What comes next. May be dropped at any moment without loss.
    ///
    /// # Errors
    /// When a new socket is needed and cannot be made.
    pub async fn next(&mut self) -> Result<Item, EventsError> {
        loop {
            match &mut self.line {
                Line::Open(consumer) => {
                    let item = consumer.next().await.map_err(EventsError::Endpoint)?;
                    if item == Item::Disconnected && self.road.is_used_up() {
                        self.line = Line::Pausing(Instant::now() + PAUSE);
                    }
                    return Ok(item);
                }
                Line::Pausing(until) => {
                    sleep_until(*until).await;
                    let road = self.road.clone();
                    self.line = Line::Opening(tokio::spawn(async move { road.open().await }));
                }
                Line::Opening(task) => {
                    let opened = task.await.unwrap_or_else(|failed| Err(TunnelError::Run(failed.into())));
                    self.line = Line::Pausing(Instant::now() + PAUSE);
                    match opened {
                        Ok(endpoint) => {
                            let consumer = Consumer::connect(&endpoint, &[TOPIC]).await;
                            self.line = Line::Open(Box::new(consumer.map_err(EventsError::Endpoint)?));
                        }
                        Err(error) => warn!("{error}"),
                    }
                }
            }
        }
    }
}
