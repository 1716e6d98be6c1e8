//! Frames over sockets: the only file that names the ZeroMQ crate.
//!
//! One type per role, each with its options in one function. Everything a stranger can make us keep has a
//! bound here, and the bound has a name. Knows nothing of requests, replies and events.

use std::{io, time::Duration};

use bytes::Bytes;
use omq_tokio::{
    Endpoint as Address, Error, IdentitySocket, KeepAlive, Message, MonitorEvent, MonitorRecvError,
    MonitorStream, Options, ReconnectPolicy, Socket, SocketType, TrySendError,
};
use tokio::time::Instant;

use crate::config::endpoint::Endpoint;

/// The largest request; what a peer announces above it ends its connection.
pub const MAX_REQUEST: usize = 1024 * 1024;
/// Requests received and not yet looked at, of all peers together.
pub const ROUTER_RECEIVE_QUEUE: u32 = 64;
/// Answers a peer may leave unread.
pub const ROUTER_SEND_QUEUE: u32 = 64;
/// Events a subscriber may leave unread; further ones it misses.
pub const EVENT_QUEUE: u32 = 10_000;
/// The largest thing a subscriber may send us.
pub const MAX_SUBSCRIPTION_FRAME: usize = 4096;
/// The longest topic prefix that is admitted.
pub const MAX_TOPIC_PREFIX: usize = 256;
/// Connections that may be in their handshake at once.
pub const MAX_PENDING_HANDSHAKES: usize = 512;
/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a peer is asked whether it is there.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);
/// How long it may be silent then.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long unsent answers and events are tried when a socket is closed.
pub const LINGER: Duration = Duration::from_secs(1);
/// Changes a monitor may lag behind before it must begin anew.
const MONITOR_QUEUE: usize = 256;
/// The largest answer or event a client takes.
pub const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How long a client lets a silent listener be, before it tries again.
const CLIENT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(2);
const SUBSCRIBER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
const SUBSCRIBER_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_LAST: Duration = Duration::from_secs(2);

/// Turns of the runtime that a client's socket gets to close its connection.
const CLOSING_TURNS: usize = 64;

/// Why a socket cannot be made, bound, connected or used.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The system refused.
    #[error("{}", system_text(.0))]
    Io(io::Error),
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// It took longer than it may.
    #[error("timed out")]
    Timeout,
    /// Anything else, in the words of the ZeroMQ crate.
    #[error("{0}")]
    Other(String),
}

impl TransportError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the crate may add errors; each of them has a text")]
    fn of(error: Error) -> Self {
        match error {
            Error::Io(source) => Self::Io(source),
            Error::Closed => Self::Closed,
            Error::Timeout => Self::Timeout,
            other => Self::Other(other.to_string()),
        }
    }
}

/// The system's words alone: `Address already in use`.
fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

/// A connection. Never reused, unlike the identity its peer claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// Who sent a request: where its answer goes.
#[derive(Clone, Debug)]
pub struct Peer(omq_tokio::Identity);

impl Peer {
    /// The connection the request came over.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        ConnectionId(self.0.peer_info().connection_id)
    }
}

/// Why an answer was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRefused {
    /// The peer does not read its answers.
    Full,
    /// The peer is not there any more, or the socket is closed.
    Gone,
}

/// The control socket's daemon side. Clones share it.
#[derive(Clone, Debug)]
pub struct Router(IdentitySocket);

impl Router {
    /// A socket that is not bound yet.
    ///
    /// # Errors
    /// When the crate refuses our options.
    pub fn new() -> Result<Self, TransportError> {
        let socket = Socket::try_new(SocketType::Router, router_options()).map_err(TransportError::of)?;
        socket.identity_routing().map(Self).map_err(TransportError::of)
    }

