//! Completion for bash, zsh and fish: the scripts, and the answers that they ask circusctl for.
//!
//! The scripts know nothing themselves, so they stay right when commands and watchers change. Circus' own
//! protocol is kept: with `AUTO_COMPLETE` set, `COMP_WORDS` is split at blanks, the commands that fit are printed on
//! one line, and the exit status is 1. Our scripts set `AUTO_COMPLETE=lines`: one word of `COMP_WORDS` a line, so
//! that names with blanks survive, one candidate a line, a TAB and its meaning behind it.

use std::{str::FromStr, time::Duration};

use circus_common::config::python_text::str as str_of;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    cli::{Args, option_lines},
    complete::{self, Fact},
    message::Properties,
    render::Reply,
    runner::Runner,
};

/// How long a person at a TAB waits for the daemon.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The shells that have a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash 4 and later.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl FromStr for Shell {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "bash" => Ok(Self::Bash),
            "zsh" => Ok(Self::Zsh),
            "fish" => Ok(Self::Fish),
            _ => Err(()),
        }
    }
}

/// The script, to be read by the shell.
pub fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("completions/circusctl.bash"),
        Shell::Zsh => include_str!("completions/circusctl.zsh"),
        Shell::Fish => include_str!("completions/circusctl.fish"),
    }
}

/// What a shell asks through the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The words so far without the program's name, the one being written last.
    words: Vec<String>,
    lines: bool,
}

impl Question {
    /// Reads `AUTO_COMPLETE`, `COMP_WORDS` and `COMP_CWORD`; `None` where nothing is asked.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let lines = variable("AUTO_COMPLETE")? == "lines";
        let words = variable("COMP_WORDS").unwrap_or_default();
        let mut words: Vec<String> = if lines {
            words.split('\n').map(str::to_owned).collect()
        } else {
            words.split_whitespace().map(str::to_owned).collect()
        };
        let place = variable("COMP_CWORD").and_then(|text| text.trim().parse().ok()).unwrap_or(0_usize);
        // What stands behind the cursor does not matter; a word not yet begun is an empty one.
        words.truncate(place.saturating_add(1));
        if words.len() <= place {
            words.push(String::new());
        }
        words.remove(0);
        Some(Self { words, lines })
    }

    /// What to print, and with which exit status.
    pub async fn answer(mut self, environment: Option<String>) -> (String, u8) {
        let begun = self.words.pop().unwrap_or_default();
        if !self.lines {
            // Circus completes the command's name and nothing else.
            let names: Vec<_> = complete::commands(&begun).into_iter().map(|(name, _)| name).collect();
            return (if self.words.is_empty() { names.join(" ") } else { String::new() }, 1);
        }
        let globals = globals(&self.words);
        let candidates = match globals {
            Globals::ValueExpected => Vec::new(),
            Globals::Until(at) if at == self.words.len() => beginnings(&begun),
            Globals::Until(at) => {
                let Some(mut daemon) = Daemon::new(&self.words[..at], environment) else {
                    return (String::new(), 0);
                };
                let before = &self.words[at..];
                if before[0] == "completions" { shells(&begun) } else { daemon.words(before, &begun).await }
            }
        };
        (candidates.join("\n"), 0)
    }
}

/// Where the options before the command end.
enum Globals {
    /// At this word.
    Until(usize),
    /// The last one wants a value.
    ValueExpected,
}

fn globals(words: &[String]) -> Globals {
    let takes_value = |word: &str| {
        option_lines().iter().any(|(option, _)| option.split_once(' ').is_some_and(|(name, _)| name == word))
    };
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        at += if takes_value(word) { 2 } else { 1 };
    }
    if at > words.len() { Globals::ValueExpected } else { Globals::Until(at) }
}

