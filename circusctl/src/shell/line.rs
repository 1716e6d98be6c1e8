//! A line typed into the shell: how it is taken apart, and how a half-written one is for completion.

/// What a line asks the shell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing was typed: the previous command again.
    Empty,
    /// The end.
    Eof,
    /// Help on everything, or on a topic.
    Help(&'a str),
    /// A word and what follows it; the word may be no command.
    Command(&'a str, &'a str),
    /// Not even a word.
    Unknown,
}

/// Takes a line apart: a name of letters, digits and `_`, then the rest; `?` is `help`.
pub fn read(line: &str) -> Line<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Line::Empty;
    }
    if let Some(topic) = line.strip_prefix('?') {
        return Line::Help(topic.trim());
    }
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    match (word, rest.trim()) {
        ("", _) => Line::Unknown,
        ("EOF", _) => Line::Eof,
        ("help", topic) => Line::Help(topic),
        (word, rest) => Line::Command(word, rest),
    }
}

/// A half-written line: the finished words, and where the last one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The words before the one being written, without their quotes.
    pub before: Vec<String>,
    /// The byte at which the word being written begins, its quote included.
    pub start: usize,
    /// That word without its quotes.
    pub begun: String,
}

/// Reads what stands before the cursor. An open quote belongs to the word being written.
pub fn partial(line: &str) -> Partial {
    let mut state = Partial { before: Vec::new(), start: 0, begun: String::new() };
    let (mut in_word, mut quote) = (false, None);
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, ' ' | '\t') => {
                if std::mem::take(&mut in_word) {
                    state.before.push(std::mem::take(&mut state.begun));
                }
                continue;
            }
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if character == open => quote = None,
            _ => state.begun.push(character),
        }
        if !std::mem::replace(&mut in_word, true) {
            state.start = at;
        }
    }
    if !in_word {
        state.start = line.len();
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_word_and_the_rest() {
        let table = [
            ("", Line::Empty),
            ("  \t", Line::Empty),
            ("EOF", Line::Eof),
            ("?", Line::Help("")),
            ("? list", Line::Help("list")),
            ("help list", Line::Help("list")),
            ("  list  web ", Line::Command("list", "web")),
            ("list;x", Line::Command("list", ";x")),
            ("foo bar", Line::Command("foo", "bar")),
            ("!ls", Line::Unknown),
            ("--json list", Line::Unknown),
        ];
        for (line, expected) in table {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_half_written_line_knows_its_last_word() {
        let partial = |line| {
            let Partial { before, start, begun } = partial(line);
            (before.join("|"), start, begun)
        };
        let table = [
            ("", ("", 0, "")),
            ("st", ("", 0, "st")),
            ("start ", ("start", 6, "")),
            ("start w", ("start", 6, "w")),
            ("start 'sleep e", ("start", 6, "sleep e")),
            ("kill 'sleep er'  1", ("kill|sleep er", 17, "1")),
            ("ü 'é", ("ü", 3, "é")),
        ];
        for (line, (before, start, begun)) in table {
            assert_eq!(partial(line), (before.to_owned(), start, begun.to_owned()), "{line}");
        }
    }
}
