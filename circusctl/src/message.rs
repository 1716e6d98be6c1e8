//! The words of a command line as the properties of a request.
//!
//! Pure. What is refused here never reaches the daemon; the texts are those of Circus, whose scripts and users
//! know them. What Circus answers with a traceback is one line here, and words that it silently ignores are an
//! error: a forgotten `stop a b` is worse than a complaint.

use circus_common::{
    config::{options, python_text::repr_text},
    protocol::{
        commands::{Argument, CommandOption, CommandSpec, Count, Sets},
        docs::usage_line,
    },
};
use serde_json::{Map, Value};

use crate::words::Words;

/// The members of `properties`.
pub type Properties = Map<String, Value>;

/// Why the arguments of a command make no request. Printed as it stands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Too few or too many, in the words of the command.
    #[error("{0}")]
    Count(&'static str),
    /// The same, where the words of the command do not tell that.
    #[error("{words}: wrong number of arguments, expected `{usage}`")]
    Usage {
        /// The words of the command.
        words: &'static str,
        /// How it is called.
        usage: String,
    },
    /// A number was expected.
    #[error("{what} must be {kind}, not {}", repr_text(text))]
    Number {
        /// Which argument.
        what: &'static str,
        /// What it has to be.
        kind: &'static str,
        /// What stands there.
        text: String,
    },
    /// `set` does not know the option, or the value does not fit it.
    #[error("{0}")]
    Option(String),
}

/// The properties of a request for the command of `spec`.
pub fn properties(spec: &CommandSpec, words: &Words) -> Result<Properties, ArgumentError> {
    if !fits(spec.usage.arguments, words.args.len()) {
        return Err(wrong_count(spec));
    }
    let args: Vec<&str> = words.args.iter().map(String::as_str).collect();
    let mut built = arguments(spec.name, &args)?;
    for option in spec.usage.options {
        if let Some(value) = chosen(option, words)? {
            built.insert(option.property.to_owned(), value);
        }
    }
    Ok(built)
}

/// Circus' words come first: they are what a script may look for.
fn wrong_count(spec: &CommandSpec) -> ArgumentError {
    let words = spec.usage.wrong;
    if words.contains("arguments") {
        return ArgumentError::Count(words);
    }
    ArgumentError::Usage { words, usage: usage_line(spec) }
}

/// Whether so many arguments are neither too few nor too many.
fn fits(arguments: &[Argument], given: usize) -> bool {
    // `KEY VALUE` stands for two words.
    let needed = arguments.iter().filter(|it| matches!(it.count, Count::One | Count::Many));
    let least: usize = needed.map(|it| it.name.split(' ').count()).sum();
    let unbounded = arguments.iter().any(|it| matches!(it.count, Count::Any | Count::Many));
    given >= least && (unbounded || given <= arguments.len())
}

/// What an option sets its property to, if it was given.
fn chosen(option: &CommandOption, words: &Words) -> Result<Option<Value>, ArgumentError> {
    let text = words.value(option.name);
    Ok(match option.sets {
        Sets::Flag(value) => words.flag(option.name).then_some(value.into()),
        // A word that is no choice is the daemon's to refuse: it may know more of them.
        Sets::Text(_) | Sets::Choice(_) => text.map(Value::from),
        // As text it would leave a process stuck for ever in a daemon that does not convert it.
        Sets::Number(_) => text.map(|text| seconds(option.name, text).map(Value::from)).transpose()?,
    })
}

/// The arguments by the names of their properties. Their number was compared with the table.
fn arguments(command: &str, args: &[&str]) -> Result<Properties, ArgumentError> {
    Ok(match (command, args) {
        ("add", [name, cmd @ ..]) => members([("name", (*name).into()), ("cmd", cmd.join(" ").into())]),
        ("addsocket", [name, pairs @ ..]) => {
            members([("name", (*name).into()), ("options", keys(pairs)?.into())])
        }
        ("decr" | "incr", [name, nb]) => {
            members([("name", (*name).into()), ("nb", integer("NB", nb)?.into())])
        }
        ("get", [name, keys @ ..]) => members([("name", (*name).into()), ("keys", keys.to_vec().into())]),
        ("globaloptions", [key]) => members([("option", (*key).into())]),
        ("kill", [name, pid]) => members([("name", (*name).into()), ("pid", integer("PID", pid)?.into())]),
        ("set", [name, pairs @ ..]) => {
            members([("name", (*name).into()), ("options", options(pairs)?.into())])
        }
        ("signal", [name, signum]) => members([("name", (*name).into()), ("signum", (*signum).into())]),
        ("signal", [name, pid, signum]) => members([
            ("name", (*name).into()),
            ("pid", integer("PID", pid)?.into()),
            ("signum", (*signum).into()),
        ]),
        ("stats", [name, pid]) => {
            members([("name", (*name).into()), ("process", integer("PID", pid)?.into())])
        }
        (_, [name]) => members([("name", (*name).into())]),
        _ => Properties::new(),
    })
}

fn options(pairs: &[&str]) -> Result<Map<String, Value>, ArgumentError> {
    let (pairs, []) = pairs.as_chunks::<2>() else {
        return Err(ArgumentError::Count("List of key/values is invalid"));
    };
    let pair = |[key, text]: &[&str; 2]| {
        let key = key.to_lowercase();
        let value = options::convert(&key, text).map_err(ArgumentError::Option)?;
        Ok((key, value))
    };
    pairs.iter().map(pair).collect()
}

/// Keys of a socket: their values are texts, which the daemon reads as it reads those of a file.
fn keys(pairs: &[&str]) -> Result<Map<String, Value>, ArgumentError> {
    let (pairs, []) = pairs.as_chunks::<2>() else {
        return Err(ArgumentError::Count("List of key/values is invalid"));
    };
    Ok(pairs.iter().map(|[key, text]| (key.to_lowercase(), Value::from(*text))).collect())
}

