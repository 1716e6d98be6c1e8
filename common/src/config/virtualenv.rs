//! `virtualenv`: a Python virtual environment in front of PATH and PYTHONPATH.

use std::{
    cmp::Reverse,
    path::{Component, Path, PathBuf},
};

use super::{Files, WatcherConfig};

/// Puts the virtual environment of a watcher, if it names one, into its environment.
pub(super) fn apply(watcher: &mut WatcherConfig, files: &dyn Files) -> Result<(), String> {
    let Some(directory) = &watcher.virtualenv else { return Ok(()) };
    let directory = Path::new(directory);
    let site = site_packages(directory, watcher.virtualenv_py_ver.as_deref(), files)?;
    let env = watcher.env.get_or_insert_default();
    let bin = directory.join("bin");
    if files.is_dir(&bin) {
        let path = env.get("PATH").map_or("", String::as_str);
        let path = format!("{}:{path}", bin.display());
        env.insert("PATH".to_owned(), path);
    }
    let mut paths: Vec<String> =
        named_paths(&site, files).iter().map(|path| path.display().to_string()).collect();
    paths.extend(env.get("PYTHONPATH").cloned());
    paths.push(site.display().to_string());
    env.insert("PYTHONPATH".to_owned(), paths.join(":"));
    Ok(())
}

/// The directory of the installed packages.
fn site_packages(directory: &Path, version: Option<&str>, files: &dyn Files) -> Result<PathBuf, String> {
    let lib = directory.join("lib");
    let tried: Vec<PathBuf> = match version {
        Some(version) => ["python", "pypy"].map(|name| lib.join(format!("{name}{version}"))).to_vec(),
        None => interpreters(&lib, files),
    };
    let tried: Vec<PathBuf> = tried.into_iter().map(|path| path.join("site-packages")).collect();
    if let Some(found) = tried.iter().find(|path| files.is_dir(path)) {
        return Ok(found.clone());
    }
    if tried.is_empty() {
        return Err(format!("{} does not exist", lib.join("python*/site-packages").display()));
    }
    let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
    Err(format!("{} does not exist", tried.join(",")))
}

/// The interpreters' directories in `lib`, Python's newest first, then PyPy's.
fn interpreters(lib: &Path, files: &dyn Files) -> Vec<PathBuf> {
    let mut found: Vec<(bool, Reverse<Vec<u32>>, PathBuf)> = Vec::new();
    for path in files.list(lib) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (is_pypy, prefix) in [(false, "python"), (true, "pypy")] {
            if let Some(version) = name.strip_prefix(prefix) {
                let numbers = version.split('.').map(|number| number.parse().unwrap_or(0)).collect();
                found.push((is_pypy, Reverse(numbers), path.clone()));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, _, path)| path).collect()
}

/// The existing paths that the `*.pth` files of `site` name, sorted and each once.
fn named_paths(site: &Path, files: &dyn Files) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let is_pth = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pth");
    for file in files.list(site).into_iter().filter(is_pth) {
        let text = files.read(&file).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            if line.starts_with('#') || line.starts_with("import") || line.trim().is_empty() {
                continue;
            }
            let path = tidied(&site.join(line.trim_end()));
            if files.exists(&path) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// A path without `.` and `..`, by its text alone.
fn tidied(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(component),
        }
    }
    out
}
