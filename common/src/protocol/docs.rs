//! The reference pages of commands and events, written from the tables.

use std::fmt::Write as _;

use super::{
    commands::{Access, Argument, CommandOption, CommandSpec, Count, Sets, TABLE},
    event,
};

/// `docs/commands.md`.
#[must_use]
pub fn commands_page() -> String {
    let mut page = String::from(COMMANDS_HEAD);
    for spec in TABLE {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", spec.name, spec.summary, access(spec.access));
    }
    for spec in TABLE {
        command(&mut page, spec);
    }
    page
}

/// `docs/events.md`.
#[must_use]
pub fn events_page() -> String {
    let mut page = String::from(EVENTS_HEAD);
    for spec in event::TABLE {
        let members: Vec<_> = spec.members.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| `{}` | {} | {} |", spec.name, members.join(", "), spec.doc);
    }
    page.push_str(EVENTS_TAIL);
    for spec in event::OWN_TABLE {
        let members: Vec<_> = spec.members.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "| `{}` | {} | {} |", spec.name, members.join(", "), spec.doc);
    }
    page
}

/// The line that shows how circusctl is told: `incr NAME [NB] [--waiting]`.
#[must_use]
pub fn usage_line(spec: &CommandSpec) -> String {
    let mut line = spec.name.to_owned();
    for argument in spec.usage.arguments {
        line.push(' ');
        line.push_str(&place_holder(argument));
    }
    for option in spec.usage.options {
        let _ = write!(line, " [{}]", option_text(option));
    }
    line
}

const COMMANDS_HEAD: &str = "\
# Commands

Written from the table in `common/src/protocol/commands/`; do not edit.

A request is one ZeroMQ frame with a JSON object, sent to `endpoint` by a DEALER or a REQ socket:
`{\"id\": \"1\", \"command\": \"incr\", \"properties\": {\"name\": \"web\", \"waiting\": true}}`. The answer has the same `id`, and
`status`: `{\"status\": \"ok\", \"time\": 1795244605.05, \"numprocesses\": 2, \"id\": \"1\"}`. With `\"msg_type\": \"cast\"` there is no answer.
A refusal has `\"status\": \"error\"`, a `reason` and an `errno`:

| `errno` | why |
|---|---|
| 1 | the body is not a JSON object |
| 2 | no such command |
| 3 | a property is missing or wrong, or there is no such watcher |
| 4 | the system refused |
| 5 | it cannot be done now, or not as asked |
| 6 | what was waited for has failed |

| command | what it does | access |
|---|---|---|
";

const EVENTS_HEAD: &str = "\
# Events

Written from the table in `common/src/protocol/event.rs`; do not edit.

Published on `pubsub_endpoint` as two frames: the topic `watcher.NAME.EVENT` and a JSON object. NAME is the watcher's name in
lower case with `_` for every blank; it may hold dots, so the event is what follows the last one. A subscriber that falls behind or is away
misses events; there is no replay.

| event | members | when |
|---|---|---|
";

const EVENTS_TAIL: &str = "
`time` is in seconds since the epoch. `exit_code` is the exit status, or minus the number of the signal that ended the process.
`expected` says whether circusd had asked for the end; Circus does not send it.

## Events of our own

They are published on `events_endpoint`, where that is set, under the topic `circus.NAME.EVENT`, so that no client of Circus
meets them unasked.

| event | members | when |
|---|---|---|
";

fn command(page: &mut String, spec: &CommandSpec) {
    let _ = write!(page, "\n## {}\n\n{}.\n\n{}\n", spec.name, spec.summary, spec.doc);
    if !spec.properties.is_empty() {
        page.push_str("\n| property | type | |\n|---|---|---|\n");
    }
    for property in spec.properties {
        let required = if property.required { "Required. " } else { "" };
        let _ =
            writeln!(page, "| `{}` | {} | {required}{} |", property.name, property.kind.word(), property.doc);
    }
    if !spec.reply.is_empty() {
        page.push_str("\n| answer | |\n|---|---|\n");
    }
    for member in spec.reply {
        let _ = writeln!(page, "| `{}` | {} |", member.name, member.doc);
    }
    let _ = write!(page, "\n`circusctl {}`\n", usage_line(spec));
    if !spec.usage.options.is_empty() {
        page.push('\n');
    }
    for option in spec.usage.options {
        let _ = writeln!(page, "- `{}`: {}.", option_text(option), option.doc);
    }
}

const fn access(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Operate => "operate",
        Access::Administer => "administer",
    }
}

fn place_holder(argument: &Argument) -> String {
    match argument.count {
        Count::One => argument.name.to_owned(),
        Count::Optional => format!("[{}]", argument.name),
        Count::Any => format!("[{}...]", argument.name),
        Count::Many => format!("{}...", argument.name),
    }
}

fn option_text(option: &CommandOption) -> String {
    match option.sets {
        Sets::Flag(_) => format!("--{}", option.name),
        Sets::Text(value) | Sets::Number(value) => format!("--{} {value}", option.name),
        Sets::Choice(words) => format!("--{} {}", option.name, words.join("|")),
    }
}
