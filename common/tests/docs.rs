//! The reference pages under `docs/` are what the tables say. `CIRCUS_BLESS=1` writes them anew.

use std::{env, fs, path::Path};

use circus_common::{config::plugin::docs::plugins_page, protocol::docs};

/// Compares a page with the stored one, or stores it.
fn is_up_to_date(name: &str, page: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let path = docs.join(name);
    if env::var_os("CIRCUS_BLESS").is_some() {
        fs::create_dir_all(&docs).expect("docs/ can be made");
        fs::write(&path, page).expect("the page can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == page, "docs/{name} is out of date: CIRCUS_BLESS=1 cargo test -p circus-common docs");
}

#[test]
fn docs_commands_is_up_to_date() {
    is_up_to_date("commands.md", &docs::commands_page());
}

#[test]
fn docs_plugins_is_up_to_date() {
    is_up_to_date("plugins.md", &plugins_page());
}

#[test]
fn docs_events_is_up_to_date() {
    is_up_to_date("events.md", &docs::events_page());
}
