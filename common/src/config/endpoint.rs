//! Endpoints: where circusd listens, as typed values.
//!
//! Refused here is what the transport would misread: `ipc://*` makes a file of that name, abstract sockets have no
//! file mode and are open to every local user, a path of 100 bytes or more does not fit a socket address.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
    path::Path,
    str::FromStr,
};

/// The longest ipc path, in bytes: `sun_path` less what the transport may append.
pub const MAX_IPC_PATH: usize = 99;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `tcp://HOST:PORT`.
    Tcp {
        /// The host.
        host: Host,
        /// The port; 0 is one of the kernel's choice, also written `*`.
        port: u16,
    },
    /// `ipc://PATH`.
    Ipc {
        /// The path of the socket file.
        path: String,
    },
}

/// The host of a TCP endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// `*`: every interface.
    Any,
    /// A number.
    Address(IpAddr),
    /// A name, still to be looked up.
    Name(String),
}

impl Host {
    /// Whether what is bound to it is reached by every interface.
    #[must_use]
    pub const fn is_everywhere(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Address(address) => address.is_unspecified(),
            Self::Name(_) => false,
        }
    }
}

/// The text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no endpoint: {reason}")]
pub struct EndpointError {
    text: String,
    reason: String,
}

impl Endpoint {
    /// Reads one endpoint.
    ///
    /// # Errors
    /// What is wrong with it and what would be right.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let error = |reason: String| EndpointError { text: text.to_owned(), reason };
        let parsed = match text.split_once("://") {
            Some(("tcp", address)) => tcp(address),
            Some(("ipc", path)) => ipc(path),
            Some(_) | None => Err("write tcp://127.0.0.1:5555 or ipc:///run/circus/control".to_owned()),
        };
        parsed.map_err(error)
    }

    /// Reads several endpoints separated by blanks; none is an error.
    ///
    /// # Errors
    /// The first bad one.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, EndpointError> {
        let all: Vec<_> = text.split_whitespace().map(Self::parse).collect::<Result<_, _>>()?;
        if all.is_empty() { Self::parse(text).map(|endpoint| vec![endpoint]) } else { Ok(all) }
    }

    /// The path of the socket file.
    #[must_use]
    pub fn ipc_path(&self) -> Option<&Path> {
        match self {
            Self::Ipc { path } => Some(Path::new(path)),
            Self::Tcp { .. } => None,
        }
    }

    /// Whether only this machine can reach it. A name other than `localhost` is not taken for that.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ipc { .. } => true,
            Self::Tcp { host: Host::Address(IpAddr::V6(address)), .. } => match address.to_ipv4_mapped() {
                Some(mapped) => mapped.is_loopback(),
                None => address.is_loopback(),
            },
            Self::Tcp { host: Host::Address(IpAddr::V4(address)), .. } => address.is_loopback(),
            Self::Tcp { host: Host::Name(name), .. } => name.eq_ignore_ascii_case("localhost"),
            Self::Tcp { host: Host::Any, .. } => false,
        }
    }

    /// Whether both cannot be bound at once.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ipc { path: one }, Self::Ipc { path: other }) => one == other,
            (Self::Tcp { host: one, port }, Self::Tcp { host: other, port: same }) => {
                *port != 0 && port == same && hosts_collide(one, other)
            }
            (Self::Tcp { .. }, Self::Ipc { .. }) | (Self::Ipc { .. }, Self::Tcp { .. }) => false,
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text)
    }
}

/// The text a ZeroMQ socket understands; a port of the kernel's choice as `0`, the only form all hosts allow.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipc { path } => write!(f, "ipc://{path}"),
            Self::Tcp { host: Host::Any, port } => write!(f, "tcp://*:{port}"),
            Self::Tcp { host: Host::Address(IpAddr::V6(address)), port } => {
                write!(f, "tcp://[{address}]:{port}")
            }
            Self::Tcp { host: Host::Address(IpAddr::V4(address)), port } => {
                write!(f, "tcp://{address}:{port}")
            }
            Self::Tcp { host: Host::Name(name), port } => write!(f, "tcp://{name}:{port}"),
        }
    }
}

/// An endpoint as a daemon names it, as it is reached from where `control` reaches that daemon: one that is bound to every
/// interface has that host.
#[must_use]
pub fn seen_from_here(named: &str, control: &str) -> String {
    match (named.parse(), control.parse()) {
        (Ok(Endpoint::Tcp { host, port }), Ok(Endpoint::Tcp { host: known, .. })) if host.is_everywhere() => {
            Endpoint::Tcp { host: known, port }.to_string()
        }
        _ => named.to_owned(),
    }
}

fn hosts_collide(one: &Host, other: &Host) -> bool {
    let number = |host: &Host| match host {
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
            Host::Address(Ipv4Addr::LOCALHOST.into())
        }
        Host::Any | Host::Address(_) | Host::Name(_) => host.clone(),
    };
    one.is_everywhere() || other.is_everywhere() || number(one) == number(other)
}

fn tcp(address: &str) -> Result<Endpoint, String> {
    let form = || "write tcp://HOST:PORT, such as tcp://127.0.0.1:5555".to_owned();
    let (host, port) = address.rsplit_once(':').ok_or_else(form)?;
    let port = match port {
        "*" => 0,
        digits => {
            digits.parse().map_err(|_| format!("the port is a number from 0 to 65535, not `{digits}`"))?
        }
    };
    let host = match host.strip_prefix('[').map(|inside| inside.strip_suffix(']')) {
        Some(Some(inside)) => Host::Address(IpAddr::V6(inside.parse().map_err(|_| form())?)),
        Some(None) => return Err(form()),
        None if host == "*" => Host::Any,
        None => match host.parse::<Ipv4Addr>() {
            Ok(address) => Host::Address(address.into()),
            Err(_) if is_host_name(host) => Host::Name(host.to_owned()),
            Err(_) if host.contains(':') => {
                return Err("write an IPv6 address in brackets: tcp://[::1]:5555".to_owned());
            }
            Err(_) => return Err(form()),
        },
    };
    Ok(Endpoint::Tcp { host, port })
}