    /// Listens; returns the address with the port that was really bound.
    /// An ipc path must not exist: whatever is there would be deleted.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn bind(&self, endpoint: &Endpoint) -> Result<Endpoint, TransportError> {
        bind(&self.0, endpoint).await
    }

    /// The next message: who sent it and all its frames. May be dropped at any moment without loss.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn recv(&self) -> Result<(Peer, Vec<Bytes>), TransportError> {
        let (identity, message) = self.0.recv_from().await.map_err(TransportError::of)?;
        Ok((Peer(identity), frames(message)))
    }

    /// Sends to the peer, or says why not. Never waits.
    ///
    /// # Errors
    /// When the peer is gone or does not read.
    pub fn try_send(&self, peer: &Peer, frames: Vec<Bytes>) -> Result<(), SendRefused> {
        match self.0.try_send_to(&peer.0, Message::multipart(frames)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => Err(SendRefused::Full),
            Err(TrySendError::Closed | TrySendError::Error(_)) => Err(SendRefused::Gone),
        }
    }

    /// Changes with every change of the connections.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.connections_generation()
    }

    /// Waits until the generation is another. May be dropped at any moment.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn changed(&self, seen: u64) -> Result<(), TransportError> {
        self.0.connections_changed(seen).await.map(drop).map_err(TransportError::of)
    }

    /// Who comes and goes from now on.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic(self.0.monitor())
    }

    /// The connections there are.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn connections(&self) -> Result<Vec<ConnectionId>, TransportError> {
        connections(&self.0).await
    }

    /// Cuts a connection. One that is gone is no error.
    pub async fn disconnect(&self, connection: ConnectionId) {
        disconnect(&self.0, connection).await;
    }

    /// Sends what is queued, for [`LINGER`] at most, and closes.
    pub async fn close(self) {
        close(self.0.into_inner()).await;
    }
}

/// Follows who comes to a socket and leaves it, strangers that never say a word among them.
#[derive(Debug)]
pub struct Traffic(MonitorStream);

impl Traffic {
    /// Waits for the next changes and counts them; `None` when the socket is closed.
    pub async fn next(&mut self) -> Option<u64> {
        match self.0.recv().await {
            Ok(_) => Some(1),
            Err(MonitorRecvError::Lagged(missed)) => Some(missed),
            Err(_) => None,
        }
    }
}

/// What happened among subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriberChange {
    /// A subscriber came.
    Joined(ConnectionId),
    /// One more subscription.
    Subscribed(ConnectionId),
    /// One less.
    Unsubscribed(ConnectionId),
    /// A subscriber went away.
    Left(ConnectionId),
    /// Something else.
    Other,
    /// Some changes were missed: count anew.
    Lagged,
}

/// Follows the subscriptions of a [`Publisher`].
#[derive(Debug)]
pub struct SubscriberMonitor(MonitorStream);

impl SubscriberMonitor {
    /// The next change; `None` when the socket is closed.
    pub async fn next(&mut self) -> Option<SubscriberChange> {
        Some(match self.0.recv().await {
            Ok(MonitorEvent::HandshakeSucceeded { peer, .. }) => {
                SubscriberChange::Joined(ConnectionId(peer.connection_id))
            }
            Ok(MonitorEvent::SubscribeReceived { connection_id, .. }) => {
                SubscriberChange::Subscribed(ConnectionId(connection_id))
            }
            Ok(MonitorEvent::UnsubscribeReceived { connection_id, .. }) => {
                SubscriberChange::Unsubscribed(ConnectionId(connection_id))
            }
            Ok(MonitorEvent::Disconnected { peer, .. }) => {
                SubscriberChange::Left(ConnectionId(peer.connection_id))
            }
            Ok(_) => SubscriberChange::Other,
            Err(MonitorRecvError::Lagged(_)) => SubscriberChange::Lagged,
            Err(_) => return None,
        })
    }
}

/// The event socket's daemon side. Clones share it.
#[derive(Clone, Debug)]
pub struct Publisher(Socket);

impl Publisher {
    /// A socket that is not bound yet.
    ///
    /// # Errors
    /// When the crate refuses our options.
    pub fn new() -> Result<Self, TransportError> {
        Socket::try_new(SocketType::Pub, publisher_options()).map(Self).map_err(TransportError::of)
    }

    /// Listens; see [`Router::bind`].
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn bind(&self, endpoint: &Endpoint) -> Result<Endpoint, TransportError> {
        bind(&self.0, endpoint).await
    }

