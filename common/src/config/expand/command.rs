//! The argument vector of one process: variables put in, then split into words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Piece, after_prefix, env_value, pieces, replace, words};
use crate::config::{Args, WatcherConfig, options, python_text};

/// Descriptors of the managed sockets by their lower-cased names.
pub type Descriptors = BTreeMap<String, i32>;

/// The words to execute for the worker in slot `wid`, `$(circus.sockets.NAME)` being the descriptors given. With `shell` they are `/bin/sh -c TEXT` and the shell's own
/// arguments, and the text is handed over unsplit and unquoted.
///
/// # Errors
/// When the command is empty or a quote is not closed; the text is Python's.
pub fn command_line(watcher: &WatcherConfig, wid: u32, sockets: &Descriptors) -> Result<Vec<String>, String> {
    let expand = |text: &str| expand(watcher, wid, sockets, text);
    if watcher.shell {
        return shell_line(watcher, expand);
    }
    let mut line = words::split(&expand(&watcher.cmd))?;
    if line.is_empty() {
        return Err(EMPTY.to_owned());
    }
    match &watcher.args {
        Args::None => {}
        Args::Text(text) => line.extend(words::split(&expand(text))?),
        Args::List(words) => line.extend(words.iter().map(|word| expand(word))),
    }
    Ok(line)
}

/// Why an empty command cannot be run.
const EMPTY: &str = "the command is empty";

/// `/bin/sh -c TEXT`, and what the text sees as `$0 $1 ...`.
fn shell_line(watcher: &WatcherConfig, expand: impl Fn(&str) -> String) -> Result<Vec<String>, String> {
    // Continuation lines of the file are one command, not several.
    let one_line = |text: &str| expand(&text.replace('\n', " "));
    let mut text = one_line(&watcher.cmd);
    if text.trim().is_empty() {
        return Err(EMPTY.to_owned());
    }
    let args = match &watcher.args {
        Args::None => String::new(),
        Args::Text(args) => one_line(args),
        Args::List(list) => list.iter().map(|word| words::quote(&expand(word))).collect::<Vec<_>>().join(" "),
    };
    if !args.is_empty() {
        text.push(' ');
        text.push_str(&args);
    }
    let mut line = vec!["/bin/sh".to_owned(), "-c".to_owned(), text];
    if let Some(shell_args) = &watcher.shell_args {
        line.extend(words::split(&expand(shell_args))?);
    }
    Ok(line)
}

/// Puts in what is known when a process is spawned.
fn expand(watcher: &WatcherConfig, wid: u32, sockets: &Descriptors, text: &str) -> String {
    let value = |name| match socket_name(name) {
        Some(socket) => sockets.get(&socket).map(ToString::to_string),
        None => value_of(watcher, wid, name),
    };
    let text = if text.contains('(') { replace(text, value) } else { text.to_owned() };
    // Documented as deprecated by Circus, but never applied there.
    if text.contains("$WID") { text.replace("$WID", &wid.to_string()) } else { text }
}

/// The text of one variable, named in any case.
fn value_of(watcher: &WatcherConfig, wid: u32, name: &str) -> Option<String> {
    if let Some(name) = after_prefix(name, "env.") {
        return env_value(watcher.env.as_ref()?, name).map(str::to_owned);
    }
    let name = name.to_lowercase();
    match name.as_str() {
        "wid" => return Some(wid.to_string()),
        "use_fds" => return Some(python_text::repr(&Value::Bool(watcher.use_sockets))),
        "sockets" | "env" => return None,
        _ => {}
    }
    if let Some(limit) = name.strip_prefix("rlimits.") {
        return watcher
            .rlimits
            .get(limit)
            .map(|limit| limit.map_or("-1".to_owned(), |limit| limit.to_string()));
    }
    let (key, member) = match name.split_once('.') {
        Some((key, member)) => (key, Some(member)),
        None => (name.as_str(), None),
    };
    let option = options::TABLE.iter().find(|spec| spec.reported == Some(key));
    let value = match option {
        Some(spec) => (spec.read)(watcher)?,
        None => watcher.extra.iter().find(|(known, _)| known.to_lowercase() == key)?.1.clone(),
    };
    match (value, member) {
        (Value::Object(members), Some(member)) => members
            .iter()
            .rev()
            .find(|(known, _)| known.to_lowercase() == member)
            .map(|(_, v)| python_text::str(v)),
        // An object as a whole has no text, and nothing else has members.
        (Value::Object(_), None) | (_, Some(_)) => None,
        (value, None) => Some(python_text::str(&value)),
    }
}