fn members<const N: usize>(pairs: [(&str, Value); N]) -> Properties {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn integer(what: &'static str, text: &str) -> Result<i64, ArgumentError> {
    let wrong = |_| ArgumentError::Number { what, kind: "an integer", text: text.to_owned() };
    text.trim().parse().map_err(wrong)
}

fn seconds(what: &'static str, text: &str) -> Result<f64, ArgumentError> {
    let number = text.trim().parse().ok().filter(|seconds: &f64| seconds.is_finite());
    number.ok_or_else(|| ArgumentError::Number { what, kind: "a number of seconds", text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use circus_common::protocol::commands::find;
    use serde_json::json;

    use super::*;

    fn build(line: &str) -> Result<Value, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let spec = find(&words[0]).unwrap();
        let words = Words::parse(spec, &words[1..]).unwrap();
        properties(spec, &words).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn words_become_properties() {
        let table = [
            ("add n sleep 100", json!({"name": "n", "cmd": "sleep 100"})),
            ("add n --start sleep -- -x", json!({"name": "n", "cmd": "sleep -x", "start": true})),
            (
                "addsocket web PORT 0 umask 077",
                json!({"name": "web", "options": {"port": "0", "umask": "077"}}),
            ),
            ("addsocket web", json!({"name": "web", "options": {}})),
            ("rmsocket web", json!({"name": "web"})),
            ("incr web", json!({"name": "web"})),
            ("incr web -1 --waiting", json!({"name": "web", "nb": -1, "waiting": true})),
            ("decr --waiting web 2", json!({"name": "web", "nb": 2, "waiting": true})),
            ("get web uid env", json!({"name": "web", "keys": ["uid", "env"]})),
            ("globaloptions", json!({})),
            ("globaloptions endpoint", json!({"option": "endpoint"})),
            ("kill web", json!({"name": "web"})),
            (
                "kill web 12 --signum KILL --graceful_timeout 2 --waiting",
                json!({"name": "web", "pid": 12, "signum": "KILL", "graceful_timeout": 2.0, "waiting": true}),
            ),
            ("list", json!({})),
            ("list web", json!({"name": "web"})),
            ("options web", json!({"name": "web"})),
            ("quit --waiting", json!({"waiting": true})),
            ("reload", json!({})),
            (
                "reload web --sequential --terminate",
                json!({"name": "web", "graceful": false, "sequential": true}),
            ),
            ("reloadconfig", json!({})),
            ("reloadconfig --plan", json!({"dry_run": true})),
            ("start", json!({})),
            ("start w* --match=regex --waiting", json!({"name": "w*", "match": "regex", "waiting": true})),
            ("rm web --nostop --waiting", json!({"name": "web", "nostop": true, "waiting": true})),
            (
                "set web NUMPROCESSES 3 cmd sleep",
                json!({"name": "web", "options": {"numprocesses": 3, "cmd": "sleep"}}),
            ),
            ("set web env A=1,B=2", json!({"name": "web", "options": {"env": {"A": "1", "B": "2"}}})),
            ("signal single --recursive 0", json!({"name": "single", "recursive": true, "signum": "0"})),
            (
                "signal web 12 SIGRTMIN+1 --children",
                json!({"name": "web", "children": true, "signum": "SIGRTMIN+1", "pid": 12}),
            ),
            ("stats", json!({})),
            ("stats web 3 --extended", json!({"name": "web", "process": 3, "extended": true})),
            ("status web", json!({"name": "web"})),
            ("why web", json!({"name": "web"})),
        ];
        for (line, expected) in table {
            assert_eq!(build(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused_in_the_words_of_the_command() {
        let count = "Invalid number of arguments";
        let table = [
            ("add x", count),
            ("addsocket", count),
            ("addsocket web port", "List of key/values is invalid"),
            ("rmsocket", count),
            ("incr", count),
            ("incr web 1 2", count),
            ("incr web x", "NB must be an integer, not 'x'"),
            ("dstats x", "Invalid message: wrong number of arguments, expected `dstats`"),
            ("ipython x", "Invalid message: wrong number of arguments, expected `ipython`"),
            ("get web", count),
            ("kill", count),
            ("kill a 1 2", count),
            ("kill web x", "PID must be an integer, not 'x'"),
            ("kill web --graceful_timeout x", "graceful_timeout must be a number of seconds, not 'x'"),
            ("list a b", count),
            (
                "numprocesses a b",
                "message invalid: wrong number of arguments, expected `numprocesses [NAME]`",
            ),
            ("numwatchers a", count),
            ("options", "number of arguments invalid"),
            ("quit web", count),
            ("reload a b", "invalid number of arguments"),
            ("start a b", count),
            ("stop a b", count),
            ("rm", count),
            ("rm a b", count),
            ("set web a", count),
            ("set web a b c", "List of key/values is invalid"),
            ("set web a b", "unknown key 'a'"),
            ("signal web", count),
            ("signal web x 9", "PID must be an integer, not 'x'"),
            (
                "stats a b c",
                "message invalid: wrong number of arguments, expected `stats [NAME] [PID] [--extended]`",
            ),
            ("stats web x", "PID must be an integer, not 'x'"),
            ("status a b", "message invalid: wrong number of arguments, expected `status [NAME]`"),
            ("why", count),
        ];
        for (line, expected) in table {
            assert_eq!(build(line), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_value_that_does_not_fit_its_option_is_refused() {
        for line in
            ["set web numprocesses x", "set web shell maybe", "set web stop_signal nope", "set web hooks zz"]
        {
            assert!(build(line).is_err(), "{line}");
        }
    }
}
