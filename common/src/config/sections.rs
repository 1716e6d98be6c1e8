//! All files as one: sections merged, the first value of a key wins, `[DEFAULT]` filled in, mistakes noted.

use std::{path::Path, sync::Arc};

use indexmap::IndexMap;

use super::{
    ini::Document,
    mistake::{Degree, Mistake, Position},
};

/// One key's value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub value: String,
    pub at: Position,
    /// It comes from `[DEFAULT]`, so that nobody meant it for this section in particular.
    pub inherited: bool,
}

/// One section of the merged files.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub name: String,
    pub at: Position,
    pub keys: IndexMap<String, Entry>,
}

impl Section {
    /// The value of a key as written.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(|entry| entry.value.as_str())
    }
}

/// The sections in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Sections {
    all: IndexMap<String, Section>,
}

/// The section whose keys stand for missing ones everywhere.
const DEFAULTS: &str = "DEFAULT";

impl Sections {
    /// Adds a file after those already there.
    pub(super) fn add(&mut self, document: &Document) {
        let at = |line: usize| Position { file: Arc::clone(&document.file), line };
        for (name, properties) in document.ini.iter() {
            let Some(name) = name else { continue };
            let header = at(document.headers.get(name).copied().unwrap_or_default());
            let section = self.all.entry(name.to_owned()).or_insert_with(|| Section {
                name: name.to_owned(),
                at: header,
                keys: IndexMap::new(),
            });
            let lines = document.lines.get(name).map_or(&[][..], Vec::as_slice);
            for ((key, value), line) in properties.iter().zip(lines) {
                let entry = Entry { value: value.to_owned(), at: at(*line), inherited: false };
                section.keys.entry(key.to_owned()).or_insert(entry);
            }
        }
    }

    /// Fills in `[DEFAULT]` and drops the sections that stay empty.
    pub(super) fn fill_in(&mut self) {
        let defaults = self.all.shift_remove(DEFAULTS).map(|section| section.keys).unwrap_or_default();
        for section in self.all.values_mut().filter(|_| !defaults.is_empty()) {
            // As in Circus the defaults come first in order, the section's own values replace them in place.
            let mut keys = defaults.clone();
            keys.values_mut().for_each(|entry| entry.inherited = true);
            keys.extend(std::mem::take(&mut section.keys));
            section.keys = keys;
        }
        self.all.retain(|_, section| !section.keys.is_empty());
    }

    /// The section of that header.
    pub(super) fn get(&self, name: &str) -> Option<&Section> {
        self.all.get(name)
    }

    /// All of them in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Section> {
        self.all.values()
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    mistakes: Vec<Mistake>,
    files: Vec<Arc<Path>>,
}

impl Report {
    /// Notes that a file was read, and what was wrong with its lines.
    pub(super) fn file(&mut self, file: &Arc<Path>, mistakes: Vec<Mistake>) {
        self.files.push(Arc::clone(file));
        self.mistakes.extend(mistakes);
    }

    /// Notes a mistake about a key of a section, or about the whole of it.
    pub(super) fn add(
        &mut self,
        degree: Degree,
        section: &Section,
        key: Option<&str>,
        message: impl Into<String>,
    ) {
        let entry = key.and_then(|key| section.keys.get(key));
        self.mistakes.push(Mistake {
            degree,
            at: Some(entry.map_or(&section.at, |entry| &entry.at).clone()),
            section: section.name.clone(),
            key: key.map(str::to_owned),
            message: message.into(),
        });
    }

    /// Notes a mistake that no section can be blamed for.
    pub(super) fn add_at(&mut self, degree: Degree, at: Option<Position>, message: impl Into<String>) {
        let message = message.into();
        self.mistakes.push(Mistake { degree, at, section: String::new(), key: None, message });
    }

    /// Everything, in the order of the files and their lines; what has no place comes first.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        let place = |mistake: &Mistake| {
            let at = mistake.at.as_ref()?;
            Some((self.files.iter().position(|file| *file == at.file), at.line))
        };
        self.mistakes.sort_by_cached_key(place);
        self.mistakes
    }
}
