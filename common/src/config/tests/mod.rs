//! Whole configurations, from the text of their files to values and mistakes.

mod arbitrary;
mod changes;
mod files;
mod mistakes;
mod programs;
mod values;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{fnmatch::fnmatch, *};

/// Files that exist in a test only; every path that begins another one is a directory.
#[derive(Default)]
struct Tree(BTreeMap<PathBuf, Vec<u8>>);

impl Tree {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Tree {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.0
            .get(path)
            .filter(|text| *text != b"unreadable")
            .cloned()
            .ok_or_else(|| "no such file".to_owned())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let pattern = parts(pattern);
        let matches = |path: &&PathBuf| {
            let path = parts(&path.to_string_lossy());
            path.len() == pattern.len() && path.iter().zip(&pattern).all(|(name, part)| fnmatch(part, name))
        };
        self.0.keys().filter(matches).cloned().collect()
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path) && file != path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.contains_key(path) || self.is_dir(path)
    }

    fn list(&self, path: &Path) -> Vec<PathBuf> {
        let entry =
            |file: &PathBuf| file.strip_prefix(path).ok()?.components().next().map(|name| path.join(name));
        let mut entries: Vec<PathBuf> = self.0.keys().filter_map(entry).collect();
        entries.dedup();
        entries
    }
}

fn host() -> Host {
    let env = [("HOME", "/h"), ("PATH", "/usr/bin"), ("N", "1")];
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Host { env, cwd: PathBuf::from("/run/here"), programs: PathBuf::from("/opt/my circus") }
}

fn load_tree(files: &[(&str, &str)]) -> Loaded {
    load(Path::new("/etc/c.ini"), &host(), &Tree::new(files))
}

fn load_text(text: &str) -> Loaded {
    load_tree(&[("/etc/c.ini", text)])
}

/// The configuration of a text without any mistake.
fn good(text: &str) -> Config {
    let loaded = load_text(text);
    assert_eq!(loaded.text(Degree::Warning), "");
    loaded.config
}

/// The only watcher of a text without any mistake.
fn watcher(text: &str) -> WatcherConfig {
    let mut watchers = good(text).watchers;
    assert_eq!(watchers.len(), 1);
    watchers.remove(0)
}

fn mistakes(text: &str) -> Vec<(Degree, String)> {
    load_text(text).mistakes.iter().map(|mistake| (mistake.degree, mistake.to_string())).collect()
}

/// The one mistake of a text.
fn mistake(text: &str) -> (Degree, String) {
    let mut all = mistakes(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn names(config: &Config) -> Vec<&str> {
    config.watchers.iter().map(|watcher| watcher.name.as_str()).collect()
}

fn env_of(watcher: &WatcherConfig) -> Vec<(&str, &str)> {
    let env = watcher.env.as_ref().expect("a file watcher has an environment");
    env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
