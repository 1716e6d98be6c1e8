//! A request: bytes to a typed [`Command`], or to the refusal it deserves; and the way back, for clients.
//!
//! Never fails: whatever the bytes are, the result says what is to be answered.

use std::collections::BTreeMap;

use serde_json::{Map, Value, value::RawValue};

use super::{
    command::{Command, Match, Target},
    commands,
    echo::Echo,
    json,
    properties::{Properties, message, unknown_command},
    reply::{ErrorCode, Reply},
};
use crate::{Channel, config::python_text::repr_text};

/// What one body asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Goes back unchanged with the answer.
    pub id: Echo,
    /// Whether no answer is wanted at all.
    pub cast: bool,
    /// The command, or what to answer at once.
    pub command: Result<Command, Reply>,
}

impl Request {
    /// Reads one body.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        let refused = |reply| Self { id: Echo::null(), cast: false, command: Err(reply) };
        let body = trim(body);
        if body.is_empty() {
            return refused(message("error: empty command"));
        }
        let Some((id, mut request)) = members_of(body) else {
            return refused(Reply::error(ErrorCode::InvalidJson, "json invalid"));
        };
        Self {
            id,
            cast: request.get("msg_type").is_some_and(|kind| kind == "cast"),
            command: command_of(&mut request),
        }
    }
}

/// A request as clients send it.
#[must_use]
pub fn encode(command: &str, properties: Map<String, Value>, id: &str, cast: bool) -> Vec<u8> {
    let mut request = Map::new();
    request.insert("command".to_owned(), command.into());
    request.insert("properties".to_owned(), properties.into());
    request.insert("id".to_owned(), id.into());
    if cast {
        request.insert("msg_type".to_owned(), "cast".into());
    }
    json::to_bytes(&request.into())
}

/// The `id` as it is written, and the other members; `None` if that is no JSON object.
fn members_of(body: &[u8]) -> Option<(Echo, Map<String, Value>)> {
    let mut raw: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let id = raw.remove("id").map_or_else(Echo::null, Echo::of);
    let member = |(name, value): (String, &RawValue)| Some((name, serde_json::from_str(value.get()).ok()?));
    Some((id, raw.into_iter().map(member).collect::<Option<_>>()?))
}

/// Without the white space Python strips, which is one character more than Rust's.
fn trim(body: &[u8]) -> &[u8] {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let Some(first) = body.iter().position(|byte| !blank(byte)) else { return &[] };
    let last = body.iter().rposition(|byte| !blank(byte)).unwrap_or(first);
    &body[first..=last]
}

fn command_of(request: &mut Map<String, Value>) -> Result<Command, Reply> {
    let given = request.remove("command").unwrap_or(Value::Null);
    let Some(spec) = given.as_str().and_then(|name| commands::find(&name.to_lowercase())) else {
        return Err(unknown_command(&given));
    };
    let properties = Properties::of(request)?;
    for property in spec.properties.iter().filter(|property| property.required) {
        properties.require(property.name)?;
    }
    read(spec.name, &properties)
}

/// The typed command; `name` is one of the table's.
fn read(name: &str, given: &Properties) -> Result<Command, Reply> {
    let waiting = given.flag("waiting", false);
    Ok(match name {
        "add" => add(given, waiting)?,
        "addsocket" => Command::AddSocket { name: given.text("name")?, options: given.object("options")? },
        "decr" => Command::Decr { name: given.text("name")?, nb: given.integer("nb")?.unwrap_or(1), waiting },
        "dstats" => Command::Dstats,
        "get" => Command::Get { name: given.text("name")?, keys: given.texts("keys")? },
        "globaloptions" => Command::GlobalOptions { option: global_option(given)? },
        "incr" => Command::Incr { name: given.text("name")?, nb: given.integer("nb")?.unwrap_or(1), waiting },
        "ipython" => Command::Ipython,
        "kill" => Command::Kill {
            name: given.text("name")?,
            pid: given.pid("pid")?,
            signum: given.signal("signum")?,
            graceful_timeout: given.seconds("graceful_timeout")?,
            waiting,
        },
        "list" => Command::List { name: given.optional_text("name")? },
        "listen" => return Err(message("invalid message. use a pub/sub socket")),
        "listsockets" => Command::ListSockets,
        "logs" => logs(given)?,
        "notify" => notify(given)?,
        "numprocesses" => Command::NumProcesses { name: given.optional_text("name")? },
        "numwatchers" => Command::NumWatchers,
        "options" => Command::Options { name: given.text("name")? },
        "quit" => Command::Quit { waiting },
        "reload" => Command::Reload {
            name: given.optional_text("name")?,
            graceful: given.flag("graceful", true),
            sequential: given.flag("sequential", false),
            waiting,
        },
        "reloadconfig" => Command::ReloadConfig { waiting, dry_run: given.flag("dry_run", false) },
        "restart" => Command::Restart { target: target(given)?, waiting },
        "rm" => Command::Rm { name: given.text("name")?, nostop: given.flag("nostop", false), waiting },
        "rmsocket" => Command::RmSocket { name: given.text("name")? },
        "set" => Command::Set { name: given.text("name")?, options: given.object("options")?, waiting },
        "signal" => signal(given)?,
        "start" => Command::Start { target: target(given)?, waiting },
        "stats" => Command::Stats {
            name: given.optional_text("name")?,
            // Without a watcher it means nothing, and Circus does not look at it.
            process: if given.has("name") { given.given_pid("process")? } else { None },
            extended: given.flag("extended", false),
        },
        "status" => Command::Status { name: given.optional_text("name")? },
        "stop" => Command::Stop { target: target(given)?, waiting },
        "why" => Command::Why { name: given.text("name")? },
        // A test sends every command of the table.
        other => return Err(unknown_command(&other.into())),
    })
}

