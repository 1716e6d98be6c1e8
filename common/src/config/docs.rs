//! The reference page of all options, written from the tables.

use std::fmt::Write as _;

use super::{
    circus,
    options::{self, Change, Legal, OptionSpec},
    plugin,
    socket::{self, KeySpec},
    value::Kind,
};

/// `docs/options.md`, whole.
#[must_use]
pub fn options_page() -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n## `[circus]`\n\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for spec in circus::TABLE {
        row(&mut page, &[&code(spec.name), &spec.kind.name(), &code(spec.default), spec.doc]);
    }
    page.push_str(WATCHER);
    for spec in options::TABLE {
        let name = if spec.is_family() { format!("{}NAME", spec.name) } else { spec.name.to_owned() };
        let cells = [
            &code(&name),
            &spec.kind.name(),
            &code(spec.default),
            places(spec.legal),
            change(spec),
            spec.doc,
        ];
        row(&mut page, &cells);
    }
    keys(&mut page, SOCKET, socket::TABLE);
    keys(&mut page, PLUGIN, plugin::TABLE);
    page
}

/// A table of keys that only files know.
fn keys(page: &mut String, head: &str, table: &[KeySpec]) {
    page.push_str(head);
    table.iter().for_each(|spec| key_row(page, spec));
}

/// The head of a table of [`key_row`]s.
pub(super) const OPTIONS_HEAD: &str = "| option | type | default | meaning |\n|---|---|---|---|\n";

/// One key that only files know.
pub(super) fn key_row(page: &mut String, spec: &KeySpec) {
    row(page, &[&code(spec.name), &spec.kind.name(), &code(spec.default), spec.doc]);
}

fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    // Writing to a `String` cannot fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// Verbatim text; nothing for nothing.
fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

const fn places(legal: Legal) -> &'static str {
    match legal {
        Legal { file: true, add: true, set: true } => "file, add, set",
        Legal { file: true, add: true, set: false } => "file, add",
        Legal { file: true, add: false, set: true } => "file, set",
        Legal { file: true, add: false, set: false } => "file",
        Legal { file: false, add: true, set: true } => "add, set",
        Legal { file: false, add: true, set: false } => "add",
        Legal { file: false, add: false, set: true } => "set",
        Legal { file: false, add: false, set: false } => "",
    }
}

const fn change(spec: &OptionSpec) -> &'static str {
    match spec.change {
        _ if !spec.legal.set => "",
        // Where there was none there is no pipe either.
        Change::Manage if matches!(spec.kind, Kind::Stream | Kind::StreamMember) => {
            "no restart; graceful reload if that output had no stream"
        }
        Change::None | Change::Manage => "no restart",
        Change::Reload => "graceful reload",
    }
}

const HEAD: &str = "\
<!-- Written by `CIRCUS_BLESS=1 cargo test -p circus-common docs`; do not edit. -->

# Options

Every key of the ini files, and every option that `circusctl add` and `circusctl set` take. \"own\" marks what Circus does
not have.

Booleans are `yes true on 1` and `no false off 0` in any case. The first value of a repeated key counts. Every value but
signals, hooks and limits may contain `$(circus.env.NAME)` or `((circus.env.NAME))`.
";

const WATCHER: &str = "
## `[watcher:NAME]`

Keys that are not listed are free-form: they are kept, shown by `options` and `get`, passed to plugins, and can be used
in `cmd` and `args` as `$(circus.KEY)`. So can every option that `options` shows, and `$(circus.wid)`, the number of the
process's slot.

| option | type | default | where | after `set` | meaning |
|---|---|---|---|---|---|
";

const SOCKET: &str = "
## `[socket:NAME]`

| key | type | default | meaning |
|---|---|---|---|
";

const PLUGIN: &str = "
## `[plugin:NAME]`

Beside these, every option of the [plugin](plugins.md) itself and of the watcher that runs it.

| key | type | default | meaning |
|---|---|---|---|
";
