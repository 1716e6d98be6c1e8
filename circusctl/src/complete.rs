//! What may follow on a command line: for the shell's TAB and for the completion scripts.
//!
//! Pure: what only the daemon knows is asked for by [`needs`] and handed in. The command table says what each
//! argument stands for, the option table which options and values there are.

use circus_common::{
    config::{options, value::Kind},
    protocol::commands::{Argument, CommandSpec, Complete, Count, Sets, TABLE, find},
};

/// Something that only the daemon knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The names of the watchers.
    Watchers,
    /// The pids of a watcher's processes.
    Pids(String),
}

/// The daemon's options that `globaloptions` knows.
const GLOBAL_OPTIONS: [&str; 5] =
    ["endpoint", "stats_endpoint", "pubsub_endpoint", "check_delay", "multicast_endpoint"];

/// Signals that people send; others may be written in full.
const SIGNALS: [&str; 12] =
    ["ABRT", "ALRM", "CONT", "HUP", "INT", "KILL", "QUIT", "STOP", "TERM", "TTIN", "USR1", "USR2"];

/// The names of the events, the last part of a topic.
const EVENTS: [&str; 9] = ["add", "kill", "reap", "reload", "remove", "spawn", "start", "stop", "updated"];

/// The commands that begin so, with their summaries.
pub fn commands(begun: &str) -> Vec<(&'static str, &'static str)> {
    let named = TABLE.iter().filter(|spec| spec.name.starts_with(begun));
    named.map(|spec| (spec.name, spec.summary)).collect()
}

/// What has to be asked before [`words`] can tell. `before` are the finished words, the command first.
pub fn needs(before: &[String], begun: &str) -> Option<Fact> {
    let (command, before) = before.split_first()?;
    let spec = find(command)?;
    match place(spec, before, begun)? {
        Complete::Watcher | Complete::Topic => Some(Fact::Watchers),
        Complete::Pid => arguments(spec, before).first().map(|&watcher| Fact::Pids(watcher.to_owned())),
        Complete::Nothing
        | Complete::Option
        | Complete::OptionValue
        | Complete::GlobalOption
        | Complete::Signal => None,
    }
}

/// What the word being written may become; `known` is the answer to what [`needs`] asks for.
pub fn words(before: &[String], begun: &str, known: &[String]) -> Vec<String> {
    let Some((command, before)) = before.split_first() else {
        return commands(begun).into_iter().map(|(name, _)| name.to_owned()).collect();
    };
    let Some(spec) = find(command) else {
        return Vec::new();
    };
    let offered = offered(spec, before, begun, known);
    // Names are compared without regard to case, as the daemon does.
    let begun = begun.to_lowercase();
    offered.into_iter().filter(|word| word.to_lowercase().starts_with(&begun)).collect()
}

fn offered(spec: &CommandSpec, before: &[String], begun: &str, known: &[String]) -> Vec<String> {
    if let Some(values) = before.last().and_then(|word| values_of(spec, word)) {
        return values;
    }
    if begun.starts_with('-') {
        return spec.usage.options.iter().map(|option| format!("--{}", option.name)).collect();
    }
    match place(spec, before, begun) {
        None | Some(Complete::Nothing) => Vec::new(),
        Some(Complete::Watcher) => known.to_vec(),
        // `signal NAME [PID] SIGNUM`: what stands second may be either.
        Some(Complete::Pid) if spec.usage.arguments.iter().any(|it| it.complete == Complete::Signal) => {
            known.iter().cloned().chain(texts(&SIGNALS)).collect()
        }
        Some(Complete::Pid) => known.to_vec(),
        Some(Complete::Option) => shown_options(),
        Some(Complete::OptionValue) => key_or_value(&arguments(spec, before)),
        Some(Complete::GlobalOption) => texts(&GLOBAL_OPTIONS),
        Some(Complete::Signal) => texts(&SIGNALS),
        Some(Complete::Topic) => topics(known),
    }
}

/// What the argument being written stands for; `None` where it is none, or one too many.
fn place(spec: &CommandSpec, before: &[String], begun: &str) -> Option<Complete> {
    let is_value = before.last().is_some_and(|word| values_of(spec, word).is_some());
    if is_value || begun.starts_with('-') {
        return None;
    }
    argument_at(spec, arguments(spec, before).len()).map(|argument| argument.complete)
}

/// The watcher comes first, then keys and values in turn.
fn key_or_value(args: &[&str]) -> Vec<String> {
    match args.last() {
        Some(key) if args.len().is_multiple_of(2) => option_values(key),
        _ => settable_options(),
    }
}

/// The values of the option that `word` names, if it takes one.
fn values_of(spec: &CommandSpec, word: &str) -> Option<Vec<String>> {
    let option = spec.option(word)?;
    match option.sets {
        Sets::Flag(_) => None,
        Sets::Choice(words) => Some(texts(words)),
        Sets::Text(_) if option.property == "signum" => Some(texts(&SIGNALS)),
        Sets::Text(_) | Sets::Number(_) => Some(Vec::new()),
    }
}

