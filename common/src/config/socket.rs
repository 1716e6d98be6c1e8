//! `[socket:NAME]` sections, and the `options` of `addsocket`, to [`SocketConfig`]s.
//!
//! A name is looked up, and an address is bound, when circusd opens the socket; here is only what the text says.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    circus, expand,
    mistake::Degree,
    python_text::{self, repr_text},
    sections::{Report, Section, Sections},
    suggest,
    value::Kind,
};

/// One key of a socket or a plugin.
pub struct KeySpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The default as it would be written; empty is "not set".
    pub default: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
}

/// A row.
pub(super) const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> KeySpec {
    KeySpec { name, kind, default, doc }
}

const FAMILY: Kind = Kind::Choice(&["AF_INET", "AF_INET6", "AF_UNIX"]);
const TYPE: Kind = Kind::Choice(&["SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_RDM", "SOCK_SEQPACKET"]);

/// Every key of a socket.
pub const TABLE: &[KeySpec] = &[
    key("host", Kind::Text, "localhost", "the address to bind, looked up once"),
    key("port", Kind::Integer, "8080", "the port; 0 lets the kernel choose"),
    key("family", FAMILY, "AF_INET", "the address family"),
    key("type", TYPE, "SOCK_STREAM", "the socket type"),
    key("proto", Kind::Text, "", "the protocol, by name or number"),
    key("backlog", Kind::Integer, "2048", "how many connections may wait"),
    key("path", Kind::Text, "", "the path of a Unix socket; then `host` and `port` are not used"),
    key(
        "umask",
        Kind::Octal,
        "",
        "the file mode mask while a Unix socket is bound; circusd's own if not set",
    ),
    key("replace", Kind::Flag, "False", "remove a file that is at the path already"),
    key("interface", Kind::Text, "", "the network interface to bind to"),
    key("so_reuseport", Kind::Flag, "False", "a socket of its own for each process, on one port"),
    key("blocking", Kind::Flag, "False", "leave the socket in blocking mode"),
    key("use_papa", Kind::Text, "", "accepted, without effect: papa is not supported"),
];

/// One managed socket as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Lower-cased name.
    pub name: String,
    /// Where it is bound.
    pub place: Place,
    /// Its type.
    pub kind: SocketKind,
    /// The protocol as written; the type's own if not set.
    pub proto: Option<String>,
    /// How many connections may wait.
    pub backlog: u32,
    /// The network interface it is bound to.
    pub interface: Option<String>,
    /// Whether each process gets a socket of its own on the same address.
    pub so_reuseport: bool,
    /// Whether it is left in blocking mode.
    pub blocking: bool,
    /// All keys as written and expanded, compared as a whole by reloadconfig.
    pub written: BTreeMap<String, String>,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An internet address.
    Inet {
        /// Whether it is one of IPv6.
        v6: bool,
        /// A name or an address.
        host: String,
        /// The port; 0 lets the kernel choose.
        port: u16,
    },
    /// A file.
    Unix {
        /// Its path.
        path: String,
        /// The mask of its mode; circusd's own if not set.
        umask: Option<u16>,
        /// Whether what is at the path is removed.
        replace: bool,
    },
}

/// The type of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Connections of bytes.
    Stream,
    /// Datagrams.
    Datagram,
    /// Raw packets.
    Raw,
    /// Reliable datagrams.
    ReliableDatagram,
    /// Connections of messages.
    SeqPacket,
}

impl SocketKind {
    /// Whether connections are accepted on it.
    #[must_use]
    pub const fn listens(self) -> bool {
        match self {
            Self::Stream | Self::SeqPacket => true,
            Self::Datagram | Self::Raw | Self::ReliableDatagram => false,
        }
    }

    /// Its name, as in the `type` of a section.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "SOCK_STREAM",
            Self::Datagram => "SOCK_DGRAM",
            Self::Raw => "SOCK_RAW",
            Self::ReliableDatagram => "SOCK_RDM",
            Self::SeqPacket => "SOCK_SEQPACKET",
        }
    }

    /// The type of that name, which was checked before.
    fn named(name: &str) -> Self {
        match name {
            "SOCK_DGRAM" => Self::Datagram,
            "SOCK_RAW" => Self::Raw,
            "SOCK_RDM" => Self::ReliableDatagram,
            "SOCK_SEQPACKET" => Self::SeqPacket,
            _ => Self::Stream,
        }
    }
}

