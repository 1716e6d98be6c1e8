//! What `circusd --init` writes: a configuration to begin with, that runs as it is.
//!
//! A text rather than a written `Ini`, since its comments are the point of it and an ini writer has none.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Why no configuration was written.
#[derive(Debug, thiserror::Error)]
pub enum StarterError {
    /// There is one already.
    #[error("`{}` exists already and is left as it is", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The configuration, with its endpoints in `directory`, which only the user of circusd may enter.
#[must_use]
pub fn text(directory: &Path) -> String {
    format!(include_str!("starter.ini"), directory = directory.display())
}

/// Writes the configuration to a new file.
///
/// # Errors
/// The file exists, or it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), StarterError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::AlreadyExists {
            return StarterError::Exists { path: path.to_owned() };
        }
        StarterError::Write { path: path.to_owned(), source }
    };
    // Later on it may hold secrets: others may not read it unless somebody decides so.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::check;

    #[test]
    fn it_loads_without_a_mistake() {
        let loaded = check::tests::loaded(&text(Path::new("/run/circus")));
        assert_eq!(loaded.mistakes, []);
        assert_eq!(loaded.config.circus.endpoint, "ipc:///run/circus/circusd.sock");
        assert_eq!(loaded.config.watchers.len(), 1);
    }

    #[test]
    fn a_file_that_exists_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("circus.ini");
        write(&path, "one").unwrap();
        assert!(matches!(write(&path, "two"), Err(StarterError::Exists { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        assert!(matches!(write(Path::new("/nowhere/x.ini"), ""), Err(StarterError::Write { .. })));
    }
}
