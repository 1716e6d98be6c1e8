//! What fuzzers throw bytes at: one function for each way by which foreign bytes come in.
//!
//! `fuzz/` drives them with libfuzzer and coverage; `tests/fuzz` with seeded bytes, on stable, in the usual run. Each
//! returns quietly or panics: what must hold besides is asserted here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use circus_common::{
    Endpoint, Signal,
    client::reply_error,
    config::{
        self, Args, Degree, Files, HookConfig, Host, WatcherConfig, endpoint, expand,
        fnmatch::fnmatch,
        options,
        plugin::{builtin::Uses, codec},
        python_text,
        stream::StreamConfig,
        value::Kind,
    },
    os::local_time::{Zone, strftime_in},
    protocol::{Echo, ErrorCode, Reply, Request, event, request},
};
use indexmap::IndexMap;
use serde_json::{Map, Value, value::RawValue};

use crate::sim::story::Story;

/// A target: its name, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by the names they have in `fuzz/`.
pub const TARGETS: [Target; 7] = [
    ("config", config),
    ("expand", expand),
    ("request", request),
    ("frames", frames),
    ("values", values),
    ("streams", streams),
    ("story", story),
];

/// One file, whatever its name.
struct One<'a>(&'a [u8]);

impl Files for One<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        if path.ends_with("fuzz.ini") {
            Ok(self.0.to_vec())
        } else {
            Err("[Errno 2] No such file".to_owned())
        }
    }

    fn glob(&self, _pattern: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn is_dir(&self, _path: &Path) -> bool {
        false
    }

    fn exists(&self, _path: &Path) -> bool {
        true
    }

    fn list(&self, _path: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn host() -> Host {
    let env =
        BTreeMap::from([("PATH".to_owned(), "/bin".to_owned()), ("HOME".to_owned(), "/home/é".to_owned())]);
    Host { env, cwd: PathBuf::from("/"), ..Host::default() }
}

/// The text of a configuration file. It is read the same way each time, and what is not fatal can be used.
///
/// # Panics
/// When a rule is broken.
pub fn config(bytes: &[u8]) {
    let load = || config::load(Path::new("/fuzz.ini"), &host(), &One(bytes));
    let (first, second) = (load(), load());
    assert_eq!(first.text(Degree::Warning), second.text(Degree::Warning));
    assert_eq!(first.config.watchers, second.config.watchers);
    for watcher in &first.config.watchers {
        let _ = expand::command_line(watcher, 1, &BTreeMap::from([("web".to_owned(), 64)]));
        assert!(watcher.same_as(watcher));
        let _ = watcher.report();
    }
}

/// A command and its arguments with variables, with and without a shell; the words are those that were quoted.
///
/// # Panics
/// When a rule is broken.
pub fn expand(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (cmd, args) = text.split_once('\n').unwrap_or((&text, ""));
    for shell in [false, true] {
        let mut watcher = WatcherConfig::new("fuzz", cmd);
        watcher.args = Args::Text(args.to_owned());
        watcher.shell = shell;
        watcher.env = Some(BTreeMap::from([("CMD".to_owned(), cmd.to_owned())]));
        if let Ok(words) = expand::command_line(&watcher, 7, &BTreeMap::from([("web".to_owned(), 64)])) {
            assert!(!words.is_empty() || cmd.trim().is_empty(), "{cmd:?} became nothing");
        }
    }
    let quoted = expand::words::quote(cmd);
    assert_eq!(expand::words::split(&quoted).as_deref(), Ok(&[cmd.to_owned()][..]), "{quoted}");
}

/// The body of a request. Whatever it is, its answer is JSON and carries its id.
///
/// # Panics
/// When a rule is broken.
pub fn request(bytes: &[u8]) {
    let parsed = Request::parse(bytes);
    let reply = match parsed.command {
        Ok(_) => Reply::ok(),
        Err(refusal) => refusal,
    };
    let answer = reply.encode(&parsed.id, 1.0);
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(&answer).expect("an answer is JSON");
    assert_eq!(members["id"].get(), parsed.id.as_json());
}

/// What comes over the other sockets: an event's topic and payload, and the members of an answer.
///
/// # Panics
/// When a rule is broken.
pub fn frames(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (topic, payload) = bytes.split_at(at);
    let _ = event::parse(topic, payload.get(1..).unwrap_or_default());
    if let Ok(reply) = serde_json::from_slice::<Map<String, Value>>(bytes) {
        let _ = reply_error(&reply);
        let name = reply.keys().next().cloned().unwrap_or_default();
        let again = Request::parse(&request::encode(&name, reply, "id", false));
        assert_eq!(again.id.as_json(), "\"id\"");
    }
}

/// Single values: endpoints, signals, patterns, and every type of option.
///
/// # Panics
/// When a rule is broken.
pub fn values(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(endpoint) = Endpoint::parse(&text) {
        let written = endpoint.to_string();
        assert_eq!(Endpoint::parse(&written).as_ref(), Ok(&endpoint), "{written}");
        let _ = (endpoint.is_loopback(), endpoint.ipc_path(), endpoint.collides_with(&endpoint));
    }
    let _ = Endpoint::parse_list(&text);
    let _ = endpoint::parse_multicast(&text);
    if let Ok(signal) = Signal::parse(&text) {
        assert_eq!(Signal::from_number(i64::from(signal.number())).ok(), Some(signal));
    }
    let (pattern, name) = text.split_once('\n').unwrap_or((&text, "name"));
    let _ = fnmatch(&pattern[..pattern.floor_char_boundary(64)], &name[..name.floor_char_boundary(64)]);
    for option in options::TABLE {
        if let Ok(value) = option.kind.parse(&text) {
            let _ = (python_text::str(&value), python_text::repr(&value));
            let checked = option.kind.check(option.name, &value);
            // What is text in a file is an object on the wire, and what is empty there is not said here.
            let same =
                matches!(option.kind, Kind::Integer | Kind::Number | Kind::Delay | Kind::Flag | Kind::Signal);
            assert!(!same || checked.is_ok(), "{}: {text:?} is read and then refused", option.name);
        }
    }
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let _ = (python_text::str(&value), python_text::repr(&value));
        for option in options::TABLE {
            let _ = option.kind.check(option.name, &value);
        }
    }
    let _ = Reply::error(ErrorCode::NotSpecified, text).encode(&Echo::null(), f64::NAN);
}

/// The options of a stream, line by line, and each value as whatever may stand in such a place: a time format (told at a
/// moment that the bytes choose), a hook, what a plugin uses, its options.
///
/// # Panics
/// When a rule is broken.
pub fn streams(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let written: IndexMap<String, Value> =
        pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().into())).collect();
    match StreamConfig::read(&written) {
        Ok(stream) => {
            assert_eq!(StreamConfig::read(&stream.written).as_ref(), Ok(&stream));
            assert!(stream.arguments().count() <= written.len());
            let _ = stream.warnings();
        }
        Err((key, reason)) => assert!(!key.is_empty() && !reason.is_empty(), "{written:?}"),
    }
    let moment = bytes.iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    for value in text.lines().map(|line| line.split_once('=').map_or(line, |(_, value)| value.trim())) {
        for zone in [Zone::Local, Zone::Utc] {
            let _ = strftime_in(zone, value, moment);
            let _ = strftime_in(zone, value, moment >> 32);
        }
        let _ = HookConfig::parse(value);
        if let Ok(uses) = Uses::parse(value) {
            assert_eq!(Uses::parse(&uses.text()).as_ref(), Ok(&uses), "{value}");
        }
        if let Ok(options) = codec::decode_json(value) {
            assert_eq!(codec::decode_json(&codec::encode_json(&options)).as_ref(), Ok(&options), "{value}");
        }
        let _ = codec::decode(value);
    }
}

/// The steps of a story.
///
/// # Panics
/// When the story breaks a rule.
pub fn story(bytes: &[u8]) {
    Story::from_bytes(bytes).tell(false);
}
