//! The literals of a piece of Python source such as `(('localhost', 514), handlers.SysLogHandler.LOG_USER)`.
//!
//! Python evaluates it. Here only its strings, words and numbers are taken, in order; nothing is executed.

/// What a piece of source is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Literals {
    pub strings: Vec<String>,
    /// Dotted names.
    pub words: Vec<String>,
    pub numbers: Vec<u64>,
}

impl Literals {
    pub(super) fn read(source: &str) -> Self {
        let mut found = Self::default();
        let mut rest = source.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\'' | '"' => {
                    let mut text = String::new();
                    while let Some(inner) = rest.next().filter(|inner| *inner != c) {
                        // `\\` and `\'` are what file names need; other escapes stay as they are written.
                        match (inner, rest.peek()) {
                            ('\\', Some(&escaped @ ('\\' | '\'' | '"'))) => {
                                rest.next();
                                text.push(escaped);
                            }
                            _ => text.push(inner),
                        }
                    }
                    found.strings.push(text);
                }
                c if c.is_alphanumeric() || c == '_' => {
                    let mut word = String::from(c);
                    while let Some(next) = rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
                        word.push(next);
                    }
                    match word.parse() {
                        Ok(number) => found.numbers.push(number),
                        Err(_) => found.words.push(word),
                    }
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn strings_words_and_numbers_come_in_order() {
        let found = Literals::read("(('localhost', 514), handlers.SysLogHandler.LOG_USER)");
        let words = texts(&["handlers.SysLogHandler.LOG_USER"]);
        assert_eq!(found, Literals { strings: texts(&["localhost"]), words, numbers: vec![514] });
    }

    #[test]
    fn quotes_may_hold_the_other_kind_and_escapes() {
        assert_eq!(Literals::read(r#"("it's", 'a\'b', 'c:\\d\n')"#).strings, ["it's", "a'b", r"c:\d\n"]);
    }

    #[test]
    fn no_source_is_a_mistake() {
        for source in ["", "(", "'", "'\\", "\"\\\"", "99999999999999999999999", "é.ü('", "\0"] {
            let _ = Literals::read(source);
        }
    }
}
