//! The words after a command's name, sorted into arguments and options by the command table.
//!
//! Options may stand anywhere among the arguments; `--` ends them; a unique beginning of an option's name is
//! enough; a negative number is an argument. What is not in the table is refused, never ignored.

use std::collections::{BTreeMap, BTreeSet};

use circus_common::{
    config::python_text::repr_text,
    protocol::commands::{CommandOption, CommandSpec, Sets},
};

/// What followed the command's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The arguments, in order.
    pub args: Vec<String>,
    /// Whether the usage of the command was asked for; the rest is then of no interest.
    pub help: bool,
    flags: BTreeSet<&'static str>,
    values: BTreeMap<&'static str, String>,
}

/// Words that the command's usage does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Options that the command does not have.
    #[error("unrecognized arguments: {}", .0.join(" "))]
    Unrecognized(Vec<String>),
    /// The beginning of more than one option.
    #[error("ambiguous option: {word} could match {}", .matches.join(", "))]
    Ambiguous {
        /// What was written.
        word: String,
        /// What it may have meant.
        matches: Vec<String>,
    },
    /// An option that takes a value stands last.
    #[error("argument --{0}: expected one argument")]
    ValueMissing(&'static str),
    /// An option that takes no value was given one.
    #[error("argument --{0}: ignored explicit argument {value}", value = repr_text(.1))]
    ValueUnwanted(&'static str, String),
}

impl Words {
    /// Sorts the words that follow the name of `spec`.
    pub fn parse(spec: &'static CommandSpec, words: &[String]) -> Result<Self, WordsError> {
        let mut sorted = Self::default();
        let mut unrecognized = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                sorted.args.extend(rest.by_ref().cloned());
            } else if !is_option(word) {
                sorted.args.push(word.clone());
            } else if word == "-h" || word == "--help" {
                return Ok(Self { help: true, ..sorted });
            } else {
                let (name, value) = match word.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (word.as_str(), None),
                };
                match option(spec, name)? {
                    None => unrecognized.push(word.clone()),
                    Some(option) => sorted.take(option, value, &mut rest)?,
                }
            }
        }
        if unrecognized.is_empty() { Ok(sorted) } else { Err(WordsError::Unrecognized(unrecognized)) }
    }

    /// Whether a switch was given.
    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains(name)
    }

    /// The value given to an option.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn take<'a>(
        &mut self,
        option: &'static CommandOption,
        value: Option<String>,
        rest: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), WordsError> {
        let name = option.name;
        if matches!(option.sets, Sets::Flag(_)) {
            return match value {
                Some(value) => Err(WordsError::ValueUnwanted(name, value)),
                None => {
                    self.flags.insert(name);
                    Ok(())
                }
            };
        }
        let value = value.or_else(|| rest.next().filter(|word| !is_option(word)).cloned());
        self.values.insert(name, value.ok_or(WordsError::ValueMissing(name))?);
        Ok(())
    }
}

/// Circus' rule: a dash alone, a negative number and anything with a blank in it are arguments.
fn is_option(word: &str) -> bool {
    let negative_number = word.strip_prefix('-').is_some_and(|digits| {
        digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && digits.parse::<f64>().is_ok()
    });
    let name_ends = word.find('=').unwrap_or(word.len());
    word.len() > 1 && word.starts_with('-') && !negative_number && !word[..name_ends].contains(' ')
}

/// The option that `word` names in full or by a unique beginning.
fn option(spec: &'static CommandSpec, word: &str) -> Result<Option<&'static CommandOption>, WordsError> {
    if let Some(exact) = spec.option(word) {
        return Ok(Some(exact));
    }
    let Some(name) = word.strip_prefix("--") else {
        return Ok(None);
    };
    let begun: Vec<_> = spec.usage.options.iter().filter(|option| option.name.starts_with(name)).collect();
    match begun[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(WordsError::Ambiguous {
            word: word.to_owned(),
            matches: begun.iter().map(|option| format!("--{}", option.name)).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use circus_common::protocol::commands::{TABLE, find};

    use super::*;

    fn parse(line: &str) -> Result<Words, String> {
        let words: Vec<String> = line.split('|').map(str::to_owned).collect();
        Words::parse(find(&words[0]).unwrap(), &words[1..]).map_err(|error| error.to_string())
    }

    fn args(line: &str) -> Vec<String> {
        parse(line).unwrap().args
    }

    #[test]
    fn options_may_stand_anywhere() {
        for line in
            ["signal|single|--recursive|0", "signal|--recursive|single|0", "signal|single|0|--recursive"]
        {
            let words = parse(line).unwrap();
            assert_eq!(words.args, ["single", "0"]);
            assert!(words.flag("recursive") && !words.flag("children"));
        }
    }

    #[test]
    fn two_dashes_protect_what_follows() {
        assert_eq!(args("add|n|sleep|--|-x|--start|--"), ["n", "sleep", "-x", "--start", "--"]);
    }

    #[test]
    fn negative_numbers_and_words_with_blanks_are_arguments() {
        assert_eq!(args("incr|web|-1"), ["web", "-1"]);
        assert_eq!(args("add|n|-x y"), ["n", "-x y"]);
        assert_eq!(args("list|-"), ["-"]);
    }

    #[test]
    fn a_value_follows_or_is_glued() {
        for line in ["start|web|--match|glob", "start|--match=glob|web", "start|--ma|glob|web"] {
            assert_eq!(parse(line).unwrap().value("match"), Some("glob"));
        }
        assert_eq!(parse("kill|web|--signum").unwrap_err(), "argument --signum: expected one argument");
        assert_eq!(
            parse("kill|web|--signum|--waiting").unwrap_err(),
            "argument --signum: expected one argument"
        );
        assert_eq!(
            parse("quit|--waiting=no").unwrap_err(),
            "argument --waiting: ignored explicit argument 'no'"
        );
    }

    #[test]
    fn unknown_options_are_all_named() {
        assert_eq!(parse("list|--nope|a|-x").unwrap_err(), "unrecognized arguments: --nope -x");
    }

    #[test]
    fn help_ends_the_reading() {
        assert!(parse("list|--help|--nope").unwrap().help);
        assert!(parse("list|a|-h").unwrap().help);
    }

    #[test]
    fn no_word_makes_it_panic() {
        for word in ["", "-", "--", "---", "-é", "--é=ü", "=", "--=", "-=x", "- =", "-.", "-.5", "-1e3"] {
            for spec in TABLE {
                _ = Words::parse(spec, &[word.to_owned(), word.to_owned()]);
            }
        }
    }
}