/// What a new section asks of a socket that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketChange {
    /// Nothing.
    None,
    /// To be adjusted while it stays open.
    Adjust,
    /// To be opened anew.
    Anew,
}

impl SocketConfig {
    /// The socket of an `addsocket`. Values are texts as in a file, numbers or booleans.
    ///
    /// # Errors
    /// The reason, when the options do not make a socket.
    pub fn from_options(name: &str, options: &Map<String, Value>) -> Result<Self, String> {
        let name = name.trim().to_lowercase();
        if name.is_empty() {
            return Err("socket name shouldn't be empty".to_owned());
        }
        let mut written = BTreeMap::new();
        for (key, value) in options {
            let Some(spec) = TABLE.iter().find(|spec| spec.name == key) else {
                return Err(format!("unknown key {}", repr_text(key)));
            };
            let text = match value {
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => return Err(format!("{} isn't a text", repr_text(key))),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => python_text::str(value),
            };
            check(spec, &text).map_err(|(_, message)| format!("{}: {message}", repr_text(key)))?;
            written.insert(key.clone(), text);
        }
        Self::from_checked(name, written)
    }

    /// The typed socket of keys whose values were checked.
    fn from_checked(name: String, written: BTreeMap<String, String>) -> Result<Self, String> {
        let value = |key: &str| {
            let spec = TABLE.iter().find(|spec| spec.name == key)?;
            spec.kind.parse(written.get(key).map_or(spec.default, String::as_str)).ok()
        };
        let text = |key: &str| {
            let text = value(key)?.as_str().map(|text| text.trim().to_owned())?;
            Some(text).filter(|text| !text.is_empty())
        };
        let flag = |key: &str| value(key).and_then(|flag| flag.as_bool()).unwrap_or_default();
        let number = |key: &str| value(key).and_then(|number| number.as_u64()).unwrap_or_default();
        let family = text("family").unwrap_or_default();
        let umask = value("umask").and_then(|mask| mask.as_u64()).and_then(|mask| u16::try_from(mask).ok());
        let place = match text("path") {
            Some(path) => Place::Unix { path, umask, replace: flag("replace") },
            None if family == "AF_UNIX" => {
                return Err("`family = AF_UNIX` needs a `path`".to_owned());
            }
            None => Place::Inet {
                v6: family == "AF_INET6",
                host: text("host").unwrap_or_default(),
                port: u16::try_from(number("port")).unwrap_or_default(),
            },
        };
        let is_inet = matches!(place, Place::Inet { .. });
        Ok(Self {
            name,
            place,
            kind: SocketKind::named(&text("type").unwrap_or_default()),
            proto: text("proto"),
            backlog: u32::try_from(number("backlog")).unwrap_or(u32::MAX),
            interface: text("interface"),
            // A file has no port to share: such a socket is a plain one, as in Circus where the option is missing.
            so_reuseport: flag("so_reuseport") && is_inet,
            blocking: flag("blocking"),
            written,
        })
    }

    /// What has to be done with the open socket of this configuration so that it is one of that configuration.
    #[must_use]
    pub fn change_to(&self, other: &Self) -> SocketChange {
        if self == other {
            return SocketChange::None;
        }
        let mut adjusted = Self { backlog: other.backlog, written: other.written.clone(), ..self.clone() };
        if let (Place::Unix { umask, replace, .. }, Place::Unix { umask: mask, replace: again, .. }) =
            (&mut adjusted.place, &other.place)
        {
            // A mode that is left to circusd's mask cannot be told afterwards from the one the file has.
            if mask.is_some() {
                *umask = *mask;
            }
            *replace = *again;
        }
        if adjusted == *other { SocketChange::Adjust } else { SocketChange::Anew }
    }