/// The variables in a watcher's cmd, args and shell_args that will stay as they are written.
pub(in crate::config) fn unknown_variables(watcher: &WatcherConfig) -> Vec<(&'static str, String)> {
    let mut unknown = Vec::new();
    for (key, text) in texts(watcher) {
        for piece in pieces(text) {
            if let Piece::Variable { written, name } = piece
                && socket_name(name).is_none()
                && value_of(watcher, 1, name).is_none()
            {
                unknown.push((key, written.to_owned()));
            }
        }
    }
    unknown
}

/// The managed sockets that the command mentions, by lower-cased name.
pub(in crate::config) fn sockets_named(watcher: &WatcherConfig) -> BTreeSet<String> {
    let named = |piece| match piece {
        Piece::Variable { name, .. } => socket_name(name),
        Piece::Text(_) => None,
    };
    texts(watcher).flat_map(|(_, text)| pieces(text).filter_map(named)).collect()
}

/// The lower-cased name of the socket whose variable has this name.
fn socket_name(name: &str) -> Option<String> {
    after_prefix(name, "sockets.").map(str::to_lowercase)
}

/// Every text that is expanded at a spawn, with its option.
fn texts(watcher: &WatcherConfig) -> impl Iterator<Item = (&'static str, &str)> {
    let args: Vec<&str> = match &watcher.args {
        Args::None => Vec::new(),
        Args::Text(text) => vec![text],
        Args::List(words) => words.iter().map(String::as_str).collect(),
    };
    std::iter::once(("cmd", watcher.cmd.as_str()))
        .chain(args.into_iter().map(|text| ("args", text)))
        .chain(watcher.shell_args.as_deref().map(|text| ("shell_args", text)))
}

/// Whether the text given to the shell has syntax that Circus would have quoted away.
pub(in crate::config) fn has_shell_syntax(watcher: &WatcherConfig) -> bool {
    texts(watcher).any(|(key, text)| {
        key != "shell_args"
            && pieces(text).any(|piece| match piece {
                Piece::Text(text) => text.replace("$WID", "").contains(SHELL_SYNTAX),
                Piece::Variable { .. } => false,
            })
    })
}

