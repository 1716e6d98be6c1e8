//! Hits of managed sockets: how many periods of 10 ms found a connection that nobody had accepted yet.
//!
//! Circus looks a hundred times a second. Here a socket is waited for until something comes, then looked at every
//! 10 ms for as long as something is pending: the same figures, no wake-up while it is quiet. Nothing is ever accepted,
//! and waiting takes no connection away from those who accept.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use circus_common::{os::inherited, protocol::json};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{SocketAddrAny, getsockname},
};
use serde_json::{Value, json};
use tokio::{
    io::unix::AsyncFd,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tracing::debug;

use crate::{
    publisher::Message,
    streamer::{Listening, Place},
};

/// The period in which any number of pending connections counts once.
const PERIOD: Duration = Duration::from_millis(10);

/// The sockets that are looked at.
#[derive(Debug, Default)]
pub struct Hits {
    listed: Option<Arc<[Listening]>>,
    looks: Vec<Look>,
}

/// One socket under observation. Ends with its value.
#[derive(Debug)]
struct Look {
    socket: Listening,
    hits: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Look {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hits {
    /// Looks at those of circusd's sockets that this process has inherited, and at no others.
    pub fn watch(&mut self, sockets: &Arc<[Listening]>) {
        if self.listed.as_ref() == Some(sockets) {
            return;
        }
        self.looks.retain(|look| sockets.contains(&look.socket));
        for socket in sockets.iter() {
            if self.looks.iter().all(|look| look.socket != *socket) {
                match begin(socket) {
                    Some(look) => self.looks.push(look),
                    None => {
                        debug!(
                            "the socket at {} is not inherited: its hits are not counted",
                            socket.address()
                        )
                    }
                }
            }
        }
        self.looks.sort_by_key(|look| look.socket.fd);
        self.listed = Some(Arc::clone(sockets));
    }

    /// Looks at nothing any more.
    pub fn rest(&mut self) {
        *self = Self::default();
    }

    /// What was counted since the last time; nothing without sockets.
    pub fn messages(&self) -> Vec<Message> {
        let counts = self.looks.iter().map(|look| (&look.socket, look.hits.swap(0, Ordering::Relaxed)));
        messages(counts.collect())
    }
}

fn messages(counts: Vec<(&Listening, u64)>) -> Vec<Message> {
    if counts.is_empty() {
        return Vec::new();
    }
    let message = |topic: String, payload: Value| Message { topic, payload: json::to_text(&payload) };
    let addresses: Vec<String> = counts.iter().map(|(socket, _)| socket.address()).collect();
    let total: u64 = counts.iter().map(|(_, reads)| reads).sum();
    let mut messages: Vec<Message> = counts
        .into_iter()
        .map(|(socket, reads)| {
            let fd = socket.fd;
            let payload = json!({"fd": fd, "subtopic": fd, "reads": reads, "address": socket.address()});
            message(format!("stat.sockets.{fd}"), payload)
        })
        .collect();
    messages.push(message("stat.sockets".to_owned(), json!({"addresses": addresses, "reads": total})));
    messages
}

/// `None` when there is no such descriptor here, or it is another socket than circusd's.
fn begin(socket: &Listening) -> Option<Look> {
    let fd = inherited::duplicate(socket.fd).ok()?;
    let bound = getsockname(&fd).ok()?;
    if !is_at(&bound, &socket.place) {
        return None;
    }
    let fd = inherited::readable(fd).ok()?;
    let hits = Arc::new(AtomicU64::new(0));
    let task = tokio::spawn(count(fd, Arc::clone(&hits)));
    Some(Look { socket: socket.clone(), hits, task })
}

fn is_at(bound: &SocketAddrAny, place: &Place) -> bool {
    match place {
        Place::Path(path) => rustix::net::SocketAddrUnix::try_from(bound.clone())
            .is_ok_and(|bound| bound.path().is_some_and(|bound| bound.to_bytes() == path.as_bytes())),
        Place::Port { host, port } => SocketAddr::try_from(bound.clone()).is_ok_and(|bound| {
            bound.port() == *port && host.parse().is_ok_and(|host: IpAddr| host == bound.ip())
        }),
    }
}

async fn count(fd: AsyncFd<OwnedFd>, hits: Arc<AtomicU64>) {
    loop {
        // The notice of something new is thrown away before the look, so none is missed after it.
        match fd.readable().await {
            Ok(mut notice) => notice.clear_ready(),
            Err(_) => return,
        }
        while is_pending(&fd) {
            hits.fetch_add(1, Ordering::Relaxed);
            sleep_until(Instant::now() + PERIOD).await;
        }
    }
}

fn is_pending(fd: &AsyncFd<OwnedFd>) -> bool {
    let mut polled = [PollFd::new(fd.get_ref(), PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)).is_ok_and(|count| count > 0)
        && polled[0].revents().contains(PollFlags::IN)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
        os::{fd::AsRawFd, unix::net::UnixListener},
    };

    use super::*;

    fn tcp() -> (TcpListener, Listening) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let place = Place::Port { host: "127.0.0.1".to_owned(), port };
        let fd = listener.as_raw_fd();
        (listener, Listening { fd, place })
    }

    /// The sum of the next count that is as wanted.
    async fn wait_reads(hits: &Hits, wanted: impl Fn(u64) -> bool) {
        loop {
            sleep_until(Instant::now() + PERIOD * 5).await;
            let reads = hits.looks[0].hits.swap(0, Ordering::Relaxed);
            if wanted(reads) {
                return;
            }
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_not_accepted_counts_once_a_period_until_it_is() {
        let (listener, socket) = tcp();
        let mut hits = Hits::default();
        hits.watch(&Arc::from([socket.clone()]));
        assert_eq!(hits.messages().len(), 2);
        wait_reads(&hits, |reads| reads == 0).await;
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Five periods: more counts than there are connections, and not more than there are periods.
        wait_reads(&hits, |reads| (2..=6).contains(&reads)).await;
        let _accepted = listener.accept().unwrap();
        wait_reads(&hits, |reads| reads == 0).await;
        let (fd, address) = (socket.fd, socket.address());
        assert_eq!(
            hits.messages().into_iter().map(|it| it.payload).collect::<Vec<_>>(),
            [
                format!(r#"{{"fd": {fd}, "subtopic": {fd}, "reads": 0, "address": "{address}"}}"#),
                format!(r#"{{"addresses": ["{address}"], "reads": 0}}"#),
            ]
        );
    }

    #[tokio::test]
    async fn what_is_not_circusds_socket_is_not_looked_at() {
        let (_listener, socket) = tcp();
        let other = Listening { place: Place::Port { host: "127.0.0.2".to_owned(), port: 1 }, ..socket };
        let closed = Listening { fd: 999_999, place: Place::Path("/run/x".to_owned()) };
        let file = std::fs::File::open("/dev/null").unwrap();
        let no_socket = Listening { fd: file.as_raw_fd(), place: Place::Path(String::new()) };
        let mut hits = Hits::default();
        hits.watch(&Arc::from([other, closed, no_socket]));
        assert_eq!(hits.messages(), []);
    }

    #[tokio::test]
    async fn a_socket_file_is_known_by_its_path() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("ux.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let place = Place::Path(path.display().to_string());
        let mut hits = Hits::default();
        hits.watch(&Arc::from([Listening { fd: listener.as_raw_fd(), place }]));
        let messages = hits.messages();
        assert_eq!(messages[0].topic, format!("stat.sockets.{}", listener.as_raw_fd()));
        assert_eq!(messages[1].topic, "stat.sockets");
        hits.rest();
        assert_eq!(hits.messages(), []);
    }
}
