//! What is shipped beside the programs fits them: example configurations and the reference page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use circus_common::{
    Disk,
    config::{self, Degree, Files as _, Host, expand},
};

/// The top folder of the workspace.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_shipped_configuration_loads() {
    let conf = top().join("conf").display().to_string();
    let files = [Disk.glob(&format!("{conf}/*.ini")), Disk.glob(&format!("{conf}/*/*.ini"))].concat();
    assert!(files.len() >= 4, "{files:?}");
    let host = Host { cwd: PathBuf::from("/"), ..Host::default() };
    for file in files {
        let loaded = config::load(&file, &host, &Disk);
        // Shell syntax is what `shell` is for; that it differs from Circus is only said.
        let wrong: Vec<_> = loaded
            .mistakes
            .iter()
            .filter(|mistake| mistake.degree > Degree::Warning || mistake.key.as_deref() != Some("shell"))
            .map(ToString::to_string)
            .collect();
        assert_eq!(wrong, Vec::<String>::new());
        assert!(!loaded.config.watchers.is_empty(), "{}", file.display());
        for watcher in &loaded.config.watchers {
            assert!(
                expand::command_line(watcher, 1, &expand::Descriptors::new()).is_ok(),
                "{}: {}",
                file.display(),
                watcher.name
            );
        }
    }
}

#[test]
fn docs_options_page_is_up_to_date() {
    let path = top().join("docs/options.md");
    let page = config::docs::options_page();
    if std::env::var_os("CIRCUS_BLESS").is_some() {
        fs::write(&path, &page).expect("docs/options.md can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == page,
        "docs/options.md is not up to date: run CIRCUS_BLESS=1 cargo test -p circus-common docs"
    );
}
