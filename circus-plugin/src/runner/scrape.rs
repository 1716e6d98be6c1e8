//! The smallest web server that Prometheus can ask: `GET /metrics`, one request for each connection.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::machine::Input;

/// Connections at once; the next ones wait in the kernel's queue.
const CONNECTIONS: usize = 32;
/// The longest request.
const REQUEST: usize = 8 * 1024;
/// How long a request may take to arrive, and an answer to leave.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a connection that could not be accepted.
const WITHOUT_DESCRIPTOR: Duration = Duration::from_millis(100);
/// What the metrics are.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Those who wait for metrics.
type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<String>>>>;

/// The server.
#[derive(Debug)]
pub(super) struct Scrapes {
    address: SocketAddr,
    waiting: Waiting,
}

impl Scrapes {
    pub async fn listen(address: &str, inputs: mpsc::Sender<Input>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let waiting = Waiting::default();
        let address = listener.local_addr()?;
        tokio::spawn(accept(listener, Arc::clone(&waiting), inputs));
        Ok(Self { address, waiting })
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn serve(&self, id: u64, body: String) {
        if let Some(waiting) = lock(&self.waiting).remove(&id) {
            // Whoever has gone away meanwhile wants it no longer.
            let _ = waiting.send(body);
        }
    }
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<String>>> {
    // Nothing that could panic is done under the lock.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, waiting: Waiting, inputs: mpsc::Sender<Input>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut id = 0;
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is free: the next connection waits with the others, and nothing spins.
            sleep_until(Instant::now() + WITHOUT_DESCRIPTOR).await;
            continue;
        };
        id += 1;
        let (waiting, inputs) = (Arc::clone(&waiting), inputs.clone());
        tokio::spawn(async move {
            // A client that is too slow is let go, and what it waited for forgotten.
            let _ = timeout(2 * PATIENCE, serve(stream, id, &waiting, inputs)).await;
            lock(&waiting).remove(&id);
            drop(place);
        });
    }
}

async fn serve(
    mut stream: TcpStream,
    id: u64,
    waiting: &Waiting,
    inputs: mpsc::Sender<Input>,
) -> io::Result<()> {
    let Ok(request) = timeout(PATIENCE, request(&mut stream)).await else { return Ok(()) };
    let (status, kind, body) = match path(&request?) {
        Some("/metrics") => {
            let (sender, receiver) = oneshot::channel();
            lock(waiting).insert(id, sender);
            if inputs.send(Input::Scrape { id }).await.is_err() {
                return Ok(());
            }
            match receiver.await {
                Ok(body) => ("200 OK", OPENMETRICS, body),
                Err(_) => ("503 Service Unavailable", "text/plain", "too many ask\n".to_owned()),
            }
        }
        Some(_) => ("404 Not Found", "text/plain", "look at /metrics\n".to_owned()),
        None => ("400 Bad Request", "text/plain", "GET only\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The head of a request, as far as it came.
async fn request(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while head.len() < REQUEST && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => break,
            length => head.extend_from_slice(&piece[..length]),
        }
    }
    Ok(head)
}

/// The path of a GET, without what follows a question mark.
fn path(request: &[u8]) -> Option<&str> {
    let line = request.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
    let target = std::str::from_utf8(line).ok()?.strip_prefix("GET ")?.split(' ').next()?;
    target.split('?').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_a_get_is_read() {
        assert_eq!(path(b"GET /metrics?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"), Some("/metrics"));
        for bytes in [&b"POST /metrics HTTP/1.1\r\n\r\n"[..], b"", b"\xff\xff", b"GET"] {
            assert_eq!(path(bytes), None);
        }
    }

    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_scrape_is_answered_by_the_plugin_and_everything_else_at_once() {
        let (inputs, mut received) = mpsc::channel(8);
        let scrapes = Scrapes::listen("127.0.0.1:0", inputs).await.unwrap();
        let address = scrapes.address();
        let asked = tokio::spawn(async move { ask(address, b"GET /metrics HTTP/1.1\r\n\r\n").await });
        let Some(Input::Scrape { id }) = received.recv().await else { panic!("it is asked") };
        scrapes.serve(id, "# EOF\n".to_owned());
        let answer = asked.await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n# EOF\n"));
        assert!(ask(address, b"GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(ask(address, b"\x00\xffrubbish\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    }
}
