//! The control endpoint: request frames in, reply frames out.
//!
//! Refuses by itself what is no valid request, so that the arbiter sees commands only. Never waits for a
//! client: an answer that does not fit is counted and dropped.
//!
//! Invariant: of a client that has vanished nothing is left, and no other client gets its answers.

mod bind;
mod crowd;
mod edge;
mod inflight;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use circus_common::{
    bind::bind_endpoint,
    config::endpoint::Endpoint,
    protocol::{Command, Reply},
    transport::Router,
};
use tokio::{sync::mpsc, task::JoinHandle};

pub use bind::Settings;
pub use circus_common::bind::BindError;
pub(crate) use crowd::tidy_after;
pub use inflight::{MAX_BYTES_IN_FLIGHT, MAX_IN_FLIGHT, MAX_PEERS, QUEUE};

use crate::{
    arbiter::{id::RequestId, input::Input},
    os::ipc::SocketFile,
};

/// A valid request.
#[derive(Debug)]
pub struct Incoming {
    /// Names the answer.
    pub request: RequestId,
    /// What is asked.
    pub command: Box<Command>,
    /// Whether an answer is wanted.
    pub reply: bool,
    /// Its place in the queue, given back when this value is dropped.
    _place: inflight::Place,
}

impl From<Incoming> for Input {
    fn from(incoming: Incoming) -> Self {
        let Incoming { request, command, reply, _place } = incoming;
        Self::Request { request, command, reply }
    }
}

/// The control endpoint, bound.
#[derive(Debug)]
pub struct Controller {
    answers: mpsc::UnboundedSender<edge::Answer>,
    owed: Arc<AtomicUsize>,
    endpoints: Vec<Endpoint>,
    files: Vec<SocketFile>,
    task: JoinHandle<()>,
}

impl Controller {
    /// Binds every endpoint and begins to receive.
    ///
    /// # Errors
    /// When one of the endpoints cannot be bound; none stays bound then.
    pub async fn bind(settings: Settings) -> Result<(Self, mpsc::Receiver<Incoming>), BindError> {
        let router = Router::new().map_err(BindError::Socket)?;
        let (mut endpoints, mut files) = (Vec::new(), Vec::new());
        for endpoint in settings.endpoints() {
            let (bound, file) =
                bind_endpoint(endpoint, settings.owner(), async |it: &Endpoint| router.bind(it).await)
                    .await?;
            endpoints.push(bound);
            files.extend(file);
        }
        let (incoming, requests) = mpsc::channel(QUEUE);
        // Holds one answer for each request in flight at most, and those are bounded.
        let (answers, to_send) = mpsc::unbounded_channel();
        tokio::spawn(tidy_after(router.traffic()));
        let in_flight = inflight::InFlight::default();
        let owed = in_flight.owed();
        let task = tokio::spawn(edge::Edge::new(router, incoming, in_flight, settings.peers()).run(to_send));
        Ok((Self { answers, owed, endpoints, files, task }, requests))
    }

    /// The addresses with the ports that were really bound.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// How many answers are owed to clients that are still there.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.owed.load(Ordering::Relaxed)
    }

    /// Answers a request. Never waits; without effect when the client has vanished.
    pub fn reply(&self, request: RequestId, reply: Reply) {
        // The task ends with the controller only.
        let _ = self.answers.send(edge::Answer::To(request, reply));
    }

    /// Answers what was not answered so far with `refusal`, sends for a second at most, and frees the addresses.
    pub async fn close(self, refusal: Reply) {
        let _ = self.answers.send(edge::Answer::Close(refusal));
        // It ends by itself; if it panicked there is nothing to send.
        let _ = self.task.await;
        drop(self.files);
    }
}