/// The characters meant by that.
const SHELL_SYNTAX: [char; 13] = ['$', '`', ';', '&', '|', '<', '>', '*', '?', '(', ')', '#', '~'];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn watcher(cmd: &str, args: Args) -> WatcherConfig {
        let mut watcher = WatcherConfig { args, ..WatcherConfig::new("w", cmd) };
        watcher.working_dir = "RUN".to_owned();
        watcher.env = Some(BTreeMap::from([("AA".to_owned(), "a b".to_owned())]));
        watcher
    }

    fn line(watcher: &WatcherConfig) -> Vec<String> {
        command_line(watcher, 7, &Descriptors::new()).expect("a good command")
    }

    #[test]
    fn options_are_put_in_as_python_texts() {
        let args = "$(circus.wid) $(CIRCUS.WORKING_DIR) ((circus.numprocesses)) $(circus.nope) $(circus.uid) \
                    $(circus.shell) $(circus.graceful_timeout) $(circus.stop_signal) $(circus.use_fds)";
        let watcher = watcher("w", Args::Text(args.to_owned()));
        assert_eq!(
            line(&watcher),
            ["w", "7", "RUN", "1", "$(circus.nope)", "None", "False", "30.0", "15", "False"]
        );
    }

    #[test]
    fn free_form_options_without_a_dot_are_known() {
        let mut watcher = watcher("w $(circus.port) $(circus.foo.bar)", Args::None);
        watcher.extra.insert("Port".to_owned(), json!("80"));
        watcher.extra.insert("foo.bar".to_owned(), json!("x"));
        assert_eq!(line(&watcher), ["w", "80", "$(circus.foo.bar)"]);
    }

    #[test]
    fn values_with_blanks_are_split_in_texts_and_kept_in_lists() {
        let text = watcher("w", Args::Text("$(circus.env.aa)".to_owned()));
        assert_eq!(line(&text), ["w", "a", "b"]);
        let list = watcher("w", Args::List(vec!["$(circus.env.aa)".to_owned(), "c d".to_owned()]));
        assert_eq!(line(&list), ["w", "a b", "c d"]);
    }

    #[test]
    fn limits_are_known_by_name() {
        let mut watcher =
            watcher("w $(circus.rlimits.nofile) $(circus.rlimits.core) $(circus.rlimits)", Args::None);
        watcher.rlimits.insert("nofile".to_owned(), Some(100));
        watcher.rlimits.insert("core".to_owned(), None);
        assert_eq!(line(&watcher), ["w", "100", "-1", "$(circus.rlimits)"]);
    }

    #[test]
    fn the_old_worker_number_is_replaced() {
        assert_eq!(line(&watcher("sh -c $WID", Args::Text("x$WID".to_owned()))), ["sh", "-c", "7", "x7"]);
    }

    #[test]
    fn a_shell_gets_the_text_as_it_is_written() {
        let mut watcher = watcher("echo $HOME >\nf$(circus.wid)", Args::Text("'a b' | wc".to_owned()));
        watcher.shell = true;
        watcher.shell_args = Some("zero 'o ne'".to_owned());
        assert_eq!(line(&watcher), ["/bin/sh", "-c", "echo $HOME > f7 'a b' | wc", "zero", "o ne"]);
        watcher.args = Args::List(vec!["a b".to_owned(), "$x".to_owned()]);
        watcher.shell_args = None;
        assert_eq!(line(&watcher), ["/bin/sh", "-c", "echo $HOME > f7 'a b' '$x'"]);
        watcher.args = Args::Text(String::new());
        assert_eq!(line(&watcher)[2], "echo $HOME > f7");
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for (cmd, reason) in [("", EMPTY), (" \n", EMPTY), ("a 'b", "No closing quotation")] {
            assert_eq!(
                command_line(&watcher(cmd, Args::None), 1, &Descriptors::new()),
                Err(reason.to_owned())
            );
        }
        let shell = WatcherConfig { shell: true, ..watcher(" ", Args::None) };
        assert_eq!(command_line(&shell, 1, &Descriptors::new()), Err(EMPTY.to_owned()));
    }

    #[test]
    fn socket_and_unknown_variables_are_found() {
        let watcher = watcher("w $(circus.nope)", Args::Text("((circus.sockets.Web))".to_owned()));
        assert_eq!(sockets_named(&watcher), BTreeSet::from(["web".to_owned()]));
        assert_eq!(unknown_variables(&watcher), [("cmd", "$(circus.nope)".to_owned())]);
    }

    #[test]
    fn a_socket_becomes_its_number_in_any_case_and_an_unknown_one_stays() {
        let sockets = Descriptors::from([("web".to_owned(), 65), ("ux".to_owned(), 64)]);
        let args =
            Args::Text("$(circus.sockets.WEB) ((CIRCUS.Sockets.ux)) $(circus.sockets.nope)".to_owned());
        let line = command_line(&watcher("w $(circus.sockets.web)", args), 7, &sockets);
        assert_eq!(line.expect("good"), ["w", "65", "65", "64", "$(circus.sockets.nope)"]);
    }

    #[test]
    fn shell_syntax_is_told_from_variables() {
        assert!(!has_shell_syntax(&watcher("echo $(circus.wid) ((circus.wid)) $WID 'a'", Args::None)));
        for cmd in ["echo $HOME", "a; b", "a > b", "(a)", "a*", "~/x", "a # b", "a & b", "`a`"] {
            assert!(has_shell_syntax(&watcher(cmd, Args::None)), "{cmd}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(cmd in any::<String>(), args in any::<String>(), shell: bool) {
            let watcher = WatcherConfig { shell, ..watcher(&cmd, Args::Text(args)) };
            let _ = command_line(&watcher, 1, &Descriptors::new());
        }

        #[test]
        fn no_variable_makes_it_panic(cmd in r"(\$\(|\(\(|\)|circus\.|env\.|AA|wid|\.| |x|'|é)*") {
            let _ = command_line(&watcher(&cmd, Args::None), 1, &Descriptors::new());
        }
    }
}
