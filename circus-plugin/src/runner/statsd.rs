//! Datagrams to a statsd server. Losing one is no harm, so nothing waits and nothing is repeated.

use std::time::Duration;

use tokio::{
    net::{UdpSocket, lookup_host},
    sync::mpsc,
    task::JoinHandle,
    time::Instant,
};

/// Metrics that may wait; more are dropped.
const QUEUE: usize = 10_000;
/// The server's name is looked up again after this: it may have moved.
const LOOKED_UP_FOR: Duration = Duration::from_secs(60);

/// The way to the server.
#[derive(Debug)]
pub(super) struct Statsd {
    lines: mpsc::Sender<String>,
    task: JoinHandle<()>,
}

impl Statsd {
    pub fn start(host: String, port: u16) -> Self {
        let (lines, waiting) = mpsc::channel(QUEUE);
        Self { lines, task: tokio::spawn(run(host, port, waiting)) }
    }

    pub fn send(&self, line: String) {
        // What does not fit is lost, as any datagram may be.
        let _ = self.lines.try_send(line);
    }

    /// Sends what waits.
    pub async fn close(self) {
        drop(self.lines);
        // It ends by itself.
        let _ = self.task.await;
    }
}

async fn run(host: String, port: u16, mut waiting: mpsc::Receiver<String>) {
    let mut way: Option<UdpSocket> = None;
    let mut looked_up: Option<Instant> = None;
    while let Some(line) = waiting.recv().await {
        if looked_up.is_none_or(|at| at.elapsed() > LOOKED_UP_FOR) {
            looked_up = Some(Instant::now());
            // A server that cannot be found now keeps its last address.
            way = connect(&host, port).await.or(way);
        }
        if let Some(socket) = &way {
            // Nobody there is an error of the datagram before.
            if socket.send(line.as_bytes()).await.is_err() {
                let _ = socket.send(line.as_bytes()).await;
            }
        }
    }
}

/// Circus speaks IPv4 here, so that comes first.
async fn connect(host: &str, port: u16) -> Option<UdpSocket> {
    let mut addresses: Vec<_> = lookup_host((host, port)).await.ok()?.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    let address = addresses.first()?;
    let own = if address.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(own).await.ok()?;
    socket.connect(address).await.ok()?;
    Some(socket)
}
