//! The main file and what its `include` and `include_dir` name.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Files, Host, expand, ini,
    mistake::{Degree, Position},
    sections::{Report, Sections},
};

/// Reads everything in the order in which the first value of a key wins: main file, `include`, `include_dir`.
pub(super) fn read_all(main: &Path, host: &Host, files: &dyn Files, report: &mut Report) -> Sections {
    let mut sections = Sections::default();
    match files.read(main) {
        Ok(bytes) => read_one(&bytes, main, &mut sections, report),
        Err(reason) => {
            let at = Position { file: main.into(), line: 0 };
            report.add_at(Degree::Fatal, Some(at), format!("cannot read the configuration: {reason}"));
        }
    }
    // Only the main file is asked, so an included one includes nothing.
    for path in included(main, host, files, &sections, report) {
        match files.read_matched(&path) {
            Ok(bytes) => read_one(&bytes, &path, &mut sections, report),
            Err(reason) => {
                let at = Position { file: Arc::from(path), line: 0 };
                report.add_at(Degree::Warning, Some(at), format!("cannot read the included file: {reason}"));
            }
        }
    }
    sections.fill_in();
    sections
}

/// Adds one file.
fn read_one(bytes: &[u8], path: &Path, sections: &mut Sections, report: &mut Report) {
    let (document, mistakes) = ini::parse(bytes, path);
    report.file(&document.file, mistakes);
    sections.add(&document);
}

/// The files to include, in order.
fn included(
    main: &Path,
    host: &Host,
    files: &dyn Files,
    sections: &Sections,
    report: &mut Report,
) -> Vec<PathBuf> {
    let Some(circus) = sections.get("circus") else { return Vec::new() };
    let base = main.parent().unwrap_or(Path::new(""));
    let mut paths = Vec::new();
    for (key, suffix) in [("include", ""), ("include_dir", "*.ini")] {
        let list = expand::with_env(circus.get(key).unwrap_or_default(), &host.env);
        for written in list.split_whitespace() {
            // A relative pattern starts at the main file; joining an absolute one gives that one.
            let pattern = base.join(written);
            let pattern = if suffix.is_empty() { pattern } else { pattern.join(suffix) };
            let found = files.glob(&pattern.to_string_lossy());
            if found.is_empty() {
                let message =
                    format!("`{written}` names no file; relative paths start at the main file's directory");
                report.add(Degree::Warning, circus, Some(key), message);
            }
            paths.extend(found);
        }
    }
    paths
}