    /// What no two sockets may have in common; none where the kernel chooses.
    fn address(&self) -> Option<(String, SocketKind)> {
        let address = match &self.place {
            Place::Inet { port: 0, .. } => return None,
            Place::Inet { v6, host, port } => format!("{host}:{port} {}", if *v6 { "AF_INET6" } else { "" }),
            Place::Unix { path, .. } => path.clone(),
        };
        Some((address, self.kind))
    }
}

/// All sockets, sorted by name; broken ones are left out.
pub(super) fn read(
    sections: &Sections,
    env: &BTreeMap<String, String>,
    report: &mut Report,
) -> Vec<SocketConfig> {
    let mut sockets: Vec<SocketConfig> = Vec::new();
    for section in sections.iter().filter(|section| section.name.starts_with("socket:")) {
        let Some(socket) = read_one(section, env, report) else { continue };
        let twin = |other: &&SocketConfig| socket.address().is_some() && other.address() == socket.address();
        if sockets.iter().any(|other| other.name == socket.name) {
            let message = format!("another socket is called `{}` too; this one is left out", socket.name);
            report.add(Degree::BrokenSection, section, None, message);
        } else if let Some(twin) = sockets.iter().find(twin) {
            let message = format!("the socket `{}` has the same address", twin.name);
            report.add(Degree::Fatal, section, None, message);
        } else {
            sockets.push(socket);
        }
    }
    sockets.sort_by(|one, other| one.name.cmp(&other.name));
    sockets
}

fn read_one(section: &Section, env: &BTreeMap<String, String>, report: &mut Report) -> Option<SocketConfig> {
    let name = section.name.rsplit("socket:").next().unwrap_or_default().trim().to_lowercase();
    let mut good = !name.is_empty();
    if !good {
        report.add(Degree::BrokenSection, section, None, "a socket needs a name; write `[socket:NAME]`");
    }
    let mut written = BTreeMap::new();
    for (key, entry) in &section.keys {
        let text = expand::with_env(&entry.value, env);
        match TABLE.iter().find(|spec| spec.name == key) {
            Some(spec) => {
                if let Err((degree, message)) = check(spec, &text) {
                    report.add(degree, section, Some(key), message);
                    good = false;
                } else if key == "use_papa" {
                    report.add(Degree::Warning, section, Some(key), "papa is not supported; ignored");
                }
            }
            None if !entry.inherited => {
                let hint = suggest::hint(key, TABLE.iter().map(|spec| spec.name));
                report.add(Degree::Warning, section, Some(key), format!("an unknown key, not used{hint}"));
            }
            None => {}
        }
        written.insert(key.clone(), text);
    }
    if !good {
        return None;
    }
    let wants_own = written.get("so_reuseport").is_some_and(|text| super::value::flag(text) == Ok(true));
    match SocketConfig::from_checked(name, written) {
        Ok(socket) => {
            remarks(&socket, wants_own, section, report);
            Some(socket)
        }
        Err(message) => {
            report.add(Degree::BrokenSection, section, None, message);
            None
        }
    }
}

/// What is legal and hardly meant.
fn remarks(socket: &SocketConfig, wants_own: bool, section: &Section, report: &mut Report) {
    match &socket.place {
        Place::Unix { .. } if wants_own => {
            let message = "a Unix socket has no port to share; it is a plain one";
            report.add(Degree::Warning, section, Some("so_reuseport"), message);
        }
        Place::Inet { port: 0, .. } if socket.so_reuseport => {
            let message = "with `port = 0` the kernel chooses another port for each process";
            report.add(Degree::Warning, section, Some("so_reuseport"), message);
        }
        Place::Inet { .. } | Place::Unix { .. } => {}
    }
}

/// Checks one value. An unknown family or type breaks this socket only, as in Circus.
fn check(spec: &KeySpec, text: &str) -> Result<(), (Degree, String)> {
    let degree = if matches!(spec.kind, Kind::Choice(_)) { Degree::BrokenSection } else { Degree::Fatal };
    let value = spec.kind.parse(text).map_err(|message| (degree, message))?;
    let message = match spec.name {
        "port" => circus::port(&value).err(),
        "backlog" if value.as_i64().is_some_and(|backlog| backlog < 0) => {
            Some(format!("{value} is negative"))
        }
        "path" if text.len() > MAX_PATH => Some(format!("a path of a socket has {MAX_PATH} bytes at most")),
        "path" | "host" | "interface" if text.contains('\0') => Some("embedded null byte".to_owned()),
        _ => None,
    };
    message.map_or(Ok(()), |message| Err((Degree::Fatal, message)))
}

