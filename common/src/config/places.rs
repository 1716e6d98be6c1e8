//! Where the sections and keys of a configuration stand, kept for what is found out after the file was read.
//!
//! Whether a file can be written or a class imported is known only later, and by somebody who has a watcher in hand
//! and no file. What is said of it then leads with file and line like every other mistake.

use std::collections::BTreeMap;

use super::{
    mistake::{Degree, Mistake, Position},
    sections::Sections,
};

/// Where everything stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    sections: BTreeMap<String, Place>,
}

#[derive(Clone, Debug, PartialEq)]
struct Place {
    header: Position,
    keys: BTreeMap<String, Position>,
}

impl Places {
    pub(super) fn of(sections: &Sections) -> Self {
        let place = |section: &super::sections::Section| Place {
            header: section.at.clone(),
            keys: section.keys.iter().map(|(key, entry)| (key.clone(), entry.at.clone())).collect(),
        };
        Self { sections: sections.iter().map(|section| (section.name.clone(), place(section))).collect() }
    }

    /// What is wrong with an option of a watcher. It stands at the first of `keys` that is in the file, else at its
    /// section; the watcher may be none of the file's, and then no line is named.
    #[must_use]
    pub fn of_watcher(
        &self,
        degree: Degree,
        watcher: &str,
        option: &str,
        keys: &[&str],
        message: String,
    ) -> Mistake {
        // The watcher of a plugin has the name of its section.
        let section = if watcher.starts_with("plugin:") && !self.sections.contains_key(&header(watcher)) {
            watcher.to_owned()
        } else {
            header(watcher)
        };
        let at = self.sections.get(&section).map(|place| {
            let at = keys.iter().find_map(|key| place.keys.get(*key));
            at.unwrap_or(&place.header).clone()
        });
        Mistake { degree, at, section, key: Some(option.to_owned()), message }
    }
}

fn header(watcher: &str) -> String {
    format!("watcher:{watcher}")
}
