//! Which requests are under way, for whom, and how many there may be.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use circus_common::{
    protocol::Echo,
    transport::{ConnectionId, Peer},
};

use crate::arbiter::id::RequestId;

/// Requests of one connection that may be under way.
pub const MAX_IN_FLIGHT: usize = 128;
/// Their bytes together; the largest single request always fits.
pub const MAX_BYTES_IN_FLIGHT: usize = 2 * circus_common::transport::MAX_REQUEST;
/// Clients that may be connected.
pub const MAX_PEERS: usize = 4096;
/// Requests that may wait for the daemon's loop.
pub const QUEUE: usize = 1024;

/// Counts every request of this process, so that an answer from before a restart in place finds nobody.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Whether the frames had an empty one in front, as REQ sends it; the answer then has one too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    Bare,
    Delimited,
}

/// A request that is owed an answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) peer: Peer,
    pub(super) envelope: Envelope,
    pub(super) id: Echo,
    weight: usize,
}

/// What one connection has under way.
#[derive(Debug, Default)]
struct Load {
    owed: usize,
    bytes: usize,
    queued: Arc<Queued>,
}

/// What one connection has in the queue to the daemon's loop; casts are counted nowhere else.
#[derive(Debug, Default)]
struct Queued {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

/// A place in that queue.
#[derive(Debug)]
pub(super) struct Place {
    queued: Arc<Queued>,
    weight: usize,
}

impl Place {
    fn in_queue(queued: Arc<Queued>, weight: usize) -> Self {
        queued.count.fetch_add(1, Ordering::Relaxed);
        queued.bytes.fetch_add(weight, Ordering::Relaxed);
        Self { queued, weight }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queued.count.fetch_sub(1, Ordering::Relaxed);
        self.queued.bytes.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

/// All requests under way.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pending: BTreeMap<RequestId, Pending>,
    loads: HashMap<ConnectionId, Load>,
    /// The connections there are.
    live: HashSet<ConnectionId>,
    /// The number of `pending`, for others to see.
    owed: Arc<AtomicUsize>,
}

impl InFlight {
    /// A place for a request of that many bytes, unless its connection has too much under way.
    pub(super) fn admit(&mut self, connection: ConnectionId, weight: usize) -> Option<Place> {
        if !self.is_live(connection) {
            // What it could send before it left is little: the receive queue of the socket.
            return Some(Place::in_queue(Arc::default(), weight));
        }
        let load = self.loads.entry(connection).or_default();
        let queued = &load.queued;
        let count = load.owed.max(queued.count.load(Ordering::Relaxed));
        let bytes = load.bytes.max(queued.bytes.load(Ordering::Relaxed));
        if count >= MAX_IN_FLIGHT || bytes + weight > MAX_BYTES_IN_FLIGHT {
            return None;
        }
        Some(Place::in_queue(Arc::clone(queued), weight))
    }

    /// Names a request.
    pub(super) fn name() -> RequestId {
        RequestId(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether the connection is still there. Requests may arrive after their client has left.
    pub(super) fn is_live(&self, connection: ConnectionId) -> bool {
        self.live.contains(&connection)
    }

    /// Remembers to whom the answer is owed. Its connection must be live, or nothing would end the debt but
    /// the answer itself.
    pub(super) fn owe(
        &mut self,
        request: RequestId,
        peer: Peer,
        envelope: Envelope,
        id: Echo,
        weight: usize,
    ) {
        let load = self.loads.entry(peer.connection()).or_default();
        load.owed += 1;
        load.bytes += weight;
        self.pending.insert(request, Pending { peer, envelope, id, weight });
        self.count();
    }

    /// Takes out a request that is answered now; `None` if its client has vanished.
    pub(super) fn settle(&mut self, request: RequestId) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        self.count();
        if let Some(load) = self.loads.get_mut(&pending.peer.connection()) {
            load.owed -= 1;
            load.bytes -= pending.weight;
        }
        Some(pending)
    }

    /// The requests that are owed an answer, oldest first.
    pub(super) fn unanswered(&self) -> Vec<RequestId> {
        self.pending.keys().copied().collect()
    }

    /// Learns which connections there are, and forgets everything of the others.
    pub(super) fn keep(&mut self, live: HashSet<ConnectionId>) {
        self.live = live;
        let before = self.loads.len();
        self.loads.retain(|connection, _| self.live.contains(connection));
        if self.loads.len() < before {
            self.pending.retain(|_, pending| self.live.contains(&pending.peer.connection()));
            self.count();
        }
    }

    /// How many answers are owed, now and from then on.
    pub(super) fn owed(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.owed)
    }

    fn count(&self) {
        self.owed.store(self.pending.len(), Ordering::Relaxed);
    }
}
