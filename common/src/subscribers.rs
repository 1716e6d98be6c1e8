//! Who listens to a publisher: counts subscriptions, and cuts off whoever asks for too much.

use std::collections::HashMap;

use tracing::warn;

use crate::transport::{ConnectionId, Publisher, SubscriberChange, SubscriberMonitor};

/// Subscriptions a connection may have; with one more it is cut.
pub const MAX_SUBSCRIPTIONS: usize = 1000;
/// Subscribers that may be connected.
pub const MAX_SUBSCRIBERS: usize = 4096;

/// Cuts connections that subscribe without end, and those that come when there are `most`. Tells after each change how
/// many subscribers are connected. Ends when the socket is closed.
pub async fn watch(socket: Publisher, most: usize, mut tell: impl FnMut(usize)) {
    let mut cut = 0;
    while let Ok((monitor, counted)) = socket.monitor().await {
        let mut census = Census { socket: &socket, most, counts: HashMap::new(), cut, tell: &mut tell };
        for (connection, subscriptions) in counted {
            census.set(connection, subscriptions).await;
        }
        census.tell();
        if census.follow(monitor).await == Followed::ToTheEnd {
            return;
        }
        cut = census.cut;
    }
}

/// How far the changes could be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Followed {
    /// Until the socket was closed.
    ToTheEnd,
    /// Until some were missed.
    ToAGap,
}

/// The subscriptions by connection.
struct Census<'a, T> {
    socket: &'a Publisher,
    /// How many there may be.
    most: usize,
    counts: HashMap<ConnectionId, usize>,
    /// How many were cut off so far.
    cut: u64,
    tell: &'a mut T,
}

impl<T: FnMut(usize)> Census<'_, T> {
    /// Follows the changes as far as that goes.
    async fn follow(&mut self, mut monitor: SubscriberMonitor) -> Followed {
        loop {
            match monitor.next().await {
                Some(SubscriberChange::Joined(connection)) => self.set(connection, 0).await,
                Some(SubscriberChange::Subscribed(connection)) => {
                    let count = self.counts.get(&connection).copied().unwrap_or_default();
                    self.set(connection, count + 1).await;
                }
                Some(SubscriberChange::Unsubscribed(connection)) => {
                    let count = self.counts.get(&connection).copied().unwrap_or_default();
                    self.set(connection, count.saturating_sub(1)).await;
                }
                Some(SubscriberChange::Left(connection)) => {
                    self.counts.remove(&connection);
                    self.tell();
                }
                Some(SubscriberChange::Other) => {}
                Some(SubscriberChange::Lagged) => return Followed::ToAGap,
                None => return Followed::ToTheEnd,
            }
        }
    }

    async fn set(&mut self, connection: ConnectionId, subscriptions: usize) {
        self.counts.insert(connection, subscriptions);
        if subscriptions > MAX_SUBSCRIPTIONS || self.counts.len() > self.most {
            self.cut += 1;
            if self.cut == 1 {
                warn!(subscriptions, subscribers = self.counts.len(), "too much: subscribers are cut off");
            }
            self.socket.disconnect(connection).await;
            self.counts.remove(&connection);
        }
        self.tell();
    }

    fn tell(&mut self) {
        (self.tell)(self.counts.len());
    }
}
