//! Asks circusd for what the streamer wants to know.

use std::time::Duration;

use circus_common::{
    client::{CallError, Client},
    tunnel::TunnelError,
};
use serde_json::{Map, Value, json};

use crate::{
    road::Road,
    streamer::{
        Listening, Snapshot,
        snapshot::{daemon, names, pids, sockets},
    },
};

/// How long circusd may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The watcher of the web console.
const CONSOLE: &str = "circushttpd";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no tunnel to circusd.
    #[error(transparent)]
    Tunnel(TunnelError),
    /// circusd does not answer.
    #[error("circusd does not answer at {endpoint}: {source}")]
    Call {
        /// Where it was asked.
        endpoint: String,
        /// Why it did not.
        source: CallError,
    },
}

/// Asks for everything.
///
/// # Errors
/// When circusd does not answer; that a watcher has vanished in between is none.
pub async fn everything(road: &Road) -> Result<Snapshot, AskError> {
    let mut asking = Asking::begin(road).await?;
    let mut snapshot = Snapshot::default();
    for name in names(&asking.ask("list", Map::new()).await?) {
        let reply = asking.ask("list", named(&name)).await?;
        if name == CONSOLE {
            snapshot.console = pids(&reply);
        }
        // What it refuses, since the watcher is gone, has no pids.
        snapshot.watchers.push((name, pids(&reply)));
    }
    snapshot.daemon = daemon(&asking.ask("dstats", Map::new()).await?);
    snapshot.sockets = sockets(&asking.ask("listsockets", Map::new()).await?);
    Ok(snapshot)
}

/// Asks for the sockets alone.
///
/// # Errors
/// When circusd does not answer.
pub async fn listening(road: &Road) -> Result<Vec<Listening>, AskError> {
    let mut asking = Asking::begin(road).await?;
    Ok(sockets(&asking.ask("listsockets", Map::new()).await?))
}

/// A connection for a few questions.
struct Asking {
    endpoint: String,
    client: Client,
}

impl Asking {
    async fn begin(road: &Road) -> Result<Self, AskError> {
        let endpoint = road.open().await.map_err(AskError::Tunnel)?;
        match Client::connect(&endpoint, TIMEOUT) {
            Ok(client) => Ok(Self { endpoint, client }),
            Err(source) => Err(AskError::Call { endpoint, source }),
        }
    }

    async fn ask(
        &mut self,
        command: &str,
        properties: Map<String, Value>,
    ) -> Result<Map<String, Value>, AskError> {
        let answer = self.client.call(command, properties).await;
        answer.map_err(|source| AskError::Call { endpoint: self.endpoint.clone(), source })
    }
}

fn named(name: &str) -> Map<String, Value> {
    Map::from_iter([("name".to_owned(), json!(name))])
}
