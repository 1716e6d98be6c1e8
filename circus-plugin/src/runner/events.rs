//! What circusd and circusd-stats publish, as inputs, in order.

use circus_common::{
    consumer::{Consumer, Item},
    protocol::event,
};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::machine::Input;

/// Of the event endpoints the one that tells when circusd is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Main {
    /// Whether the way to it ends with the first connection.
    pub is_tunnel: bool,
}

/// Follows an event endpoint.
pub(super) async fn follow(
    endpoint: &str,
    topics: &[&str],
    main: Option<Main>,
    inputs: mpsc::Sender<Input>,
) -> Result<(), String> {
    let mut consumer = Consumer::connect(endpoint, topics).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while let Ok(item) = consumer.next().await {
            let input = match item {
                Item::Event { topic, payload } => {
                    event::parse(topic.as_bytes(), payload.as_bytes()).map(Input::Event)
                }
                Item::Connected | Item::Reconnected => main.map(|_| Input::Connected),
                Item::Disconnected => main.filter(|main| main.is_tunnel).map(|_| Input::WayLost),
            };
            if let Some(input) = input
                && inputs.send(input).await.is_err()
            {
                return;
            }
        }
        // No socket can be made any more: a plugin that hears nothing must not look as if it did.
        let _ = inputs.send(Input::WayLost).await;
    });
    Ok(())
}

/// Follows the socket figures of circusd-stats. That there are none is no error.
pub(super) async fn follow_sockets(endpoint: String, inputs: mpsc::Sender<Input>) {
    let Ok(mut consumer) = Consumer::connect(&endpoint, &["stat.sockets."]).await else { return };
    while let Ok(item) = consumer.next().await {
        if let Item::Event { payload, .. } = item
            && let Some(input) = hits(&payload)
            && inputs.send(input).await.is_err()
        {
            return;
        }
    }
}

fn hits(payload: &str) -> Option<Input> {
    let members: Map<String, Value> = serde_json::from_str(payload).ok()?;
    let address = members.get("address")?.as_str()?.to_owned();
    Some(Input::SocketHits { address, reads: members.get("reads")?.as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_socket_are_read_as_recorded() {
        let payload = r#"{"fd": 7, "subtopic": 7, "reads": 37, "address": "127.0.0.1:20991"}"#;
        assert_eq!(
            hits(payload),
            Some(Input::SocketHits { address: "127.0.0.1:20991".to_owned(), reads: 37 })
        );
        assert_eq!(hits("[]"), None);
    }
}
