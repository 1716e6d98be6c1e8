//! Python's regular expressions, as `re.match` uses them: anchored at the start.
//!
//! Clients write them, and they meet bytes from strangers, so the work for one text is bounded.

use fancy_regex::{Regex, RegexBuilder};

/// Steps back that one text may cost. Few, since the names of a thousand watchers may be matched in a row.
const BACKTRACK_LIMIT: usize = 10_000;

/// The largest compiled form of what needs no steps back, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

/// An expression.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads an expression.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let build = |text: &str| {
            RegexBuilder::new(text).backtrack_limit(BACKTRACK_LIMIT).delegate_size_limit(SIZE_LIMIT).build()
        };
        // By itself first: `a)|(?:b` makes sense only inside of what anchors it.
        let anchored = build(text).and_then(|_| build(&format!(r"\A(?:{text})")));
        anchored.map(Self).map_err(|error| error.to_string())
    }

    /// Whether the text begins so. A text that costs too much does not.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text).unwrap_or(false)
    }

    /// Whether the expression has a group of that name.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.0.capture_names().flatten().any(|known| known == name)
    }

    /// What stands in a group. Python's `$` also stands before a last line end, so the text is tried without it too.
    #[must_use]
    pub fn group<'t>(&self, name: &str, text: &'t str) -> Option<&'t str> {
        let found = |text: &'t str| Some(self.0.captures(text).ok()??.name(name)?.as_str());
        found(text).or_else(|| found(text.strip_suffix('\n')?))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn a_pattern_is_anchored_at_the_start_only() {
        let pattern = Pattern::new("we|db").unwrap();
        assert!(pattern.matches("web") && pattern.matches("db1") && !pattern.matches("a-web"));
    }

    #[test]
    fn groups_are_found_as_in_python() {
        let pattern = Pattern::new("^(?P<pid>.*);(?P<timestamp>.*)$").unwrap();
        assert!(pattern.has_group("pid") && !pattern.has_group("x"));
        assert_eq!(pattern.group("pid", "12;34"), Some("12"));
        assert_eq!(pattern.group("pid", "12;34\n"), Some("12"));
        assert_eq!(pattern.group("pid", "12"), None);
    }

    #[test]
    fn look_around_works_and_nonsense_is_named() {
        assert!(Pattern::new(r"(?!a)\w+(?=;)").unwrap().matches("b;"));
        for nonsense in ["(", "a)|(?:b", ")(?(1)"] {
            assert!(Pattern::new(nonsense).is_err_and(|error| !error.contains('\n')), "{nonsense}");
        }
    }

    #[test]
    fn a_text_that_would_take_for_ever_is_no_match() {
        let pattern = Pattern::new(r"(?:(a*)*)\1b$").unwrap();
        let mut text = String::new();
        (0..5000).for_each(|_| text.write_char('a').unwrap());
        assert!(!pattern.matches(&text));
    }
}
