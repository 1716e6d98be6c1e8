//! The one task that owns the control socket.

use std::{
    collections::HashSet,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use circus_common::{
    protocol::{Echo, ErrorCode, Reply, Request},
    transport::{ConnectionId, Peer, ROUTER_RECEIVE_QUEUE, Router, SendRefused},
};
use tokio::{sync::mpsc, task::yield_now};
use tracing::{debug, warn};

use super::{
    Incoming,
    inflight::{Envelope, InFlight},
};
use crate::{arbiter::id::RequestId, os::memory};

/// Turns given to the task that writes to a client whose queue is full, before its answer is dropped: a burst of
/// answers is longer than the queue, and the client may well be reading.
const WRITING_TURNS: u32 = 64;

/// Turns in which requests are still taken in, and refused, when all else is closed: what connections have not read by
/// then is lost.
const LAST_TURNS: u32 = 16;

/// An answer of so many bytes leaves memory to give back: the figures of some fifty processes have as many.
const LONG_ANSWER: usize = 16 * 1024;

/// What the daemon's loop tells the task.
#[derive(Debug)]
pub(super) enum Answer {
    /// Send this.
    To(RequestId, Reply),
    /// Answer whoever is still owed an answer with this, send what is left and end.
    Close(Reply),
}

/// What did not go as clients wished. Each kind is logged when it happens first, all of them at the end.
#[derive(Debug, Default)]
struct Losses {
    /// Requests refused because too many were under way.
    busy: u64,
    /// Casts dropped for the same reason.
    casts: u64,
    /// Answers dropped because the client does not read.
    unread: u64,
    /// Answers dropped because the client is gone.
    gone: u64,
    /// Messages of a wrong number of frames.
    frames: u64,
    /// Clients turned away.
    peers: u64,
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { busy, casts, unread, gone, frames, peers } = self;
        write!(f, "refused: {busy} requests, {casts} casts, {frames} messages, {peers} clients; ")?;
        write!(f, "answers not taken: {unread} unread, {gone} of clients that had gone")
    }
}

/// Counts, and says whether it was the first.
const fn first(count: &mut u64) -> bool {
    *count += 1;
    *count == 1
}

/// The socket and all that is known of its clients.
#[derive(Debug)]
pub(super) struct Edge {
    router: Router,
    incoming: mpsc::Sender<Incoming>,
    in_flight: InFlight,
    /// The generation of the connections that `in_flight` knows.
    seen: u64,
    /// How many clients there may be.
    peers: usize,
    /// Clients that left an answer unread: the others do not wait for them again.
    deaf: HashSet<ConnectionId>,
    losses: Losses,
}

impl Edge {
    pub(super) fn new(
        router: Router,
        incoming: mpsc::Sender<Incoming>,
        in_flight: InFlight,
        peers: usize,
    ) -> Self {
        let seen = router.generation();
        let deaf = HashSet::new();
        Self { router, incoming, in_flight, seen, peers, deaf, losses: Losses::default() }
    }

    /// Receives and answers until it is told to close.
    pub(super) async fn run(mut self, mut answers: mpsc::UnboundedReceiver<Answer>) {
        loop {
            // By turns, not by rank: neither a flood nor a coming and going of clients may keep the others out.
            tokio::select! {
                answer = answers.recv() => match answer {
                    Some(Answer::To(request, reply)) => {
                        self.refresh().await;
                        self.answer(request, &reply).await;
                    }
                    Some(Answer::Close(reply)) => {
                        self.refuse_all(&reply).await;
                        self.refuse_late(&reply).await;
                        break;
                    }
                    None => break,
                },
                changed = self.router.changed(self.seen) => match changed {
                    Ok(()) => self.refresh().await,
                    Err(_) => break,
                },
                message = self.router.recv() => match message {
                    Ok((peer, frames)) => {
                        self.refresh().await;
                        self.receive(peer, frames).await;
                        // A flood must not keep the daemon's loop from its turn.
                        yield_now().await;
                    }
                    Err(_) => break,
                },
            }
        }
        debug!("control endpoint closed; {}", self.losses);
        self.router.close().await;
    }

    /// Learns who is still there, forgets the others, and turns away whoever came when it was full.
    ///
    /// Done before each request and answer too: a client that is gone is owed nothing, and a newcomer that took
    /// over its identity must not get its answer.
    async fn refresh(&mut self) {
        let generation = self.router.generation();
        if generation == self.seen {
            return;
        }
        let Ok(mut live) = self.router.connections().await else { return };
        self.seen = generation;
        if live.len() > self.peers {
            live.sort_unstable();
            for newest in live.split_off(self.peers) {
                if first(&mut self.losses.peers) {
                    warn!(limit = self.peers, "too many clients: newcomers are turned away");
                }
                self.router.disconnect(newest).await;
            }
        }
        let live: HashSet<ConnectionId> = live.into_iter().collect();
        self.deaf.retain(|connection| live.contains(connection));
        self.in_flight.keep(live);
    }