/// A host name; one of digits and dots only is a mistyped address.
fn is_host_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.chars().all(letter) && text.chars().any(|c| c.is_ascii_alphabetic())
}

fn ipc(path: &str) -> Result<Endpoint, String> {
    match path {
        "" | "*" => Err("name the socket file: ipc:///run/circus/control".to_owned()),
        path if path.starts_with('@') => {
            Err("an abstract socket is open to every local user; name a file: ipc:///run/circus/control"
                .to_owned())
        }
        path if path.len() > MAX_IPC_PATH => {
            Err(format!("the path has {} bytes, at most {MAX_IPC_PATH} are possible", path.len()))
        }
        path => Ok(Endpoint::Ipc { path: path.to_owned() }),
    }
}

/// Reads `udp://GROUP:PORT`; empty text is no discovery.
///
/// # Errors
/// What is wrong with it.
pub fn parse_multicast(text: &str) -> Result<Option<SocketAddrV4>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.strip_prefix("udp://").and_then(|address| address.parse::<SocketAddrV4>().ok());
    match address {
        Some(address) if address.ip().is_multicast() => Ok(Some(address)),
        Some(_) => Err(format!("`{text}` is no multicast address: its first number must be 224 to 239")),
        None => Err(format!("`{text}` is no multicast endpoint; write udp://237.219.251.97:12027")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, written, loopback) in [
            ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555", true),
            (" tcp://127.9.9.9:1 ", "tcp://127.9.9.9:1", true),
            ("tcp://localhost:*", "tcp://localhost:0", true),
            ("tcp://[::1]:*", "tcp://[::1]:0", true),
            ("tcp://*:5555", "tcp://*:5555", false),
            ("tcp://0.0.0.0:5555", "tcp://0.0.0.0:5555", false),
            ("tcp://[::]:5555", "tcp://[::]:5555", false),
            ("tcp://host.example:5555", "tcp://host.example:5555", false),
            ("ipc:///run/c.sock", "ipc:///run/c.sock", true),
            ("ipc://c.sock", "ipc://c.sock", true),
        ] {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.is_loopback()),
                (written, loopback),
                "{text}"
            );
        }
    }

    #[test]
    fn a_daemon_on_every_interface_publishes_where_it_was_asked() {
        let table = [
            ("tcp://*:2", "tcp://host:1", "tcp://host:2"),
            ("tcp://0.0.0.0:2", "tcp://10.0.0.1:1", "tcp://10.0.0.1:2"),
            ("tcp://127.0.0.1:2", "tcp://host:1", "tcp://127.0.0.1:2"),
            ("ipc:///e", "tcp://host:1", "ipc:///e"),
            ("tcp://*:2", "ipc:///c", "tcp://*:2"),
            ("", "tcp://host:1", ""),
        ];
        for (named, control, expected) in table {
            assert_eq!(seen_from_here(named, control), expected, "{named} of {control}");
        }
    }

    #[test]
    fn what_is_no_endpoint_says_what_would_be() {
        let long = format!("ipc://{}", "x".repeat(100));
        for text in [
            "",
            "5555",
            "tcp://",
            "tcp://127.0.0.1",
            "tcp://:5555",
            "tcp://127.0.0.1:x",
            "tcp://127.0.0.1:65536",
            "tcp://127.0.0:5",
            "tcp://::1:5555",
            "tcp://[::1:5555",
            "tcp://a b:1",
            "ipc://",
            "ipc://*",
            "ipc://@x",
            "udp://1.2.3.4:5",
            "inproc://x",
            &long,
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Endpoint::parse("tcp://::1:5555").map_err(|error| error.to_string()),
            Err("`tcp://::1:5555` is no endpoint: write an IPv6 address in brackets: tcp://[::1]:5555"
                .to_owned())
        );
    }

    #[test]
    fn addresses_that_cannot_be_bound_together_collide() {
        for (one, other, expected) in [
            ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555", true),
            ("tcp://localhost:5555", "tcp://127.0.0.1:5555", true),
            ("tcp://*:5555", "tcp://127.0.0.1:5555", true),
            ("tcp://0.0.0.0:5555", "tcp://10.0.0.1:5555", true),
            ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556", false),
            ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", false),
            ("tcp://127.0.0.1:5555", "tcp://127.0.0.2:5555", false),
            ("ipc:///a", "ipc:///a", true),
            ("ipc:///a", "ipc:///b", false),
        ] {
            let parse = |text| Endpoint::parse(text).expect(text);
            assert_eq!(parse(one).collides_with(&parse(other)), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_multicast_endpoint_is_one_or_empty() {
        assert_eq!(parse_multicast(" "), Ok(None));
        assert!(parse_multicast("udp://239.1.2.3:12027").is_ok_and(|address| address.is_some()));
        for text in
            ["udp://240.0.0.1:5", "udp://10.0.0.1:5", "tcp://237.219.251.97:1", "udp://237.219.251.97"]
        {
            assert!(parse_multicast(text).is_err(), "{text}");
        }
    }
}
