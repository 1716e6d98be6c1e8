//! Waiting for connections without accepting them: one wake-up for each time it is asked.

use std::{collections::BTreeMap, io, os::fd::OwnedFd, sync::Arc};

use rustix::event::{PollFd, PollFlags, epoll, poll};
use tokio::io::{Interest, unix::AsyncFd};

use super::managed::Managed;

/// How many sockets one wake-up takes.
const BATCH: usize = 16;

/// A moment that has passed already.
const NOW: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };

/// The sockets that are waited for.
#[derive(Debug)]
pub struct Waits {
    poll: AsyncFd<OwnedFd>,
    waited: BTreeMap<u64, Wait>,
    last: u64,
}

#[derive(Debug)]
struct Wait {
    name: String,
    socket: Arc<Managed>,
}

impl Waits {
    /// None yet.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // SAFETY: an owned descriptor, which stays open and the same until the `AsyncFd` drops it.
        let poll = unsafe { AsyncFd::register_with_interest(poll, Interest::READABLE) }?;
        Ok(Self { poll, waited: BTreeMap::new(), last: 0 })
    }

    /// Whether this socket is waited for.
    pub fn has(&self, name: &str) -> bool {
        self.waited.values().any(|wait| wait.name == name)
    }

    /// Waits for a socket. True when something waits there already: then it is not waited for.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn add(&mut self, name: &str, socket: &Arc<Managed>) -> io::Result<bool> {
        let mut asked = [PollFd::new(socket, PollFlags::IN)];
        poll(&mut asked, Some(&NOW))?;
        if asked.iter().any(|asked| asked.revents().contains(PollFlags::IN)) {
            return Ok(true);
        }
        self.last += 1;
        epoll::add(
            self.poll.get_ref(),
            socket.as_ref(),
            epoll::EventData::new_u64(self.last),
            epoll::EventFlags::IN,
        )?;
        self.waited.insert(self.last, Wait { name: name.to_owned(), socket: Arc::clone(socket) });
        Ok(false)
    }

    /// Waits only for those of which this is true.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        let poll = self.poll.get_ref();
        self.waited.retain(|_, wait| {
            let stays = wanted(&wait.name);
            if !stays {
                forget(poll, wait);
            }
            stays
        });
    }

    /// The next sockets with a connection; they are not waited for any more. Cancel-safe.
    pub async fn ready(&mut self) -> Vec<String> {
        loop {
            let mut guard = match self.poll.readable().await {
                Ok(guard) => guard,
                // The runtime is shutting down: there is nothing more to report.
                Err(_) => return std::future::pending().await,
            };
            let mut events = Vec::with_capacity(BATCH);
            let waited =
                epoll::wait(guard.get_inner(), rustix::buffer::spare_capacity(&mut events), Some(&NOW));
            if waited.is_err() || events.is_empty() {
                guard.clear_ready();
                continue;
            }
            drop(guard);
            let numbers = events.iter().map(|event| event.data.u64());
            return numbers.filter_map(|number| self.take(number)).collect();
        }
    }

    fn take(&mut self, number: u64) -> Option<String> {
        let wait = self.waited.remove(&number)?;
        forget(self.poll.get_ref(), &wait);
        Some(wait.name)
    }
}

/// Takes a socket out: workers hold it open too, so closing ours would not.
fn forget(poll: &OwnedFd, wait: &Wait) {
    // It was added and is open, so there is nothing to refuse.
    let _deleted = epoll::delete(poll, wait.socket.as_ref());
}
