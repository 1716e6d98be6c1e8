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

/// The blocks that a page marks as a configuration.
fn examples(page: &str) -> Vec<String> {
    let blocks = page.split("```ini\n").skip(1).filter_map(|rest| rest.split("```").next());
    // A unit of systemd is no configuration of ours.
    blocks.filter(|block| !block.contains("[Socket]")).map(complete).collect()
}

/// Some examples show keys only: they are those of a watcher.
fn complete(block: &str) -> String {
    let begins_with_section =
        block.lines().find(|line| !line.starts_with('#')).is_some_and(|line| line.starts_with('['));
    if begins_with_section { block.to_owned() } else { format!("[watcher:web]\ncmd = serve\n{block}") }
}

#[test]
fn every_configuration_that_the_documents_show_loads() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut pages = Disk.glob(&top().join("docs/*.md").display().to_string());
    pages.push(top().join("README.md"));
    let mut count = 0;
    for page in pages {
        for example in examples(&fs::read_to_string(&page).expect("it is there")) {
            let file = dir.path().join("circus.ini");
            fs::write(&file, &example).expect("it can be written");
            let loaded = config::load(&file, &Host { cwd: PathBuf::from("/"), ..Host::default() }, &Disk);
            let wrong: Vec<_> = loaded.mistakes.iter().map(ToString::to_string).collect();
            assert_eq!(wrong, Vec::<String>::new(), "{} shows\n{example}", page.display());
            count += 1;
        }
    }
    assert!(count >= 10, "{count} examples");
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