/// The words that are arguments: no options, no values of options.
fn arguments<'a>(spec: &CommandSpec, before: &'a [String]) -> Vec<&'a str> {
    let mut value_follows = false;
    let mut arguments = Vec::new();
    for word in before {
        let is_value = std::mem::replace(&mut value_follows, values_of(spec, word).is_some());
        if !is_value && !word.starts_with("--") && spec.option(word).is_none() {
            arguments.push(word.as_str());
        }
    }
    arguments
}

/// What stands at that place; the last one may stand there again and again.
fn argument_at(spec: &CommandSpec, place: usize) -> Option<&'static Argument> {
    let arguments = spec.usage.arguments;
    let repeated = arguments.last().filter(|it| matches!(it.count, Count::Any | Count::Many));
    arguments.get(place).or(repeated)
}

/// What `get` shows.
fn shown_options() -> Vec<String> {
    options::TABLE.iter().filter_map(|option| option.reported).map(str::to_owned).collect()
}

/// What `set` can change.
fn settable_options() -> Vec<String> {
    // A whole stream is no word of a command line: its members are set one by one.
    let settable = options::TABLE.iter().filter(|option| option.legal.set && option.kind != Kind::Stream);
    settable.map(|option| option.name.to_owned()).collect()
}

fn option_values(key: &str) -> Vec<String> {
    match key {
        "stop_signal" => texts(&SIGNALS),
        // What reads as a boolean and as nothing else is one.
        key if options::convert(key, "true") == Ok(true.into()) => texts(&["true", "false"]),
        _ => Vec::new(),
    }
}

fn topics(watchers: &[String]) -> Vec<String> {
    let of_watcher = |watcher: &String| {
        let name = watcher.to_lowercase().replace(' ', "_");
        let exact = EVENTS.iter().map(|event| format!("watcher.{name}.{event}")).collect::<Vec<_>>();
        std::iter::once(format!("watcher.{name}.")).chain(exact).collect::<Vec<_>>()
    };
    std::iter::once("watcher.".to_owned()).chain(watchers.iter().flat_map(of_watcher)).collect()
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(line: &str) -> String {
        let mut before: Vec<String> = line.split('|').map(str::to_owned).collect();
        let begun = before.pop().unwrap();
        let known = match needs(&before, &begun) {
            None => Vec::new(),
            Some(Fact::Watchers) => texts(&["single", "sleep er", "web"]),
            Some(Fact::Pids(watcher)) => texts(if watcher == "web" { &["12", "134"] } else { &[] }),
        };
        words(&before, &begun, &known).join(" ")
    }

    #[test]
    fn each_place_offers_what_the_table_says() {
        let table = [
            ("st", "start stats status stop"),
            ("start|", "single sleep er web"),
            ("start|S", "single sleep er"),
            ("start|web|", ""),
            ("start|web|--", "--waiting --match"),
            ("start|--match|", "simple glob regex"),
            ("start|--match|glob|w", "web"),
            ("kill|web|", "12 134"),
            ("kill|web|--signum|U", "USR1 USR2"),
            ("signal|web|1", "12 134"),
            ("signal|web|T", "TERM TTIN"),
            ("signal|web|12|K", "KILL"),
            ("stats|web|13", "134"),
            ("set|web|numpro", "numprocesses"),
            ("set|web|shell|", "true false"),
            ("set|web|stop_signal|K", "KILL"),
            ("set|web|shell|true|numpro", "numprocesses"),
            ("set|web|c", "cmd copy_env close_child_stdin close_child_stdout close_child_stderr"),
            ("set|web|stdout", "stdout_stream."),
            ("get|web|uid|gi", "gid"),
            ("get|web|c", "cmd copy_env close_child_stdin close_child_stdout close_child_stderr"),
            ("get|web|stdout", "stdout_stream_conf"),
            ("globaloptions|s", "stats_endpoint"),
            ("logs|-f|w", "web"),
            ("logs|web|s", "single sleep er"),
            ("logs|-n|", ""),
            ("logs|-n|5|w", "web"),
            ("logs|--f", "--follow"),
            (
                "listen|watcher.sl",
                "watcher.sleep_er. watcher.sleep_er.add watcher.sleep_er.kill \
             watcher.sleep_er.reap watcher.sleep_er.reload watcher.sleep_er.remove watcher.sleep_er.spawn \
             watcher.sleep_er.start watcher.sleep_er.stop watcher.sleep_er.updated",
            ),
            ("nope|", ""),
            ("quit|", ""),
        ];
        for (line, expected) in table {
            assert_eq!(complete(line), expected, "{line}");
        }
    }
}
