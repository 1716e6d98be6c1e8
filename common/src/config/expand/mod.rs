//! Variables: `$(circus.NAME)` and `((circus.NAME))` in values, `$NAME` and `${NAME}` in environments.
//!
//! A value passes through twice: when the file is read only `circus.env.*` is known; when a process is spawned
//! every option of the watcher is. What is not known stays as it is written.

mod command;
mod program;
pub mod words;

use std::collections::BTreeMap;

pub use command::{Descriptors, command_line};
pub(in crate::config) use command::{has_shell_syntax, sockets_named, unknown_variables};
pub use program::program_files;

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// Ordinary text.
    Text(&'t str),
    /// A variable: as written, and its name after `circus.`.
    Variable { written: &'t str, name: &'t str },
}

/// Cuts a text into ordinary pieces and variables.
pub(super) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// The iterator of [`pieces`].
pub(super) struct Pieces<'t> {
    rest: &'t str,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        let mut from = 0;
        // Every variable begins with a bracket: `$(` or `((`.
        while let Some(bracket) = self.rest[from..].find('(').map(|at| at + from) {
            if let Some((start, name, end)) = variable(self.rest, bracket) {
                if start > 0 {
                    let (text, rest) = self.rest.split_at(start);
                    self.rest = rest;
                    return Some(Piece::Text(text));
                }
                let (written, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Piece::Variable { written, name });
            }
            from = bracket + 1;
        }
        let text = std::mem::take(&mut self.rest);
        Some(Piece::Text(text))
    }
}

/// The variable whose opening is completed by the bracket at `bracket`: where it starts, its name, where it ends.
fn variable(text: &str, bracket: usize) -> Option<(usize, &str, usize)> {
    let (start, inside, close) = match text.as_bytes().get(bracket.checked_sub(1)?)? {
        b'$' => (bracket - 1, bracket + 1, ")"),
        b'(' => (bracket - 1, bracket + 1, "))"),
        _ => return None,
    };
    const PREFIX: &str = "circus.";
    let prefix = text.get(inside..inside + PREFIX.len())?;
    if !prefix.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let name_start = inside + PREFIX.len();
    let after = &text[name_start..];
    let length = after.find(|c: char| !(c.is_alphanumeric() || "_.-".contains(c))).unwrap_or(after.len());
    let (name, rest) = after.split_at(length);
    (length > 0 && rest.starts_with(close)).then_some((start, name, name_start + length + close.len()))
}

/// Replaces the variables that `value_of` knows; it gets the name as written, without `circus.`.
pub(super) fn replace<'t>(text: &'t str, mut value_of: impl FnMut(&'t str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable { written, name } => match value_of(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(written),
            },
        }
    }
    out
}

/// The rest of `name` after a prefix in any case.
pub(super) fn after_prefix<'n>(name: &'n str, prefix: &str) -> Option<&'n str> {
    let (head, rest) = name.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Replaces `circus.env.*` only, names in any case; of two that differ in case only the last one counts.
pub(super) fn with_env(text: &str, env: &BTreeMap<String, String>) -> String {
    if !text.contains('(') {
        return text.to_owned();
    }
    replace(text, |name| env_value(env, after_prefix(name, "env.")?).map(str::to_owned))
}

/// An environment variable by its name in any case.
pub(super) fn env_value<'e>(env: &'e BTreeMap<String, String>, name: &str) -> Option<&'e str> {
    let name = name.to_lowercase();
    env.iter().rev().find(|(known, _)| known.to_lowercase() == name).map(|(_, value)| value.as_str())
}

/// Whose `$` a text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dollars {
    /// Those of somebody who wrote a configuration.
    Written,
    /// Those of a variable that circusd was started with and hands on: most were not meant for circusd.
    Inherited,
}