    async fn receive(&mut self, peer: Peer, frames: Vec<Bytes>) {
        let Some((envelope, body)) = self.open(&frames) else { return };
        let request = Request::parse(body);
        // Whoever left without waiting still gets what he asked for.
        let reply = !request.cast && self.in_flight.is_live(peer.connection());
        let command = match request.command {
            Ok(command) => command,
            Err(_) if !reply => return,
            Err(refusal) => return self.send(&peer, envelope, &request.id, &refusal).await,
        };
        let name = InFlight::name();
        let admitted = self.in_flight.admit(peer.connection(), body.len()).and_then(|place| {
            let command = Box::new(command);
            let incoming = Incoming { request: name, command, reply, _place: place };
            self.incoming.try_send(incoming).ok()
        });
        match (admitted, reply) {
            (Some(()), false) => {}
            (Some(()), true) => self.in_flight.owe(name, peer, envelope, request.id, body.len()),
            (None, false) => {
                if first(&mut self.losses.casts) {
                    warn!("too many requests in flight: casts are dropped");
                }
            }
            (None, true) => {
                if first(&mut self.losses.busy) {
                    warn!("too many requests in flight: clients are refused");
                }
                let busy = Reply::error(ErrorCode::Command, "too many requests in flight");
                self.send(&peer, envelope, &request.id, &busy).await;
            }
        }
    }

    /// The envelope of a request and its text.
    fn open<'f>(&mut self, frames: &'f [Bytes]) -> Option<(Envelope, &'f Bytes)> {
        match frames {
            [body] => Some((Envelope::Bare, body)),
            [delimiter, body] if delimiter.is_empty() => Some((Envelope::Delimited, body)),
            _ => {
                if first(&mut self.losses.frames) {
                    warn!(frames = frames.len(), "got a message that is no request");
                }
                None
            }
        }
    }

    async fn answer(&mut self, request: RequestId, reply: &Reply) {
        match self.in_flight.settle(request) {
            Some(pending) => self.send(&pending.peer, pending.envelope, &pending.id, reply).await,
            None => self.losses.gone += 1,
        }
    }

    /// Nobody will answer these any more.
    async fn refuse_all(&mut self, reply: &Reply) {
        self.refresh().await;
        for request in self.in_flight.unanswered() {
            self.answer(request, reply).await;
        }
    }

    /// Nor these, which have arrived and were not looked at. A flood of them ends with the turns.
    async fn refuse_late(&mut self, refusal: &Reply) {
        for _ in 0..LAST_TURNS {
            self.refresh().await;
            for _ in 0..ROUTER_RECEIVE_QUEUE {
                let Some((peer, frames)) = self.arrived().await else { break };
                let Some((envelope, body)) = self.open(&frames) else { continue };
                let request = Request::parse(body);
                if !request.cast {
                    let reply = request.command.err();
                    self.send(&peer, envelope, &request.id, reply.as_ref().unwrap_or(refusal)).await;
                }
            }
            yield_now().await;
        }
    }

    /// A message that is there already.
    async fn arrived(&self) -> Option<(Peer, Vec<Bytes>)> {
        tokio::select! {
            biased;
            message = self.router.recv() => message.ok(),
            () = std::future::ready(()) => None,
        }
    }

    async fn send(&mut self, peer: &Peer, envelope: Envelope, id: &Echo, reply: &Reply) {
        let body = Bytes::from(reply.encode(id, wall_time()));
        if body.len() >= LONG_ANSWER {
            memory::tidy_later();
        }
        let frames = match envelope {
            Envelope::Bare => vec![body],
            Envelope::Delimited => vec![Bytes::new(), body],
        };
        match self.try_send(peer, frames).await {
            Ok(()) => {
                self.deaf.remove(&peer.connection());
            }
            Err(SendRefused::Full) => {
                self.deaf.insert(peer.connection());
                if first(&mut self.losses.unread) {
                    warn!("a client does not read its answers: they are dropped");
                }
            }
            Err(SendRefused::Gone) => {
                if first(&mut self.losses.gone) {
                    debug!("a client left before its answer");
                }
            }
        }
    }

    /// Sends, and lets the connection's own task write where the queue is full.
    async fn try_send(&self, peer: &Peer, frames: Vec<Bytes>) -> Result<(), SendRefused> {
        let turns = if self.deaf.contains(&peer.connection()) { 0 } else { WRITING_TURNS };
        for _ in 0..turns {
            match self.router.try_send(peer, frames.clone()) {
                Err(SendRefused::Full) => yield_now().await,
                done @ (Ok(()) | Err(SendRefused::Gone)) => return done,
            }
        }
        self.router.try_send(peer, frames)
    }
}

/// Seconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "this is the edge: answers are stamped where they leave")]
fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