    /// Sends to all who subscribed. Never waits for one of them.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn send(&self, topic: String, payload: String) -> Result<(), TransportError> {
        let message = Message::multipart([Bytes::from(topic), Bytes::from(payload)]);
        self.0.send(message).await.map_err(TransportError::of)
    }

    /// Who comes and goes from now on; each subscription counts, too.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic(self.0.monitor())
    }

    /// The number of subscriptions by connection, and what changes from then on.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn monitor(&self) -> Result<(SubscriberMonitor, Vec<(ConnectionId, usize)>), TransportError> {
        let (stream, peers) = self.0.monitor_with_subscriptions().await.map_err(TransportError::of)?;
        let counted =
            peers.iter().map(|it| (ConnectionId(it.peer.connection_id), it.prefixes.len())).collect();
        Ok((SubscriberMonitor(stream), counted))
    }

    /// Cuts a connection. One that is gone is no error.
    pub async fn disconnect(&self, connection: ConnectionId) {
        disconnect(&self.0, connection).await;
    }

    /// Sends what is queued, for [`LINGER`] at most, and closes.
    pub async fn close(self) {
        close(self.0).await;
    }
}

/// The control socket's client side. What is not sent when it is dropped is forgotten.
#[derive(Debug)]
pub struct Dealer(Socket);

