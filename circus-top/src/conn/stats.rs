//! The statistics channel.

use circus_common::consumer::{Consumer, Item};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{AGAIN, Outlet, Way};
use crate::state::report::{Link, Report};

/// Follows the channel for ever. `heard` is when it last said something.
pub async fn follow(mut way: Way, outlet: Outlet, heard: watch::Sender<Instant>) {
    loop {
        if let Ok(endpoint) = way.open().await
            && let Ok(consumer) = Consumer::connect(&endpoint, &["stat."]).await
        {
            listen(consumer, &outlet, &heard, way.is_used_up()).await;
        }
        outlet.send(Report::Stats(Link::Lost)).await;
        sleep_until(Instant::now() + AGAIN).await;
    }
}

/// Listens until the connection cannot come back by itself.
async fn listen(mut consumer: Consumer, outlet: &Outlet, heard: &watch::Sender<Instant>, once: bool) {
    loop {
        match consumer.next().await {
            Ok(Item::Event { topic, payload }) => {
                heard.send_replace(Instant::now());
                outlet.send(Report::Message { topic, payload }).await;
            }
            Ok(Item::Connected | Item::Reconnected) => outlet.send(Report::Stats(Link::Up)).await,
            Ok(Item::Disconnected) if once => return,
            Ok(Item::Disconnected) => outlet.send(Report::Stats(Link::Lost)).await,
            Err(_) => return,
        }
    }
}