/// What the kernel takes for a Unix socket.
const MAX_PATH: usize = 107;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn socket(options: &Value) -> Result<SocketConfig, String> {
        SocketConfig::from_options("Web", options.as_object().expect("an object"))
    }

    fn made(options: &Value) -> SocketConfig {
        socket(options).expect("a good socket")
    }

    #[test]
    fn without_options_it_is_circus_default() {
        let web = made(&json!({}));
        assert_eq!((web.name.as_str(), web.backlog, web.kind), ("web", 2048, SocketKind::Stream));
        assert_eq!(web.place, Place::Inet { v6: false, host: "localhost".to_owned(), port: 8080 });
        assert!(!web.blocking && !web.so_reuseport && web.proto.is_none() && web.interface.is_none());
    }

    #[test]
    fn a_path_forces_a_unix_socket_and_its_umask_is_octal() {
        let web =
            made(&json!({"path": "/run/x", "family": "AF_INET", "umask": "022", "replace": true, "port": 1}));
        let place = Place::Unix { path: "/run/x".to_owned(), umask: Some(0o022), replace: true };
        assert_eq!(web.place, place);
        assert_eq!(
            socket(&json!({"family": "af_unix"})),
            Err("`family = AF_UNIX` needs a `path`".to_owned())
        );
    }

    #[test]
    fn families_and_types_are_known_in_any_case() {
        let web = made(&json!({"family": "af_inet6", "type": "sock_dgram", "host": "::1", "port": "0"}));
        assert_eq!(web.place, Place::Inet { v6: true, host: "::1".to_owned(), port: 0 });
        assert_eq!((web.kind, web.kind.listens()), (SocketKind::Datagram, false));
    }

    #[test]
    fn wrong_options_are_refused_with_their_key() {
        for (options, reason) in [
            (json!({"port": 70000}), "'port': 70000 is no port; write 0 to 65535"),
            (json!({"backlog": -1}), "'backlog': -1 is negative"),
            (json!({"prot": "tcp"}), "unknown key 'prot'"),
            (json!({"host": []}), "'host' isn't a text"),
            (json!({"path": "a".repeat(108)}), "'path': a path of a socket has 107 bytes at most"),
        ] {
            assert_eq!(socket(&options), Err(reason.to_owned()), "{options}");
        }
        assert!(SocketConfig::from_options(" ", &Map::new()).is_err());
    }

    #[test]
    fn a_unix_socket_shares_no_port() {
        assert!(!made(&json!({"path": "/run/x", "so_reuseport": true})).so_reuseport);
        assert!(made(&json!({"so_reuseport": "1"})).so_reuseport);
    }

    #[test]
    fn only_what_can_be_adjusted_leaves_a_socket_open() {
        let unix = |more: Value| {
            let mut options = json!({"path": "/run/x", "umask": "022"});
            options.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
            made(&options)
        };
        let old = unix(json!({}));
        for (more, change) in [
            (json!({}), SocketChange::None),
            (json!({"backlog": 5}), SocketChange::Adjust),
            (json!({"umask": "077"}), SocketChange::Adjust),
            (json!({"umask": ""}), SocketChange::Anew),
            (json!({"replace": true}), SocketChange::Adjust),
            (json!({"use_papa": "x"}), SocketChange::Adjust),
            (json!({"type": "SOCK_DGRAM"}), SocketChange::Anew),
            (json!({"path": "/run/y"}), SocketChange::Anew),
            (json!({"blocking": true}), SocketChange::Anew),
        ] {
            assert_eq!(old.change_to(&unix(more.clone())), change, "{more}");
        }
        let tcp = made(&json!({"port": 1}));
        assert_eq!(tcp.change_to(&made(&json!({"port": 2}))), SocketChange::Anew);
        assert_eq!(tcp.change_to(&made(&json!({"port": 1, "so_reuseport": true}))), SocketChange::Anew);
    }
}
