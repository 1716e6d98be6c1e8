//! Texts of others, shown: names, reasons and outputs may hold escape sequences, and those could forge lines or play with
//! the terminal of whoever reads them.

use std::borrow::Cow;

/// Whether the character does something to a terminal instead of being seen: a control character, or one that ends the
/// line or turns the direction of writing in Unicode's way.
#[must_use]
pub fn moves_the_cursor(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text in one line, with what moves the cursor written as Rust writes it in a string.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, moves_the_cursor)
}

/// The same with the text's own lines and tabulators left as they are.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| moves_the_cursor(c) && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, unseen: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&unseen) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if unseen(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_written_out() {
        for (text, as_line, as_lines) in [
            ("wéb 1", "wéb 1", "wéb 1"),
            ("a\n\tb\r", "a\\n\\tb\\r", "a\n\tb\\r"),
            ("\x1b[2Jgone\u{9b}2J", "\\u{1b}[2Jgone\\u{9b}2J", "\\u{1b}[2Jgone\\u{9b}2J"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}", "a\\u{202e}b\\u{2066}"),
        ] {
            assert_eq!((line(text).as_ref(), lines(text).as_ref()), (as_line, as_lines), "{text:?}");
        }
    }
}
