//! `[circus]`: the daemon's own settings.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    CircusConfig,
    endpoint::{self, Endpoint},
    expand,
    mistake::Degree,
    options::Field,
    sections::{Report, Section},
    suggest,
    value::Kind,
};

/// One key of `[circus]`.
pub struct CircusSpec {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The default as it would be written; empty is "not set".
    pub default: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// Sets it.
    write: fn(&mut CircusConfig, &Value) -> Result<(), String>,
}

/// A row for a field of the same name.
macro_rules! key {
    ($field:ident, $kind:ident, $default:literal, $doc:literal) => {
        CircusSpec {
            name: stringify!($field),
            kind: Kind::$kind,
            default: $default,
            doc: $doc,
            write: |circus, value| {
                circus.$field = Field::from_json(value)?;
                Ok(())
            },
        }
    };
}

/// A row for a key that is read and has no effect, or is looked at elsewhere.
macro_rules! accepted {
    ($name:literal, $kind:ident, $doc:literal) => {
        CircusSpec { name: $name, kind: Kind::$kind, default: "", doc: $doc, write: |_, _| Ok(()) }
    };
}

/// Every key of `[circus]`.
#[rustfmt::skip]
pub const TABLE: &[CircusSpec] = &[
    key!(endpoint, Text, "tcp://127.0.0.1:5555", "where commands are received: `tcp://HOST:PORT` or `ipc://PATH`; several are separated by blanks"),
    key!(endpoint_owner, Text, "", "the user who owns the socket file of an ipc endpoint"),
    key!(pubsub_endpoint, Text, "tcp://127.0.0.1:5556", "where events are published"),
    key!(multicast_endpoint, Text, "udp://237.219.251.97:12027", "where discovery is answered; empty is off"),
    CircusSpec { name: "check_delay", kind: Kind::Number, default: "5.0",
        doc: "the longest pause, in seconds, before a crashing process is tried again; also handed to plugins; 0 or less means 5",
        write: |circus, value| { circus.check_delay = value.as_f64().unwrap_or(circus.check_delay); Ok(()) } },
    key!(warmup_delay, Integer, "0", "seconds between the starts of two watchers"),
    key!(allow_remote, Flag, "False", "own: allow TCP endpoints that other machines can reach; anyone who reaches them controls every process"),
    key!(events_endpoint, Text, "", "own: where events that Circus does not have are published; empty is off"),
    key!(pidfile, Text, "", "the file that holds circusd's pid"),
    key!(umask, Octal, "", "the file mode mask of circusd and its processes"),
    CircusSpec { name: "loglevel", kind: Kind::Text, default: "info",
        doc: "`debug`, `info`, `warning`, `error` or `critical`",
        write: |circus, value| { circus.loglevel = Field::from_json(value)?; Ok(()) } },
    key!(logoutput, Text, "", "the log file; `-` or nothing is standard error; `syslog://HOST:PORT?FACILITY` or `syslog:///PATH?FACILITY` is syslog"),
    key!(loggerconfig, Text, "", "`default`, or a Python logging configuration, of which level, file and format are used"),
    key!(fqdn_prefix, Text, "", "put in front of the instance's name"),
    accepted!("include", Text, "patterns of further files, separated by white space; relative ones start at the main file's directory"),
    accepted!("include_dir", Text, "directories whose `*.ini` are read as well"),
    key!(statsd, Flag, "False", "run circusd-stats"),
    key!(stats_endpoint, Text, "tcp://127.0.0.1:5557", "where it publishes; if given, `statsd` is on"),
    key!(statsd_close_outputs, Flag, "False", "send its output to /dev/null"),
    key!(httpd, Flag, "False", "run the web console"),
    key!(httpd_host, Text, "localhost", "its host"),
    CircusSpec { name: "httpd_port", kind: Kind::Integer, default: "8080", doc: "its port", write: write_port },
    key!(httpd_close_outputs, Flag, "False", "send its output to /dev/null"),
    key!(debug, Flag, "False", "debug output of the programs circusd itself runs"),
    key!(python, Text, "python3", "own: the interpreter of Python plugins and hooks"),
    accepted!("debug_gc", Flag, "accepted, without effect"),
    accepted!("stream_backend", Text, "accepted, without effect"),
    accepted!("papa_endpoint", Text, "accepted, without effect: papa is not supported"),
    accepted!("proc_name", Text, "accepted, without effect"),
    accepted!("ssh_server", Text, "accepted, without effect"),
    accepted!("prereload_fn", Text, "accepted, without effect"),
];

/// The levels that `loglevel` knows, in any case.
const LOG_LEVELS: [&str; 5] = ["debug", "info", "warning", "error", "critical"];

fn write_port(circus: &mut CircusConfig, value: &Value) -> Result<(), String> {
    circus.httpd_port = port(value)?;
    Ok(())
}

/// A port number.
pub(super) fn port(value: &Value) -> Result<u16, String> {
    let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| format!("{value} is no port; write 0 to 65535"))
}

/// A mask that was read as [`Kind::Octal`].
impl Field for Option<u16> {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        Ok(value.as_u64().and_then(|mask| u16::try_from(mask).ok()))
    }
}

