//! The ini dialect of Circus: text to an ordered document that knows the line of each key.
//!
//! `rust-ini` stores the document and never sees raw text: its own parser joins lines that end in a backslash,
//! glues a key without `=` to the next line, and reports one mistake only. The line pass here reads the
//! dialect (circus-config, CFG-1 to CFG-12), collects every mistake, and fills the store in order.
//!
//! Invariant: the n-th key of a section in the store was written on the n-th line remembered for it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use ini::Ini;

use super::mistake::{Degree, Mistake, Position};

/// How many mistakes of one file are listed before reading it is given up: binary files have no end of them.
const MAX_MISTAKES: usize = 50;

/// One file as read: sections and keys in order, duplicates included.
pub struct Document {
    /// The ordered store.
    pub ini: Ini,
    /// The file it came from.
    pub file: Arc<Path>,
    /// For each section the line of its first header.
    pub headers: BTreeMap<String, usize>,
    /// For each section the line of each of its keys, in the order of the store.
    pub lines: BTreeMap<String, Vec<usize>>,
}

/// Reads one file; what it holds besides its mistakes is in the document.
#[must_use]
pub fn parse(bytes: &[u8], file: &Path) -> (Document, Vec<Mistake>) {
    let mut pass = Pass::new(file);
    match decode(bytes) {
        Ok(text) => text.split('\n').for_each(|line| pass.line(line)),
        Err(line) => {
            pass.number = line;
            pass.fault("the file is not valid UTF-8 here; save it as UTF-8");
        }
    }
    pass.end_of_key();
    (pass.document, pass.mistakes)
}

/// The text without byte order mark and with plain line ends; else the line of the first bad byte.
fn decode(bytes: &[u8]) -> Result<String, usize> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.replace("\r\n", "\n").replace('\r', "\n")),
        Err(error) => Err(1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count()),
    }
}

/// A key whose continuation lines may still come.
struct OpenKey {
    name: String,
    pieces: Vec<String>,
    line: usize,
}

/// The state of the line pass.
struct Pass {
    document: Document,
    mistakes: Vec<Mistake>,
    number: usize,
    section: Option<String>,
    key: Option<OpenKey>,
    given_up: bool,
}

impl Pass {
    fn new(file: &Path) -> Self {
        let document =
            Document { ini: Ini::new(), file: file.into(), headers: BTreeMap::new(), lines: BTreeMap::new() };
        Self { document, mistakes: Vec::new(), number: 0, section: None, key: None, given_up: false }
    }

    /// Reads one line.
    fn line(&mut self, line: &str) {
        self.number += 1;
        if self.given_up || line.trim().is_empty() || is_comment(line) {
            return;
        }
        if line.contains('\0') {
            self.fault("a NUL byte cannot be part of a configuration; remove it");
            return;
        }
        let indented = line.starts_with(char::is_whitespace);
        match &mut self.key {
            Some(key) if indented => key.pieces.push(line.trim().to_owned()),
            Some(_) | None if line.starts_with('[') => self.header(line),
            Some(_) | None => self.key_line(line.trim()),
        }
    }

    /// Reads `[NAME] anything`.
    fn header(&mut self, line: &str) {
        self.end_of_key();
        let Some(end) = closing_bracket(line) else {
            self.fault("the section header has no closing `]`");
            return;
        };
        let name = line[1..end].trim();
        if name.is_empty() {
            self.fault("the section header is empty; write `[watcher:NAME]` or the like");
            return;
        }
        self.document.headers.entry(name.to_owned()).or_insert(self.number);
        // Makes the section known although it may stay empty.
        self.document.ini.entry(Some(name.to_owned())).or_insert_with(ini::Properties::new);
        self.section = Some(name.to_owned());
    }

    /// Reads `key = value`.
    fn key_line(&mut self, line: &str) {
        self.end_of_key();
        if self.section.is_none() {
            self.fault("a line before the first section header; begin with `[circus]`");
            return;
        }
        match line.split_once(['=', ':']) {
            Some((name, value)) if !name.trim().is_empty() => {
                let pieces = vec![value_of(value.trim())];
                self.key = Some(OpenKey { name: name.trim_end().to_owned(), pieces, line: self.number });
            }
            Some(_) => self.fault("there is no key before the `=`; write `key = value`"),
            None => self.fault(&format!("`{}` is no `key = value`", shortened(line))),
        }
    }

    /// Stores the key that was being read.
    fn end_of_key(&mut self) {
        let (Some(key), Some(section)) = (self.key.take(), &self.section) else { return };
        self.document
            .ini
            .entry(Some(section.clone()))
            .or_insert_with(ini::Properties::new)
            .append(key.name, key.pieces.join("\n"));
        self.document.lines.entry(section.clone()).or_default().push(key.line);
    }

    /// Notes a mistake at the present line.
    fn fault(&mut self, message: &str) {
        if self.mistakes.len() == MAX_MISTAKES {
            self.given_up = true;
            return;
        }
        self.mistakes.push(Mistake {
            degree: Degree::Fatal,
            at: Some(Position { file: Arc::clone(&self.document.file), line: self.number }),
            section: self.section.clone().unwrap_or_default(),
            key: None,
            message: message.to_owned(),
        });
    }
}

/// `#` or `;` in the first column, or the word `rem` there.
fn is_comment(line: &str) -> bool {
    let is_rem = || {
        let word = line.split_whitespace().next().unwrap_or_default();
        !line.starts_with(char::is_whitespace) && word.eq_ignore_ascii_case("rem")
    };
    line.starts_with(['#', ';']) || is_rem()
}