fn add(given: &Properties, waiting: bool) -> Result<Command, Reply> {
    let name = given.text("name")?;
    if name.trim().is_empty() {
        return Err(message("command name shouldn't be empty"));
    }
    Ok(Command::Add {
        name,
        cmd: given.text("cmd")?,
        args: given.args("args")?,
        options: given.object("options")?,
        start: given.flag("start", false),
        waiting,
    })
}

/// Lines of one answer to `logs`, if the request does not say, and at most.
const LOG_LINES: (usize, usize) = (100, 10_000);

/// The longest that a `logs` request may wait, in seconds.
const LOG_WAIT: f64 = 60.0;

fn logs(given: &Properties) -> Result<Command, Reply> {
    let channel = match given.optional_text("stream")?.as_deref() {
        None => None,
        Some(text) => match Channel::ALL.into_iter().find(|channel| channel.name() == text) {
            Some(channel) => Some(channel),
            None => return Err(message("'stream' isn't `stdout` or `stderr`")),
        },
    };
    let after = given.count("after")?;
    let max = given.count("max")?.map_or(LOG_LINES.0, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let wait = given.seconds("wait")?.unwrap_or(0.0);
    let (max, wait) = (max.min(LOG_LINES.1), wait.clamp(0.0, LOG_WAIT));
    Ok(Command::Logs { name: given.text("name")?, channel, after, max, wait })
}

/// Only what plugins find out can be published; what circusd itself knows cannot be made up.
fn notify(given: &Properties) -> Result<Command, Reply> {
    if let Some(event) = given.optional_text("event")?.filter(|event| event != "flapping") {
        return Err(message(format!("there is no event {} to publish", repr_text(&event))));
    }
    Ok(Command::Notify {
        name: given.text("name")?,
        attempt: given.integer("attempt")?.unwrap_or(1),
        retry_in: given.seconds("retry_in")?,
    })
}

/// Null and the empty text ask for all of them, as in Circus.
fn global_option(given: &Properties) -> Result<Option<String>, Reply> {
    if !given.flag("option", false) {
        return Ok(None);
    }
    given.optional_text("option")
}

fn signal(given: &Properties) -> Result<Command, Reply> {
    let childpid = if given.has("childpid") { given.pid("childpid")? } else { given.pid("child_pid")? };
    let pid = given.pid("pid")?;
    if childpid.is_some() && pid.is_none() {
        return Err(Reply::error(ErrorCode::Command, "cannot specify childpid without pid"));
    }
    Ok(Command::Signal {
        name: given.text("name")?,
        signum: given.signal_number("signum")?.ok_or_else(|| message("signal invalid"))?,
        pid,
        childpid,
        children: given.flag("children", false),
        recursive: given.flag("recursive", false),
    })
}

fn target(given: &Properties) -> Result<Option<Target>, Reply> {
    let Some(pattern) = given.optional_text("name")? else { return Ok(None) };
    let method = match given.optional_text("match")?.as_deref() {
        None | Some("glob") => Match::Glob,
        Some("simple") => Match::Simple,
        Some("regex") => Match::Regex,
        Some(other) => return Err(message(format!("unknown match method {other}"))),
    };
    Ok(Some(Target { pattern, method }))
}

#[cfg(test)]
mod tests;
