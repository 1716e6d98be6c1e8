//! Text of strangers, made safe for a terminal.
//!
//! Names and command lines come from configuration files, processes and whoever can reach the endpoint. What a
//! terminal would obey, or what has no width of its own, never gets past here: each letter that stays takes one or
//! two cells, so columns stay columns. Combining marks are a price of that.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The longest text that is kept, in letters; no screen shows more of a name.
pub const LONGEST: usize = 256;

/// Stands for what is not shown.
const REPLACEMENT: char = '\u{fffd}';

/// The text without control and format characters, and no longer than [`LONGEST`].
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().take(LONGEST).map(harmless).collect()
}

/// How many cells a cleaned text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

fn harmless(letter: char) -> char {
    match letter.width() {
        Some(1 | 2) if !is_format(letter) => letter,
        Some(_) | None => REPLACEMENT,
    }
}

/// What changes its neighbours: direction marks, tags, private use. Some of them count as one cell.
const fn is_format(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_replaced() {
        for (text, shown) in [
            ("web", "web"),
            ("w\u{1b}[2Jeb", "w\u{fffd}[2Jeb"),
            ("a\nb\tc\r\0\u{7f}", "a\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}\u{fffd}"),
            ("\u{9b}31m", "\u{fffd}31m"),
            ("a\u{202e}b\u{200d}c\u{301}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("日本 🦀", "日本 🦀"),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
    }

    #[test]
    fn the_width_is_the_sum_of_its_letters() {
        for letter in ('\0'..=char::MAX).step_by(7) {
            let cleaned = clean(&format!("a{letter}b"));
            assert!((3..=4).contains(&width(&cleaned)), "{:x}", letter as u32);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(clean(&"x".repeat(100_000)).len(), LONGEST);
    }
}