/// Replaces `$NAME` and `${NAME}` by variables of `env`; trims the result.
///
/// Circus knows `$NAME` in capitals only, an unset one being nothing, and stops at the first other letter. What it leaves
/// alone is replaced here if it was written and is set; else it stays, as in the secret `pa$$word`.
pub(super) fn dollar(text: &str, env: &BTreeMap<String, String>, whose: Dollars) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = dollar_name(after).unwrap_or_default();
        let of_circus = length > 0 && length == name.len() && is_in_capitals(name);
        match env.get(name) {
            Some(value) if of_circus || whose == Dollars::Written && length > 0 => out.push_str(value),
            None if of_circus => {}
            Some(_) | None => out.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    out.push_str(rest);
    out.trim().to_owned()
}

fn is_in_capitals(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// The name at the beginning of what follows a `$`, and how long it is with its braces.
fn dollar_name(after: &str) -> Option<(&str, usize)> {
    if let Some(braced) = after.strip_prefix('{') {
        let name = identifier(braced)?;
        return braced[name.len()..].starts_with('}').then_some((name, name.len() + 2));
    }
    identifier(after).map(|name| (name, name.len()))
}

fn identifier(text: &str) -> Option<&str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let length = text.bytes().position(|byte| !word(byte)).unwrap_or(text.len());
    let starts_well = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    (length > 0 && starts_well).then(|| &text[..length])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn both_spellings_are_replaced_in_any_case() {
        let env = env(&[("HOME", "/h"), ("my-x.y", "1")]);
        for (text, expected) in [
            ("$(circus.env.HOME)", "/h"),
            ("((circus.env.home))", "/h"),
            ("a$(CIRCUS.Env.hOmE)b((circus.env.MY-X.Y))c", "a/hb1c"),
            ("$((circus.env.home))", "$/h"),
            ("(((circus.env.home)))", "(/h)"),
            ("$(circus.env.nope)", "$(circus.env.nope)"),
            ("$(circus.wid)", "$(circus.wid)"),
            ("${circus.env.HOME}", "${circus.env.HOME}"),
            ("$(circus.env.HOME", "$(circus.env.HOME"),
            ("((circus.env.HOME)", "((circus.env.HOME)"),
            ("$(circus.)", "$(circus.)"),
            ("$(circus. x)", "$(circus. x)"),
            ("é(é((circus.env.home))é", "é(é/hé"),
        ] {
            assert_eq!(with_env(text, &env), expected, "{text}");
        }
    }

    #[test]
    fn of_two_names_that_differ_in_case_the_last_counts() {
        assert_eq!(with_env("$(circus.env.foo)", &env(&[("FOO", "1"), ("foo", "2")])), "2");
    }

    #[test]
    fn dollar_variables_come_from_circusds_environment() {
        let env = env(&[("PATH", "/usr/bin"), ("HOME", "/h"), ("Foo", "ff"), ("F", "EFF"), ("foo", "x")]);
        for (text, expected) in [
            ("$PATH:/bin", "/usr/bin:/bin"),
            ("$UNSETX", ""),
            ("${HOME}", "/h"),
            ("$Foo", "ff"),
            ("$foo", "x"),
            ("  a $1 $ ${ ${} ${1} $$ ", "a $1 $ ${ ${} ${1} $$"),
            ("${HOME", "${HOME"),
            ("pa$$word ${unset} $Unset é$é", "pa$$word ${unset} $Unset é$é"),
        ] {
            assert_eq!(dollar(text, &env, Dollars::Written), expected, "{text}");
        }
    }

    #[test]
    fn in_what_is_handed_on_only_the_variables_of_circus_are_replaced() {
        let env = env(&[("HOME", "/h"), ("foo", "x"), ("_X", "y")]);
        for (text, expected) in
            [("$HOME/x", "/h/x"), ("$UNSETX", ""), ("${HOME} $foo $_X", "${HOME} $foo $_X")]
        {
            assert_eq!(dollar(text, &env, Dollars::Inherited), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_text(text in r"(\$|\(|\)|circus\.|env|é|x|\.)*") {
            let joined: String = pieces(&text)
                .map(|piece| match piece { Piece::Text(text) => text, Piece::Variable { written, .. } => written })
                .collect();
            prop_assert_eq!(joined, text);
        }
    }
}
