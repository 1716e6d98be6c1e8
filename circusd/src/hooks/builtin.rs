//! Hooks that need no program: is there somebody, or something?
//!
//! One look each; what is not there is "not now", so that the core asks again with growing pauses.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::arbiter::hook::Verdict;

/// The longest that one look takes; a hook's own time limit is not reached by it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer that hold its first line.
const STATUS_LINE: usize = 1024;

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Somebody who accepts connections.
    Tcp { host: String, port: u16 },
    /// A page.
    Http { host: String, port: u16, path: String },
    /// A file.
    File(String),
}

impl Look {
    /// Looks once.
    pub async fn once(self, limit: Option<Duration>) -> Verdict {
        let patience = limit.map_or(PATIENCE, |limit| PATIENCE.min(limit / 2));
        match tokio::time::timeout(patience, self.look()).await {
            Ok(true) => Verdict::Yes,
            Ok(false) | Err(_) => Verdict::NotNow,
        }
    }

    async fn look(self) -> bool {
        match self {
            Self::Tcp { host, port } => TcpStream::connect((host.as_str(), port)).await.is_ok(),
            Self::Http { host, port, path } => page(&host, port, &path).await.is_some_and(|good| good),
            // A file system that hangs holds up this look and nobody else.
            Self::File(path) => {
                tokio::task::spawn_blocking(move || std::fs::metadata(path).is_ok()).await.unwrap_or(false)
            }
        }
    }
}

/// Whether the page answers with 2xx or 3xx; `None` if nobody answers.
async fn page(host: &str, port: u16, path: &str) -> Option<bool> {
    let mut stream = TcpStream::connect((host, port)).await.ok()?;
    let name = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let request = format!("GET {path} HTTP/1.0\r\nHost: {name}:{port}\r\nUser-Agent: circusd\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::with_capacity(STATUS_LINE);
    while answer.len() < STATUS_LINE && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await.ok()? == 0 {
            break;
        }
    }
    is_good(&answer)
}

/// `HTTP/1.1 204 No Content`.
fn is_good(answer: &[u8]) -> Option<bool> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let status: u16 = words.next()?.strip_prefix("HTTP/").and_then(|_| words.next())?.parse().ok()?;
    Some((200..400).contains(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_says_whether_the_page_is_there() {
        for (answer, good) in [
            ("HTTP/1.1 200 OK\r\n", Some(true)),
            ("HTTP/1.0 302 Found\r\n", Some(true)),
            ("HTTP/1.1 404 Not Found\r\n", Some(false)),
            ("HTTP/1.1 503\n", Some(false)),
            ("SSH-2.0-OpenSSH\r\n", None),
            ("", None),
            ("HTTP/1.1 abc", None),
        ] {
            assert_eq!(is_good(answer.as_bytes()), good, "{answer}");
        }
    }
}