impl CircusConfig {
    /// Who owns the control socket, where that is a file which can have an owner.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.endpoint_owner.as_deref().filter(|_| self.endpoint.contains("ipc://"))
    }
}

impl Default for CircusConfig {
    fn default() -> Self {
        Self {
            check_delay: 5.0,
            endpoint: "tcp://127.0.0.1:5555".to_owned(),
            endpoint_owner: None,
            pubsub_endpoint: "tcp://127.0.0.1:5556".to_owned(),
            multicast_endpoint: "udp://237.219.251.97:12027".to_owned(),
            statsd: false,
            stats_endpoint: "tcp://127.0.0.1:5557".to_owned(),
            statsd_close_outputs: false,
            httpd: false,
            httpd_host: "localhost".to_owned(),
            httpd_port: 8080,
            httpd_close_outputs: false,
            warmup_delay: 0,
            debug: false,
            pidfile: None,
            umask: None,
            loglevel: None,
            logoutput: None,
            loggerconfig: None,
            fqdn_prefix: None,
            allow_remote: false,
            python: "python3".to_owned(),
            events_endpoint: String::new(),
        }
    }
}

/// Reads the section, or takes every default when there is none.
pub(super) fn read(
    section: Option<&Section>,
    env: &BTreeMap<String, String>,
    report: &mut Report,
) -> CircusConfig {
    let mut circus = CircusConfig::default();
    let Some(section) = section else { return circus };
    for (key, entry) in &section.keys {
        let Some(spec) = TABLE.iter().find(|spec| spec.name == key) else {
            if !entry.inherited {
                let hint = suggest::hint(key, TABLE.iter().map(|spec| spec.name));
                report.add(Degree::Warning, section, Some(key), format!("an unknown key, not used{hint}"));
            }
            continue;
        };
        let text = expand::with_env(&entry.value, env);
        let value = spec.kind.parse(text.trim());
        if let Ok(value) = &value
            && spec.name == "warmup_delay"
            && value.as_i64().is_some_and(|seconds| seconds < 0)
        {
            report.add(Degree::Warning, section, Some(key), format!("{value} is negative and taken as 0"));
        }
        if let Err(message) = value.and_then(|value| (spec.write)(&mut circus, &value)) {
            report.add(Degree::Fatal, section, Some(key), message);
        }
    }
    remarks(&mut circus, section, report);
    endpoints(&circus, section, report);
    circus
}

/// What is odd but does no harm.
fn remarks(circus: &mut CircusConfig, section: &Section, report: &mut Report) {
    let mut warn = |key: &str, message: &str| report.add(Degree::Warning, section, Some(key), message);
    if circus.stats_endpoint.is_empty() {
        circus.stats_endpoint = CircusConfig::default().stats_endpoint;
    } else if section.get("stats_endpoint").is_some() && !circus.statsd {
        warn("stats_endpoint", "switches statistics on; write `statsd = True` to say so");
        circus.statsd = true;
    }
    if section.get("papa_endpoint").is_some() {
        warn("papa_endpoint", "papa is not supported; ignored");
    }
    if circus.endpoint_owner.is_some() && circus.owner().is_none() {
        warn("endpoint_owner", "has no effect without an `ipc://` endpoint");
    }
    if let Some(level) = circus.loglevel.as_deref()
        && !LOG_LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level))
    {
        let known = LOG_LEVELS.join("`, `");
        warn("loglevel", &format!("there is no level `{level}`, `info` is used; the levels are `{known}`"));
    }
    if circus.httpd {
        warn("httpd", "the web console is not supported yet; circushttpd is not started");
    }
}

/// Every endpoint must be one, reachable by nobody else unless that is allowed, and different from the others.
fn endpoints(circus: &CircusConfig, section: &Section, report: &mut Report) {
    let mut fatal = |key: &str, message: String| report.add(Degree::Fatal, section, Some(key), message);
    if let Err(message) = endpoint::parse_multicast(&circus.multicast_endpoint) {
        fatal("multicast_endpoint", message);
    }
    let named = [
        ("endpoint", &circus.endpoint, true),
        ("pubsub_endpoint", &circus.pubsub_endpoint, true),
        ("stats_endpoint", &circus.stats_endpoint, circus.statsd),
        ("events_endpoint", &circus.events_endpoint, !circus.events_endpoint.is_empty()),
    ];
    let mut seen: Vec<(&str, Endpoint)> = Vec::new();
    for (key, text, _) in named.into_iter().filter(|(_, _, used)| *used) {
        let parsed = match key {
            "endpoint" => Endpoint::parse_list(text),
            _ => Endpoint::parse(text).map(|endpoint| vec![endpoint]),
        };
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                fatal(key, error.to_string());
                continue;
            }
        };
        for endpoint in parsed {
            if !endpoint.is_loopback() && !circus.allow_remote {
                let message = format!(
                    "`{endpoint}` can be reached from other machines; write `allow_remote = True` into [circus] if that is meant"
                );
                fatal(key, message);
            }
            if let Some((other, _)) = seen.iter().find(|(_, other)| other.collides_with(&endpoint)) {
                fatal(key, format!("`{endpoint}` is already used by `{other}`; give each its own address"));
            }
            seen.push((key, endpoint));
        }
    }
}
