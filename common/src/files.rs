//! The disk, as the configuration asks for it.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::config::Files;

/// More than this is no configuration: a device, or a file named by mistake.
const MAX_BYTES: u64 = 64 << 20;

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let too_long = bytes.len() as u64 > MAX_BYTES;
        if too_long { Err(format!("it has more than {} MiB", MAX_BYTES >> 20)) } else { Ok(bytes) }
    }

    fn read_matched(&self, path: &Path) -> Result<Vec<u8>, String> {
        // To open a pipe would be to wait for its writer, perhaps for ever.
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => Err("it is not a regular file".to_owned()),
            Ok(_) | Err(_) => self.read(path),
        }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        // A pattern that cannot be read names nothing, which its user is told.
        let mut found: Vec<PathBuf> =
            glob::glob_with(&of_one_level(pattern), options).into_iter().flatten().flatten().collect();
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

/// The pattern without `**`, which to Python's `glob` is a `*`, and to ours every directory of the disk.
fn of_one_level(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for c in pattern.chars() {
        if c != '*' || !out.ends_with('*') {
            out.push(c);
        }
    }
    out
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
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let glob = |pattern: &str| Disk.glob(&path(pattern).display().to_string());
        assert_eq!(glob("*.ini"), [path("a.ini"), path("b.ini")]);
        assert_eq!(glob("*/*.ini"), [path("d/x.ini")]);
        assert_eq!(glob("**/*.ini"), [path("d/x.ini")]);
        assert_eq!(glob("a***ini"), [path("a.ini")]);
        assert_eq!(glob("[").len(), 0);
        assert_eq!(Disk.list(&path("d")), [path("d/deep"), path("d/x.ini")]);
        assert_eq!(Disk.list(&path("nowhere")).len(), 0);
        assert!(Disk.is_dir(&path("d")) && !Disk.is_dir(&path("a.ini")) && Disk.exists(&path("a.ini")));
        assert_eq!(Disk.read(&path("a.ini")).as_deref(), Ok(&b"a.ini"[..]));
        assert!(Disk.read(&path("nowhere")).is_err_and(|reason| reason.contains("No such file")));
        assert_eq!(Disk.read_matched(&path("a.ini")).as_deref(), Ok(&b"a.ini"[..]));
        assert!(Disk.read_matched(&path("nowhere")).is_err());
        for odd in ["d", "pipe"] {
            assert_eq!(Disk.read_matched(&path(odd)), Err("it is not a regular file".to_owned()), "{odd}");
        }
        assert_eq!(Disk.read(Path::new("/dev/zero")), Err("it has more than 64 MiB".to_owned()));
    }
}