fn beginnings(begun: &str) -> Vec<String> {
    if begun.starts_with('-') {
        let options = option_lines().into_iter().filter_map(|(option, meaning)| {
            let name = option.split(' ').find(|word| word.starts_with("--"))?.to_owned();
            name.starts_with(begun).then(|| format!("{name}\t{meaning}"))
        });
        return options.collect();
    }
    let mut lines: Vec<_> =
        complete::commands(begun).into_iter().map(|(name, summary)| format!("{name}\t{summary}")).collect();
    if "completions".starts_with(begun) {
        lines.push("completions\tPrint a completion script".to_owned());
    }
    lines
}

fn shells(begun: &str) -> Vec<String> {
    ["bash", "zsh", "fish"]
        .iter()
        .filter(|name| name.starts_with(begun))
        .map(|&name| name.to_owned())
        .collect()
}

/// The daemon that the options before the command name.
struct Daemon {
    runner: Runner,
}

impl Daemon {
    fn new(options: &[String], environment: Option<String>) -> Option<Self> {
        let words = std::iter::once("circusctl").chain(options.iter().map(String::as_str));
        let args = Args::read(words.map(Into::into)).ok()?;
        // A tunnel may ask for a password: not while a line is being written.
        args.ssh.is_none().then(|| Self { runner: Runner::new(args, environment) })
    }

    async fn words(&mut self, before: &[String], begun: &str) -> Vec<String> {
        let known = match complete::needs(before, begun) {
            Some(fact) => find_out(&mut self.runner, &fact).await,
            None => Vec::new(),
        };
        complete::words(before, begun, &known)
    }
}

/// Asks the daemon, for a short while; without an answer there is nothing to offer.
pub async fn find_out(runner: &mut Runner, fact: &Fact) -> Vec<String> {
    let (properties, member) = match fact {
        Fact::Watchers => (Properties::new(), "watchers"),
        Fact::Pids(name) => (Properties::from_iter([("name".to_owned(), name.as_str().into())]), "pids"),
    };
    match timeout(PATIENCE, runner.call("list", properties)).await {
        Ok(Ok(reply)) => texts(&reply, member),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

fn texts(reply: &Reply, member: &str) -> Vec<String> {
    let items = reply.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items.iter().map(str_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(mode: &str, words: &str, place: &str) -> (String, u8) {
        let question = Question::read(|name| match name {
            "AUTO_COMPLETE" => Some(mode.to_owned()),
            "COMP_WORDS" => Some(words.to_owned()),
            "COMP_CWORD" => Some(place.to_owned()),
            _ => None,
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(question.unwrap().answer(None))
    }

    #[test]
    fn without_the_variable_nothing_is_asked() {
        assert_eq!(Question::read(|_| None), None);
    }

    #[test]
    fn the_protocol_of_circus_is_kept() {
        assert_eq!(ask("1", "circusctl st", "1"), ("start stats status stop".to_owned(), 1));
        assert_eq!(ask("1", "circusctl start w", "2"), (String::new(), 1));
        assert_eq!(ask("1", "circusctl", "1").1, 1);
        assert!(ask("1", "circusctl", "1").0.starts_with("add addsocket decr dstats"));
        assert_eq!(ask("1", "", "x").1, 1);
    }

    #[test]
    fn our_scripts_get_lines_with_meanings() {
        assert!(ask("lines", "circusctl\nstat", "1").0.starts_with("stats\tGet process infos\nstatus\t"));
        assert_eq!(
            ask("lines", "circusctl\n--endpoint\ntcp://h:1\nnumw", "3").0,
            "numwatchers\tGet the number of watchers"
        );
        assert_eq!(ask("lines", "circusctl\n--endpoint\n", "2").0, "");
        assert_eq!(ask("lines", "circusctl\n--pre", "1").0, "--prettify\tprettify output");
        assert_eq!(ask("lines", "circusctl\nstart\n--m", "2").0, "--match");
        assert_eq!(ask("lines", "circusctl\ncompletions\n", "2").0, "bash\nzsh\nfish");
    }

    #[test]
    fn every_shell_has_a_script_that_asks_circusctl() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            assert!(script(shell).contains("AUTO_COMPLETE=lines"));
        }
    }
}
