//! The reference page of plugins: a text with the tables of options put in.

use super::builtin::{BuiltinSpec, TABLE};
use crate::config::docs::{OPTIONS_HEAD, key_row};

/// `docs/plugins.md` but for the tables.
const PAGE: &str = include_str!("page.md");

/// `docs/plugins.md`, whole.
#[must_use]
pub fn plugins_page() -> String {
    let put_in =
        |page: String, spec: &BuiltinSpec| page.replace(&format!("{{{{{}}}}}", spec.short()), &section(spec));
    TABLE.iter().fold(PAGE.to_owned(), put_in)
}

/// The names of a plugin, what it does, and its options.
fn section(spec: &BuiltinSpec) -> String {
    let alias = spec.alias.map(|alias| format!(" (or `{alias}`)")).unwrap_or_default();
    let mut text = format!("`{}`{alias} {}.\n\n{OPTIONS_HEAD}", spec.path, spec.doc);
    spec.all_options().for_each(|option| key_row(&mut text, option));
    text.truncate(text.trim_end().len());
    text
}