/// Where the header ends: at the bracket that closes the first one, so that `[env:[ab]*]` keeps its set and
/// `[watcher:a] ; see [b]` names `a`. Where they don't pair, at the first closing one.
fn closing_bracket(line: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let pairing = line.char_indices().find(|(_, character)| {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => return false,
        }
        depth == 0
    });
    pairing.map(|(at, _)| at).or_else(|| line.find(']'))
}

/// The value of a key line: without inline comment, `""` read as empty.
fn value_of(text: &str) -> String {
    // Only the first `;` is looked at, and it counts only after white space.
    let text = match text.find(';') {
        Some(at) if text[..at].ends_with(char::is_whitespace) => text[..at].trim_end(),
        Some(_) | None => text,
    };
    if text == "\"\"" { String::new() } else { text.to_owned() }
}

/// The beginning of a line that may be endless.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `section.key=value@line` of everything in the text.
    fn read(text: &str) -> Vec<String> {
        let (document, mistakes) = parse(text.as_bytes(), Path::new("f.ini"));
        assert_eq!(mistakes, []);
        let mut out = Vec::new();
        for (section, properties) in document.ini.iter() {
            let section = section.unwrap_or("-");
            for (index, (key, value)) in properties.iter().enumerate() {
                out.push(format!("{section}.{key}={value}@{}", document.lines[section][index]));
            }
        }
        out
    }

    fn faults(text: &[u8]) -> Vec<String> {
        parse(text, Path::new("f.ini")).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_rule_of_the_dialect_holds() {
        for (rule, text, expected) in [
            ("CFG-1", "[s]\na = x\n\n  y\n", vec!["s.a=x\ny@2"]),
            ("CFG-2", "[s]\na = x\n# no\n  # note\n", vec!["s.a=x\n# note@2"]),
            ("CFG-2", "[s]\n; no\na = x\n", vec!["s.a=x@3"]),
            ("CFG-3", "[s]\nREM = 3\nrem\nrem x\nremark = 1\n", vec!["s.remark=1@5"]),
            ("CFG-4", "[s]\na = x\n\ty\n  z\nb=\n  1\n", vec!["s.a=x\ny\nz@2", "s.b=\n1@5"]),
            ("CFG-5", "[s]\n cmd = x\n", vec!["s.cmd=x@2"]),
            ("CFG-6", "[s] ; see [b]\na = 1\n", vec!["s.a=1@2"]),
            ("CFG-6 set", "[env:[ab]*] ; [c]\na = 1\n", vec!["env:[ab]*.a=1@2"]),
            ("CFG-6 odd", "[s[x]\na = 1\n", vec!["s[x.a=1@2"]),
            ("CFG-6", "[watcher: a b ]\na = 1\n", vec!["watcher: a b.a=1@2"]),
            ("CFG-7", "[s]\na = b = c : d\ne : f = g\n", vec!["s.a=b = c : d@2", "s.e=f = g@3"]),
            ("CFG-8", "[s]\nCmd = 1\ncmd = 2\n", vec!["s.Cmd=1@2", "s.cmd=2@3"]),
            (
                "CFG-9",
                "[s]\na = one ; c\nb = a;b ; d\nc = ;x\nd = x # y\n",
                vec!["s.a=one@2", "s.b=a;b ; d@3", "s.c=;x@4", "s.d=x # y@5"],
            ),
            ("CFG-9", "[s]\na = one\n two ; three\n", vec!["s.a=one\ntwo ; three@2"]),
            ("CFG-10", "[s]\na = \"\"\nb = \"x\"\nc =\n", vec!["s.a=@2", "s.b=\"x\"@3", "s.c=@4"]),
            ("CFG-13", "[s]\na = 1\n[t]\nb = 2\n[s]\na = 3\n", vec!["s.a=1@2", "s.a=3@6", "t.b=2@4"]),
            ("CFG-15", "[s]\na = 100%% %(x)s\n", vec!["s.a=100%% %(x)s@2"]),
            ("line ends", "\u{feff}[s]\r\na = x\\\r\nb = y\r\n", vec!["s.a=x\\@2", "s.b=y@3"]),
        ] {
            assert_eq!(read(text), expected, "{rule}");
        }
    }

    #[test]
    fn every_bad_line_is_named() {
        assert_eq!(
            faults(b"a = 1\n[s]\nnovalue\nj = 2\n= 3\n[t\n[]\n"),
            [
                "f.ini:1: a line before the first section header; begin with `[circus]`",
                "f.ini:3: [s] `novalue` is no `key = value`",
                "f.ini:5: [s] there is no key before the `=`; write `key = value`",
                "f.ini:6: [s] the section header has no closing `]`",
                "f.ini:7: [s] the section header is empty; write `[watcher:NAME]` or the like",
            ]
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_line() {
        assert_eq!(
            faults(b"[s]\na = \xff\n"),
            ["f.ini:2: the file is not valid UTF-8 here; save it as UTF-8"]
        );
        assert_eq!(
            faults(b"[s]\na = \0\n"),
            ["f.ini:2: [s] a NUL byte cannot be part of a configuration; remove it"]
        );
    }

    #[test]
    fn the_list_of_mistakes_is_bounded() {
        assert_eq!(faults("x\n".repeat(1000).as_bytes()).len(), MAX_MISTAKES);
    }
}
