//! Splitting a command into words, and quoting words, as Python's `shlex` does in POSIX mode.

/// Splits like a shell does, without any expansion and without comments.
///
/// # Errors
/// `No closing quotation` or `No escaped character`, Python's texts.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    // `Some` also for an empty word, which only quotes can make.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => single_quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("No escaped character")?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Takes everything up to the closing quote.
fn single_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    for c in chars {
        match c {
            '\'' => return Ok(()),
            other => word.push(other),
        }
    }
    Err("No closing quotation".to_owned())
}

/// As in single quotes, but a backslash protects a double quote and itself; before others it is kept.
fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or("No escaped character")? {
                protected @ ('"' | '\\') => word.push(protected),
                other => word.extend(['\\', other]),
            },
            other => word.push(other),
        }
    }
    Err("No closing quotation".to_owned())
}

/// Quotes one word so that a shell reads it back unchanged.
#[must_use]
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r#"'"'"'"#))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_by_shlex() {
        for (text, words) in [
            (r#""a b" c\ d 'x y' e"f"g #h"#, vec!["a b", "c d", "x y", "efg", "#h"]),
            ("", vec![]),
            ("  \t\n ", vec![]),
            ("one\ntwo\r\nthree", vec!["one", "two", "three"]),
            (r#"'' """#, vec!["", ""]),
            (r#"a''b"#, vec!["ab"]),
            (r#""a\"b\\c\d""#, vec![r#"a"b\c\d"#]),
            (r"'a\b'", vec![r"a\b"]),
            ("a;b|c", vec!["a;b|c"]),
        ] {
            assert_eq!(
                split(text).as_deref(),
                Ok(&words.iter().map(ToString::to_string).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn an_unfinished_text_has_pythons_reason() {
        for (text, reason) in [
            ("'a", "No closing quotation"),
            ("\"a", "No closing quotation"),
            ("a\\", "No escaped character"),
            ("\"a\\", "No escaped character"),
        ] {
            assert_eq!(split(text), Err(reason.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_word_is_read_back(word in "\\PC*") {
            prop_assert_eq!(split(&quote(&word)), Ok(vec![word]));
        }

        #[test]
        fn splitting_never_panics(text in any::<String>()) {
            let _ = split(&text);
        }
    }
}
