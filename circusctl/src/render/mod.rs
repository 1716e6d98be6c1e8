//! Replies as the text Circus' circusctl prints for them.
//!
//! Pure: a reply in, text out. No colour and no terminal here: what a script reads from a pipe is fixed by the
//! contract. A member that a reply should have and lacks is printed as nothing, never a reason to fail.

pub mod age;
pub mod figures;
pub mod json;
pub mod logs;
pub mod names;
pub mod options;
pub mod plan;
pub mod table;
pub mod why;

use circus_common::config::python_text::str as str_of;
use serde_json::{Map, Value};

/// A reply of the daemon, as it came.
pub type Reply = Map<String, Value>;

/// How a reply is to be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The command's own text.
    Text,
    /// JSON on one line.
    Json,
    /// JSON, indented, with sorted keys.
    PrettyJson,
}

/// A reply as text, without the final newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// What to print.
    pub text: String,
    /// Whether the text is a complaint, to be printed on stderr.
    pub complaint: bool,
    /// Whether the daemon refused the request.
    pub refused: bool,
    /// What went wrong although the request was carried out: lines for stderr.
    pub remarks: Vec<String>,
}

/// Renders the reply to `command`.
pub fn render(command: &str, reply: &Reply, form: Form) -> Rendered {
    let refused = reply.get("status").and_then(Value::as_str) == Some("error");
    let text = match form {
        Form::Json => json::line(&Value::Object(reply.clone())),
        Form::PrettyJson => json::pretty(&Value::Object(reply.clone())),
        Form::Text if refused => complaint(command, reply),
        Form::Text => success(command, reply),
    };
    let remarks = if form == Form::Text && !refused { remarks(reply) } else { Vec::new() };
    Rendered { text, complaint: refused && form == Form::Text, refused, remarks }
}

/// Each watcher that gave up, and why. Circus answers such a request with a bare `ok`, which stays on stdout.
fn remarks(reply: &Reply) -> Vec<String> {
    // The errors of `why` are a list: they are its text.
    let errors = reply.get("errors").and_then(Value::as_object);
    errors.into_iter().flatten().map(|(name, error)| format!("{name}: {}", str_of(error))).collect()
}

fn complaint(command: &str, reply: &Reply) -> String {
    let reason = member(reply, "reason");
    // globaloptions is the one command that says the bare reason.
    if command == "globaloptions" { reason } else { format!("error: {reason}") }
}

fn success(command: &str, reply: &Reply) -> String {
    match command {
        "decr" | "incr" => names::count_after_change(reply),
        "dstats" => figures::dstats(reply),
        "get" | "globaloptions" => options::lines(reply),
        "ipython" => "error: Could not start ipython kernel".to_owned(),
        "list" => names::list(reply),
        "listsockets" => names::sockets(reply),
        "numprocesses" => member(reply, "numprocesses"),
        "numwatchers" => member(reply, "numwatchers"),
        "options" => options::sorted_lines(reply),
        "reloadconfig" => reply.get("plan").map_or_else(|| "ok".to_owned(), plan::plan),
        "stats" => figures::stats(reply),
        "status" => names::status(reply),
        "why" => why::why(reply),
        _ => "ok".to_owned(),
    }
}

/// A member in Python's `str` form; nothing where it is missing.
fn member(reply: &Reply, name: &str) -> String {
    reply.get(name).map(str_of).unwrap_or_default()
}

#[cfg(test)]
mod tests;
