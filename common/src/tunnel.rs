//! `--ssh`: a tunnel to the daemon through the system's ssh.
//!
//! ssh asks for passwords and host keys on the terminal itself, then goes to the background; it ends by itself
//! when the connection through it ends, or after a minute without one.

use std::{
    io,
    net::TcpListener,
    process::{ChildStderr, Command, ExitStatus, Stdio},
};

use crate::Endpoint;

/// How long ssh waits for a connection through it, in seconds.
const UNUSED_FOR: &str = "60";
/// The longest line of ssh that is taken as one.
const LONGEST_LINE: u64 = 4096;

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// Only TCP goes through.
    #[error("cannot tunnel to {0}: --ssh needs a tcp:// endpoint")]
    NotTcp(String),
    /// The server is not in the form user@host:port.
    #[error("cannot use `{0}` as the ssh server: expected [user@]host[:port]")]
    Server(String),
    /// No local port is free.
    #[error("cannot find a local port for the tunnel: {0}")]
    Port(io::Error),
    /// There is no ssh.
    #[error("cannot run ssh: {0}")]
    Run(io::Error),
    /// It gave up; its own words stand above.
    #[error("cannot open the tunnel: ssh ended with {0}")]
    Ssh(ExitStatus),
    /// It gave up, and this was its last word.
    #[error("cannot open the tunnel: {0}")]
    Said(String),
}

/// A tunnel that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The daemon as the server sees it.
    target: String,
    server: String,
    port: Option<u16>,
    keyfile: Option<String>,
}

impl Tunnel {
    /// A tunnel to `endpoint` by way of `server`.
    ///
    /// # Errors
    /// When the endpoint is not TCP, or the server is not `[user@]host[:port]`.
    pub fn to(endpoint: &str, server: &str, keyfile: Option<&str>) -> Result<Self, TunnelError> {
        let target = match endpoint.parse() {
            Ok(Endpoint::Tcp { .. }) => endpoint.trim_start_matches("tcp://").to_owned(),
            Ok(Endpoint::Ipc { .. }) | Err(_) => return Err(TunnelError::NotTcp(endpoint.to_owned())),
        };
        let wrong = || TunnelError::Server(server.to_owned());
        let (name, port) = match server.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| wrong())?)),
            None => (server, None),
        };
        // A name that begins with a dash would be an option of ssh.
        if name.is_empty() || name.starts_with('-') {
            return Err(wrong());
        }
        Ok(Self { target, server: name.to_owned(), port, keyfile: keyfile.map(str::to_owned) })
    }

    /// Opens it and returns the endpoint of this end.
    ///
    /// # Errors
    /// When ssh cannot be run or cannot connect.
    pub fn open(&self) -> Result<String, TunnelError> {
        self.run(Command::new("ssh"), copy_to_stderr, |status, ()| TunnelError::Ssh(status))
    }

    /// Opens it without a word on stderr, for a program that has the whole screen. What ssh has to ask it asks the
    /// terminal itself; with `may_ask` false it asks nothing and fails instead.
    ///
    /// # Errors
    /// When ssh cannot be run or cannot connect.
    pub fn open_quietly(&self, may_ask: bool) -> Result<String, TunnelError> {
        let mut ssh = Command::new("ssh");
        if !may_ask {
            ssh.args(["-o", "BatchMode=yes"]).stdin(Stdio::null());
        }
        self.run(ssh, last_line, |status, line| {
            if line.is_empty() { TunnelError::Ssh(status) } else { TunnelError::Said(line) }
        })
    }

    /// Runs ssh until it has gone to the background, or failed. `listen` reads what it writes on stderr, on a thread of
    /// its own: the part of ssh that stays goes on to write there, and somebody must go on to read.
    fn run<T: Default + Send + 'static>(
        &self,
        mut ssh: Command,
        listen: fn(Option<ChildStderr>) -> T,
        failure: impl FnOnce(ExitStatus, T) -> TunnelError,
    ) -> Result<String, TunnelError> {
        let local = free_port().map_err(TunnelError::Port)?;
        // The part that stays must not hold the reader of our output.
        ssh.args(self.arguments(local)).stdout(Stdio::null()).stderr(Stdio::piped());
        #[expect(clippy::disallowed_methods, reason = "no program that tunnels has other children")]
        let mut ssh = ssh.spawn().map_err(TunnelError::Run)?;
        let words = ssh.stderr.take();
        let listener = std::thread::spawn(move || listen(words));
        #[expect(clippy::disallowed_methods, reason = "no program that tunnels has other children")]
        let status = ssh.wait().map_err(TunnelError::Run)?;
        if status.success() {
            return Ok(format!("tcp://127.0.0.1:{local}"));
        }
        // It is gone, so its last words have all been read when the listener ends.
        Err(failure(status, listener.join().unwrap_or_default()))
    }

    fn arguments(&self, local: u16) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(keyfile) = &self.keyfile {
            words.extend(["-i".to_owned(), keyfile.clone()]);
        }
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        words.extend(["-f", "-S", "none", "-o", "ExitOnForwardFailure=yes", "-L"].map(str::to_owned));
        words.push(format!("127.0.0.1:{local}:{}", self.target));
        words.push(self.server.clone());
        words.extend(["sleep", UNUSED_FOR].map(str::to_owned));
        words
    }
}

/// A port that was free a moment ago; ssh refuses if it no longer is.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn copy_to_stderr(words: Option<impl io::Read>) {
    let Some(mut words) = words else { return };
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = words.read(&mut piece) {
        _ = io::Write::write_all(&mut io::stderr(), &piece[..length]);
    }
}

/// Reads to the end and keeps the last line that says something.
fn last_line(words: Option<impl io::Read>) -> String {
    let Some(words) = words else { return String::new() };
    let mut last = String::new();
    let mut words = io::BufReader::new(words);
    let mut line = Vec::new();
    while let Ok(1..) =
        io::BufRead::read_until(&mut io::Read::take(&mut words, LONGEST_LINE), b'\n', &mut line)
    {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            last = text;
        }
        line.clear();
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_ssh_is_kept() {
        let words = "Warning: x\nPermission denied (publickey).\r\n\n".as_bytes();
        assert_eq!(last_line(Some(words)), "Permission denied (publickey).");
        assert_eq!(last_line(None::<&[u8]>), "");
    }

    #[test]
    fn ssh_is_told_the_server_the_key_and_the_ports() {
        let tunnel = Tunnel::to("tcp://127.0.0.1:5555", "joe@example.org:2222", Some("/k")).unwrap();
        assert_eq!(
            tunnel.arguments(4711).join(" "),
            "-i /k -p 2222 -f -S none -o ExitOnForwardFailure=yes -L 127.0.0.1:4711:127.0.0.1:5555 \
             joe@example.org sleep 60"
        );
        let plain = Tunnel::to("tcp://db:5555", "host", None).unwrap();
        assert_eq!(
            plain.arguments(1).join(" "),
            "-f -S none -o ExitOnForwardFailure=yes -L 127.0.0.1:1:db:5555 host sleep 60"
        );
    }

    #[test]
    fn what_ssh_could_misread_is_refused() {
        for server in ["", "-oProxyCommand=x", ":22", "host:x", "host:99999"] {
            assert!(matches!(Tunnel::to("tcp://a:1", server, None), Err(TunnelError::Server(_))), "{server}");
        }
        for endpoint in ["ipc:///run/x", "nowhere"] {
            assert!(matches!(Tunnel::to(endpoint, "host", None), Err(TunnelError::NotTcp(_))), "{endpoint}");
        }
    }
}