impl Dealer {
    /// Begins to connect, under a random identity.
    ///
    /// # Errors
    /// When the address cannot be used at all. That nobody listens is no error: it is tried again.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, TransportError> {
        let socket = Socket::try_new(SocketType::Dealer, dealer_options()).map_err(TransportError::of)?;
        connect(&socket, endpoint).await?;
        Ok(Self(socket))
    }

    /// Waits until somebody answered the handshake; returns which connection that is, for [`Self::lost`].
    ///
    /// # Errors
    /// When nobody does in that time.
    pub async fn wait_connected(&self, left: Duration) -> Result<u64, TransportError> {
        let until = Instant::now() + left;
        loop {
            let seen = self.0.connections_generation();
            let left = until.saturating_duration_since(Instant::now());
            self.0.wait_connected(1, left).await.map_err(TransportError::of)?;
            // Else it came just now, or even left again.
            if self.0.connections_generation() == seen {
                return Ok(seen);
            }
        }
    }

    /// Waits until that connection is no more. May be dropped at any moment.
    pub async fn lost(&self, connection: u64) {
        // That the socket is closed is the same to who waits.
        let _ = self.0.connections_changed(connection).await;
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn send(&self, body: Vec<u8>) -> Result<(), TransportError> {
        self.0.send(Message::single(body)).await.map_err(TransportError::of)
    }

    /// The next message's frames. May be dropped at any moment without loss.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn recv(&self) -> Result<Vec<Bytes>, TransportError> {
        self.0.recv().await.map(frames).map_err(TransportError::of)
    }

    /// Closes at once; what was not sent is forgotten. Needed where the runtime is not driven afterwards.
    pub async fn close(self) {
        let socket = self.0.clone();
        let _ = self.0.close_with_linger(Some(Duration::ZERO)).await;
        // The tasks of the connection end in their own turns, a few of them.
        for _ in 0..CLOSING_TURNS {
            if socket.connections().await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What a [`Subscriber`] gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message's frames.
    Message(Vec<Bytes>),
    /// The publisher is there, with our subscriptions.
    Joined,
    /// The publisher went away; it is looked for.
    Left,
    /// It refused us for good: only a new socket can try again.
    Stopped,
}

/// The event socket's client side.
#[derive(Debug)]
pub struct Subscriber {
    socket: Socket,
    monitor: MonitorStream,
}

impl Subscriber {
    /// Subscribes and begins to connect.
    ///
    /// # Errors
    /// When the address cannot be used at all.
    pub async fn connect(endpoint: &Endpoint, topics: &[String]) -> Result<Self, TransportError> {
        let socket = Socket::try_new(SocketType::Sub, subscriber_options()).map_err(TransportError::of)?;
        let monitor = socket.monitor();
        for topic in topics {
            socket.subscribe(topic.clone()).await.map_err(TransportError::of)?;
        }
        connect(&socket, endpoint).await?;
        Ok(Self { socket, monitor })
    }

    /// What comes next. May be dropped at any moment without loss.
    ///
    /// # Errors
    /// When the socket is closed.
    pub async fn next(&mut self) -> Result<Received, TransportError> {
        loop {
            tokio::select! {
                biased;
                change = self.monitor.recv() => match change {
                    Ok(MonitorEvent::HandshakeSucceeded { .. }) => return Ok(Received::Joined),
                    Ok(MonitorEvent::Disconnected { .. }) => return Ok(Received::Left),
                    Ok(MonitorEvent::ConnectStopped { .. }) => return Ok(Received::Stopped),
                    Ok(_) | Err(MonitorRecvError::Lagged(_)) => {}
                    Err(_) => return Err(TransportError::Closed),
                },
                message = self.socket.recv() => {
                    return message.map(|it| Received::Message(frames(it))).map_err(TransportError::of);
                }
            }
        }
    }
}

/// What all sockets have in common.
fn common_options() -> Options {
    Options::new().linger(Duration::ZERO).monitor_capacity(MONITOR_QUEUE).tcp_keepalive(KeepAlive::Enabled {
        idle: Duration::from_secs(60),
        intvl: Duration::from_secs(10),
        cnt: 6,
    })
}

/// What all sockets that strangers may connect to have in common.
fn listener_options() -> Options {
    common_options()
        .handshake_timeout(HANDSHAKE_TIMEOUT)
        .max_pending_handshakes(MAX_PENDING_HANDSHAKES)
        .heartbeat_interval(HEARTBEAT_INTERVAL)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
}

fn router_options() -> Options {
    listener_options()
        .max_message_size(MAX_REQUEST)
        .recv_hwm(ROUTER_RECEIVE_QUEUE)
        .send_hwm(ROUTER_SEND_QUEUE)
        .router_mandatory(true)
}

fn publisher_options() -> Options {
    listener_options()
        .max_message_size(MAX_SUBSCRIPTION_FRAME)
        .send_hwm(EVENT_QUEUE)
        .subscription_admission(|request| request.prefix.len() <= MAX_TOPIC_PREFIX)
}

fn client_options() -> Options {
    common_options()
        .handshake_timeout(CLIENT_HANDSHAKE_TIMEOUT)
        .max_message_size(MAX_ANSWER)
        .reconnect(ReconnectPolicy::Exponential { min: RECONNECT_FIRST, max: RECONNECT_LAST })
}

fn dealer_options() -> Options {
    client_options()
        .identity(format!("{:032x}", fastrand::u128(..)))
        .heartbeat_interval(HEARTBEAT_INTERVAL)
        .heartbeat_timeout(HEARTBEAT_TIMEOUT)
}

fn subscriber_options() -> Options {
    client_options()
        .recv_hwm(EVENT_QUEUE)
        .heartbeat_interval(SUBSCRIBER_HEARTBEAT_INTERVAL)
        .heartbeat_timeout(SUBSCRIBER_HEARTBEAT_TIMEOUT)
}

fn frames(message: Message) -> Vec<Bytes> {
    (0..message.len()).filter_map(|index| message.part_bytes(index)).collect()
}

fn address(endpoint: &Endpoint) -> Result<Address, TransportError> {
    endpoint.to_string().parse().map_err(TransportError::of)
}

async fn bind(socket: &Socket, endpoint: &Endpoint) -> Result<Endpoint, TransportError> {
    let bound = socket.bind(address(endpoint)?).await.map_err(TransportError::of)?;
    // What the crate prints is of no form we refuse; if it were, the address asked for is the better answer.
    Ok(bound.to_string().parse().unwrap_or_else(|_| endpoint.clone()))
}

async fn connect(socket: &Socket, endpoint: &Endpoint) -> Result<(), TransportError> {
    socket.connect(address(endpoint)?).await.map(drop).map_err(TransportError::of)
}

async fn connections(socket: &Socket) -> Result<Vec<ConnectionId>, TransportError> {
    let all = socket.connections().await.map_err(TransportError::of)?;
    Ok(all.iter().map(|it| ConnectionId(it.connection_id)).collect())
}

async fn disconnect(socket: &Socket, connection: ConnectionId) {
    // Already gone is what was wanted.
    let _ = socket.disconnect_peer(connection.0).await;
}

async fn close(socket: Socket) {
    // What could not be sent in that time is lost either way.
    let _ = socket.close_with_linger(Some(LINGER)).await;
}
