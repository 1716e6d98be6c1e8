//! The stats endpoint: messages out, and whether anybody listens.

use circus_common::{
    bind::{BindError, bind_endpoint},
    config::endpoint::Endpoint,
    os::ipc::SocketFile,
    subscribers, transport,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, yield_now},
};
use tracing::warn;

/// After so many messages the tasks that write to the subscribers get their turn.
const BURST: usize = 64;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `stat.WATCHER`, `stat.WATCHER.PID`.
    pub topic: String,
    /// A JSON object.
    pub payload: String,
}

/// The stats endpoint, bound.
#[derive(Debug)]
pub struct Publisher {
    socket: transport::Publisher,
    listeners: watch::Receiver<usize>,
    warden: JoinHandle<()>,
    /// The socket file goes with this value.
    _file: Option<SocketFile>,
}

impl Publisher {
    /// Binds the endpoint.
    ///
    /// # Errors
    /// When it is none or cannot be had.
    pub async fn bind(endpoint: &str) -> Result<Self, BindError> {
        let endpoint = Endpoint::parse(endpoint).map_err(BindError::Endpoint)?;
        if !endpoint.is_loopback() {
            warn!("{endpoint} can be reached from other machines: whoever reaches it can read all figures");
        }
        let socket = transport::Publisher::new().map_err(BindError::Socket)?;
        let (_, file) = bind_endpoint(&endpoint, None, async |it: &Endpoint| socket.bind(it).await).await?;
        let (count, listeners) = watch::channel(0);
        let tell = move |subscribers| {
            count.send_replace(subscribers);
        };
        let warden = tokio::spawn(subscribers::watch(socket.clone(), subscribers::MAX_SUBSCRIBERS, tell));
        Ok(Self { socket, listeners, warden, _file: file })
    }

    /// Whether anybody is connected.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        *self.listeners.borrow() > 0
    }

    /// Waits until listeners come or go. May be dropped at any moment.
    pub async fn changed(&mut self) {
        if self.listeners.changed().await.is_err() {
            // The warden has ended, and with it all changes.
            std::future::pending::<()>().await;
        }
    }

    /// Sends to all who subscribed. Never waits for one of them.
    pub async fn publish(&self, messages: Vec<Message>) {
        for (count, Message { topic, payload }) in messages.into_iter().enumerate() {
            if self.socket.send(topic, payload).await.is_err() {
                return;
            }
            if count % BURST == BURST - 1 {
                yield_now().await;
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.warden.abort();
    }
}
