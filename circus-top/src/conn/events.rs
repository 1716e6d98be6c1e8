//! The event channel.

use circus_common::{
    consumer::{Consumer, Item},
    protocol::event,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{AGAIN, Outlet, Way};
use crate::state::report::{Link, Report};

/// What the control connection is told of the event channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something happened to a watcher, by the name that topics carry.
    Changed(String),
    /// Events may have been missed.
    Missed,
}

/// Follows the channel for ever.
pub async fn follow(mut way: Way, outlet: Outlet, news: mpsc::Sender<News>) {
    loop {
        if let Ok(endpoint) = way.open().await
            && let Ok(consumer) = Consumer::connect(&endpoint, &["watcher.", "circus."]).await
        {
            listen(consumer, &outlet, &news, way.is_used_up()).await;
        }
        outlet.send(Report::Events(Link::Lost)).await;
        sleep_until(Instant::now() + AGAIN).await;
    }
}

async fn listen(mut consumer: Consumer, outlet: &Outlet, news: &mpsc::Sender<News>, once: bool) {
    loop {
        match consumer.next().await {
            Ok(Item::Event { topic, payload }) => {
                let Some(seen) = event::parse(topic.as_bytes(), payload.as_bytes()) else { continue };
                // Full means that there is much to be asked already: then everything is asked anew.
                if news.try_send(News::Changed(seen.watcher.clone())).is_err() {
                    _ = news.send(News::Missed).await;
                }
                outlet.send(Report::Happened(seen)).await;
            }
            Ok(Item::Connected | Item::Reconnected) => {
                _ = news.send(News::Missed).await;
                outlet.send(Report::Events(Link::Up)).await;
            }
            Ok(Item::Disconnected) if once => return,
            Ok(Item::Disconnected) => outlet.send(Report::Events(Link::Lost)).await,
            Err(_) => return,
        }
    }
}
