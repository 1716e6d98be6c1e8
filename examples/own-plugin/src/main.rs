//! Says which watchers lose processes.

use std::{env, time::Duration};

use circus_common::{
    client::Client,
    consumer::{Consumer, Item},
    protocol::event,
};
use serde_json::{Map, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut client = Client::connect(&env::var("CIRCUS_ENDPOINT")?, Duration::from_secs(5))?;
    let mut events = Consumer::connect(&env::var("CIRCUS_PUBSUB_ENDPOINT")?, &["watcher."]).await?;
    loop {
        match events.next().await? {
            // Events may have been missed: ask for the state again.
            Item::Connected | Item::Reconnected => {
                let reply = client.call("list", Map::new()).await?;
                println!("watching {}", reply["watchers"]);
            }
            Item::Event { topic, payload } => {
                let Some(seen) = event::parse(topic.as_bytes(), payload.as_bytes()) else { continue };
                if seen.event == "reap" && seen.members.get("expected") == Some(&json!(false)) {
                    println!("{} lost a process", seen.watcher);
                }
            }
            Item::Disconnected => {}
        }
    }
}
