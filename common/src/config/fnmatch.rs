//! Python's `fnmatch`: the patterns of `[env:PATTERNS]` and of command targets.

/// Whether the whole `name` matches `pattern`: `*`, `?`, `[seq]`, `[!seq]`; everything else is literal.
/// Case sensitive: who wants otherwise lower-cases both.
#[must_use]
pub fn fnmatch(pattern: &str, name: &str) -> bool {
    let pattern = parse(pattern);
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on when a guess about the last `*` turns out wrong: one more character goes to that star.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(Piece::Any) => {
                retry = Some((p, n));
                p += 1;
            }
            Some(piece) if piece.takes(name[n]) => {
                p += 1;
                n += 1;
            }
            Some(_) | None => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    p = star + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|piece| matches!(piece, Piece::Any))
}

/// One element of a pattern.
enum Piece {
    /// `*`.
    Any,
    /// `?`.
    One,
    /// A character.
    Literal(char),
    /// `[...]` as inclusive ranges.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Piece {
    /// Whether it consumes this one character.
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// Reads a pattern.
fn parse(text: &str) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    let mut pieces = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let (piece, next) = match chars[at] {
            '*' => (Piece::Any, at + 1),
            '?' => (Piece::One, at + 1),
            // An unclosed bracket is an ordinary character.
            '[' => set(&chars, at + 1).unwrap_or((Piece::Literal('['), at + 1)),
            other => (Piece::Literal(other), at + 1),
        };
        pieces.push(piece);
        at = next;
    }
    pieces
}

/// Reads a set whose `[` stands just before `start`; gives it and the index after its `]`.
fn set(chars: &[char], start: usize) -> Option<(Piece, usize)> {
    let negated = chars.get(start) == Some(&'!');
    let first = start + usize::from(negated);
    // A bracket in first place belongs to the set.
    let search = first + usize::from(chars.get(first) == Some(&']'));
    let end = search + chars.get(search..)?.iter().position(|c| *c == ']')?;
    let mut ranges = Vec::new();
    let mut at = first;
    while at < end {
        if at + 2 < end && chars[at + 1] == '-' {
            // A range that runs backwards is empty, not an error.
            ranges.push((chars[at], chars[at + 2]));
            at += 3;
        } else {
            ranges.push((chars[at], chars[at]));
            at += 1;
        }
    }
    Some((Piece::Set { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_python() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "any", true),
            ("a*", "abc", true),
            ("*c", "abcc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("?", "", false),
            ("o[", "other", false),
            ("o[", "o[", true),
            ("w[a-c]b", "wab", true),
            ("w[!a-c]b", "wab", false),
            ("w[!a-c]b", "wzb", true),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[a-]", "-", true),
            ("[z-a]", "m", false),
            ("[]", "[]", true),
            ("[!]", "[!]", true),
            ("web", "Web", false),
            ("web", "web1", false),
            (".", "x", false),
            ("a.b", "a.b", true),
            ("**", "x", true),
        ] {
            assert_eq!(fnmatch(pattern, name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let name = "a".repeat(5000);
        assert!(!fnmatch(
            &"a*".repeat(50).replace("**", "*").chars().chain(['b']).collect::<String>(),
            &name
        ));
    }
}
