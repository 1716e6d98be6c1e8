//! The disk, as the configuration asks for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::config::Files;

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|error| error.to_string())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        // A pattern that cannot be read names nothing, which its user is told.
        let mut found: Vec<PathBuf> =
            glob::glob_with(pattern, options).into_iter().flatten().flatten().collect();
        found.sort();
        found
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn list(&self, path: &Path) -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_sorted_files_without_hidden_ones_or_deeper_ones() {
        let top = tempfile::tempdir().expect("a directory for the test");
        let path = |name: &str| top.path().join(name);
        fs::create_dir_all(path("d/deep")).expect("a directory");
        for name in ["b.ini", "a.ini", ".hidden.ini", "c.txt", "d/x.ini", "d/deep/y.ini"] {
            fs::write(path(name), name).expect("a file");
        }
        let glob = |pattern: &str| Disk.glob(&path(pattern).display().to_string());
        assert_eq!(glob("*.ini"), [path("a.ini"), path("b.ini")]);
        assert_eq!(glob("*/*.ini"), [path("d/x.ini")]);
        assert_eq!(glob("[").len(), 0);
        assert_eq!(Disk.list(&path("d")), [path("d/deep"), path("d/x.ini")]);
        assert_eq!(Disk.list(&path("nowhere")).len(), 0);
        assert!(Disk.is_dir(&path("d")) && !Disk.is_dir(&path("a.ini")) && Disk.exists(&path("a.ini")));
        assert_eq!(Disk.read(&path("a.ini")).as_deref(), Ok(&b"a.ini"[..]));
        assert!(Disk.read(&path("nowhere")).is_err_and(|reason| reason.contains("No such file")));
    }
}
