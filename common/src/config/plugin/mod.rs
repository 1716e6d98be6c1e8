//! `[plugin:NAME]` sections, and the watchers that run them.
//!
//! A plugin is a program, circus-plugin, that circusd runs by a watcher of its own. Its section
//! holds the plugin's options beside those of that watcher, so every key is legal.

pub mod builtin;
pub mod codec;
pub mod docs;
mod watcher;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    Host, PluginConfig, WatcherConfig, expand,
    mistake::Degree,
    options,
    sections::{Report, Section, Sections},
    socket::{KeySpec, key},
    suggest,
    value::Kind,
};
use builtin::Uses;

/// What runs every plugin.
pub(super) const PROGRAM: &str = "circus-plugin";

/// The keys that mean something for every plugin.
pub const TABLE: &[KeySpec] = &[
    key(
        "use",
        Kind::Text,
        "",
        "the plugin: a built-in one, a Python class by its full name, or `exec:PROGRAM ARGUMENTS`",
    ),
    key("active", Kind::Flag, "True", "whether it is started"),
    key("priority", Kind::Integer, "1", "higher starts first"),
    key(
        "python",
        Kind::Text,
        "",
        "own: the interpreter of a Python class; `python` of `[circus]` if not set",
    ),
];

/// All plugins, sorted by header; broken ones are left out.
pub(super) fn read(
    sections: &Sections,
    env: &BTreeMap<String, String>,
    host: &Host,
    report: &mut Report,
) -> Vec<PluginConfig> {
    let of_plugins = sections.iter().filter(|section| section.name.starts_with("plugin:"));
    let mut found: Vec<(PluginConfig, &Section)> =
        of_plugins.filter_map(|section| Some((read_one(section, env, host, report)?, section))).collect();
    found.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    // Commands find the watcher of a plugin by its name in lower case.
    let mut first_of: BTreeMap<String, String> = BTreeMap::new();
    found.retain(|(plugin, section)| {
        let first = first_of.entry(plugin.name.to_lowercase()).or_insert_with(|| plugin.name.clone());
        if *first != plugin.name {
            let message = format!("`{first}` differs from it only in case; this one is left out");
            report.add(Degree::BrokenSection, section, None, message);
        }
        *first == plugin.name
    });
    found.into_iter().map(|(plugin, _)| plugin).collect()
}

fn read_one(
    section: &Section,
    env: &BTreeMap<String, String>,
    host: &Host,
    report: &mut Report,
) -> Option<PluginConfig> {
    let mut reader = Reader { section, report, good: true };
    let mut keys: IndexMap<String, String> = IndexMap::new();
    for (key, entry) in &section.keys {
        keys.insert(key.clone(), expand::with_env(&entry.value, env));
    }
    let uses = reader.uses(keys.shift_remove("use"));
    reader.check_values(&keys, uses.as_ref());
    // A `name` key is overwritten by the header, as in Circus.
    keys.insert("name".to_owned(), section.name.clone());
    let watcher = reader.watcher(&keys, host);
    let active = keys
        .get("active")
        .and_then(|text| Kind::Flag.parse(text).ok())
        .is_none_or(|it| it == Value::Bool(true));
    let python = keys.get("python").filter(|python| !python.is_empty()).cloned();
    let good = reader.good;
    let name = section.name.clone();
    uses.filter(|_| good).map(|uses| PluginConfig { name, uses, active, python, keys, watcher })
}

/// A plugin in the making.
struct Reader<'r> {
    section: &'r Section,
    report: &'r mut Report,
    good: bool,
}

impl Reader<'_> {
    fn mistake(&mut self, degree: Degree, key: Option<&str>, message: impl Into<String>) {
        self.good &= degree == Degree::Warning;
        self.report.add(degree, self.section, key, message);
    }

    /// What runs it. That it is missing is fatal; a plugin that does not exist is left out.
    fn uses(&mut self, text: Option<String>) -> Option<Uses> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            let message =
                "`use` is missing; name the plugin, such as `use = circus.plugins.flapping.Flapping`";
            self.mistake(Degree::Fatal, None, message);
            return None;
        };
        Uses::parse(&text).map_err(|message| self.mistake(Degree::BrokenSection, Some("use"), message)).ok()
    }

    /// The plugin's own options, where they are known.
    fn check_values(&mut self, keys: &IndexMap<String, String>, uses: Option<&Uses>) {
        for spec in TABLE {
            let wrong = keys.get(spec.name).and_then(|text| spec.kind.parse(text).err());
            if let Some(message) = wrong {
                self.mistake(Degree::Fatal, Some(spec.name), message);
            }
        }
        let Some(Uses::Builtin(builtin)) = uses else { return };
        let known = builtin.spec().all_options();
        for (key, text) in keys {
            if let Some(spec) = known.clone().find(|spec| spec.name == key) {
                if let Some(message) = spec.kind.parse(text).err().filter(|_| !text.is_empty()) {
                    self.mistake(Degree::BrokenSection, Some(key), message);
                }
            } else if options::find(key).is_none()
                && TABLE.iter().all(|spec| spec.name != key)
                && let Some(meant) = suggest::nearest(key, known.clone().map(|spec| spec.name))
            {
                let message = format!("an option the plugin does not know; did you mean `{meant}`?");
                self.mistake(Degree::Warning, Some(key), message);
            }
        }
    }

    /// The watcher that will run it: circusd's own environment, one process, no output, unless the section says
    /// otherwise. Its command follows when everything else is known.
    fn watcher(&mut self, keys: &IndexMap<String, String>, host: &Host) -> WatcherConfig {
        let mut watcher = watcher::base(&self.section.name, host);
        for (key, text) in keys.iter().filter(|(key, _)| *key != "name") {
            let Some(spec) = options::find(key).filter(|spec| spec.legal.file) else {
                watcher.extra.insert(key.clone(), text.as_str().into());
                continue;
            };
            let set =
                spec.kind.parse(text).and_then(|value| (spec.write)(&mut watcher, spec.member(key), &value));
            if let Err(message) = set {
                self.mistake(Degree::Fatal, Some(key), message);
            }
        }
        watcher::honour_streams(&mut watcher, |key| keys.contains_key(key));
        if watcher.working_dir.is_empty() {
            watcher.working_dir = host.cwd.display().to_string();
        }
        for (key, message) in watcher.wrong_whole() {
            self.mistake(Degree::BrokenSection, Some(key), message);
        }
        for (key, message) in watcher.wrong_streams() {
            self.mistake(Degree::BrokenSection, Some(&key), message);
        }
        for (key, message) in watcher.odd_streams() {
            self.mistake(Degree::Warning, Some(&key), message);
        }
        watcher
    }
}
