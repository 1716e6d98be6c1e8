//! Looking at files: which are there, and when they were written.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use crate::machine::{Input, Look, SeenFile};

/// Files of one watcher that are looked at.
const MOST: usize = 10_000;

/// Looks at all files of a watcher.
pub(super) fn look(look: Look) -> Input {
    let program = look.program.iter().find_map(|path| seen(path));
    let files = look.files.iter().filter_map(|path| seen(path));
    let matches = look.patterns.iter().flat_map(|pattern| matching(pattern));
    let mut all: Vec<SeenFile> = program.into_iter().chain(files).chain(matches).take(MOST).collect();
    all.sort();
    all.dedup();
    Input::Looked { watcher: look.watcher, files: all }
}

fn matching(pattern: &str) -> impl Iterator<Item = SeenFile> + use<> {
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    // A pattern that cannot be read names nothing.
    let paths = glob::glob_with(pattern, options).into_iter().flatten().flatten();
    paths.filter_map(|path| seen(&path))
}

fn seen(path: &Path) -> Option<SeenFile> {
    let path: PathBuf = fs::canonicalize(path).ok()?;
    let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let modified = found.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Some(SeenFile { path, modified })
}

/// The open files of each process; of strangers' processes they may not be counted.
pub(super) fn descriptors(pids: &[i64]) -> BTreeMap<i64, u64> {
    let count = |pid: &i64| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        Some((*pid, u64::try_from(entries.count()).unwrap_or_default()))
    };
    pids.iter().filter_map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_that_is_there_counts_and_links_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("real"), "x").unwrap();
        fs::create_dir_all(path("a/b")).unwrap();
        fs::write(path("a/b/c.py"), "x").unwrap();
        std::os::unix::fs::symlink(path("real"), path("link")).unwrap();
        let wanted = Look {
            watcher: "w".to_owned(),
            program: vec![path("nothing"), path("link"), path("a/b/c.py")],
            files: vec![path("missing")],
            patterns: vec![path("a/**/*.py").display().to_string(), "[".to_owned()],
        };
        let Input::Looked { files, .. } = look(wanted) else { panic!("it looks") };
        let real = fs::canonicalize(dir.path()).unwrap();
        let names: Vec<_> = files.into_iter().map(|file| file.path).collect();
        assert_eq!(names, [real.join("a/b/c.py"), real.join("real")]);
    }

    #[test]
    fn our_own_files_can_be_counted() {
        let own = i64::from(std::process::id());
        assert!(descriptors(&[own, -1])[&own] > 0);
    }
}
