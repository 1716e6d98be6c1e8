//! What circusd says when it is asked: replies to values.

use serde_json::{Map, Value};

/// Everything at one moment, or nearly one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Watchers as `list` names them, with their pids in order of spawn.
    pub watchers: Vec<(String, Vec<i32>)>,
    /// circusd's own pid.
    pub daemon: Option<i32>,
    /// The pids of the web console.
    pub console: Vec<i32>,
    /// The managed sockets.
    pub sockets: Vec<Listening>,
}

/// One managed socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Its descriptor, in circusd as in every process that inherits it.
    pub fd: i32,
    /// Where it is bound.
    pub place: Place,
}

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A socket file.
    Path(String),
    /// An address of IP version 4 or 6.
    Port {
        /// The address.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Listening {
    /// Its address as Circus writes it.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.place {
            Place::Path(path) => path.clone(),
            Place::Port { host, port } => format!("{host}:{port}"),
        }
    }

    /// One entry of the answer to `listsockets`; `None` when it is none.
    fn read(entry: &Value) -> Option<Self> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| entry.get(key).and_then(Value::as_i64);
        let place = match text("path") {
            Some(path) => Place::Path(path),
            None => Place::Port { host: text("host")?, port: u16::try_from(number("port")?).ok()? },
        };
        Some(Self { fd: i32::try_from(number("fd")?).ok().filter(|fd| *fd >= 0)?, place })
    }
}

/// The names in the answer to `list`.
#[must_use]
pub fn names(reply: &Map<String, Value>) -> Vec<String> {
    let names = list(reply, "watchers");
    names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// The pids in the answer to `list NAME`.
#[must_use]
pub fn pids(reply: &Map<String, Value>) -> Vec<i32> {
    list(reply, "pids").iter().filter_map(|pid| i32::try_from(pid.as_i64()?).ok()).collect()
}

/// The pid in the answer to `dstats`.
#[must_use]
pub fn daemon(reply: &Map<String, Value>) -> Option<i32> {
    i32::try_from(reply.get("info")?.get("pid")?.as_i64()?).ok()
}

/// The sockets in the answer to `listsockets`.
#[must_use]
pub fn sockets(reply: &Map<String, Value>) -> Vec<Listening> {
    list(reply, "sockets").iter().filter_map(Listening::read).collect()
}

fn list<'r>(reply: &'r Map<String, Value>, key: &str) -> &'r [Value] {
    reply.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
