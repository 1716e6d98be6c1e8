//! What is wrong with a configuration, where, and how bad that is.
//!
//! Mistakes are collected, never thrown: a file is read to its end, so that one run names all of them.

use std::{fmt, path::Path, sync::Arc};

/// How bad a mistake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Degree {
    /// The configuration goes on as if nothing were wrong.
    Warning,
    /// The section is left out, the others run; a reload of the configuration refuses the whole file.
    BrokenSection,
    /// Nothing of the configuration can be used.
    Fatal,
}

impl fmt::Display for Degree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::BrokenSection => "section left out",
            Self::Fatal => "error",
        })
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The file as it was named.
    pub file: Arc<Path>,
    /// The line, counted from 1; 0 is the file as a whole.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file.display()),
            line => write!(f, "{}:{line}", self.file.display()),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// How bad it is.
    pub degree: Degree,
    /// Where, when a line can be named.
    pub at: Option<Position>,
    /// The section header without brackets; empty when none is concerned.
    pub section: String,
    /// The key, when one is concerned.
    pub key: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// `file:line: [section] key: message`, each part only when it is known.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        if !self.section.is_empty() {
            write!(f, "[{}] ", self.section)?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_file_line_section_and_key() {
        let mistake = Mistake {
            degree: Degree::Fatal,
            at: Some(Position { file: Path::new("web.ini").into(), line: 3 }),
            section: "watcher:web".to_owned(),
            key: Some("shell".to_owned()),
            message: "'maybe' is not a boolean".to_owned(),
        };
        assert_eq!(mistake.to_string(), "web.ini:3: [watcher:web] shell: 'maybe' is not a boolean");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mistake = Mistake {
            degree: Degree::Warning,
            at: None,
            section: String::new(),
            key: None,
            message: "odd".to_owned(),
        };
        assert_eq!(mistake.to_string(), "odd");
    }

    #[test]
    fn degrees_are_ordered_by_weight() {
        assert!(Degree::Fatal > Degree::BrokenSection && Degree::BrokenSection > Degree::Warning);
    }
}
