//! Watcher names: topics carry them with `_` for every blank, commands want them as `list` tells them.

use std::collections::BTreeMap;

use circus_common::protocol::event::res_name;

use crate::machine::Members;

/// What `list` said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    of_topics: BTreeMap<String, String>,
}

impl Names {
    /// Takes in the answer to `list`, and returns the names.
    pub fn learn(&mut self, answer: &Members) -> Vec<String> {
        let listed = answer.get("watchers").and_then(|names| names.as_array()).into_iter().flatten();
        let names: Vec<String> = listed.filter_map(|name| name.as_str().map(str::to_owned)).collect();
        self.of_topics = names.iter().map(|name| (res_name(name), name.clone())).collect();
        names
    }

    /// The name that commands understand, if it is certain: without `_` a topic's name is the name.
    #[must_use]
    pub fn certain(&self, of_topic: &str) -> Option<String> {
        let known = self.of_topics.get(of_topic).cloned();
        known.or_else(|| (!of_topic.contains('_')).then(|| of_topic.to_owned()))
    }

    /// The name that commands understand; the topic's own where nothing better is known.
    #[must_use]
    pub fn best(&self, of_topic: &str) -> String {
        self.certain(of_topic).unwrap_or_else(|| of_topic.to_owned())
    }
}

/// Whether a watcher is one that circusd made for itself.
#[must_use]
pub fn is_own(watcher: &str) -> bool {
    watcher.starts_with("plugin:") || ["circusd-stats", "circushttpd"].contains(&watcher)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_blank_is_found_behind_its_underscore() {
        let mut names = Names::default();
        assert_eq!((names.certain("a_b"), names.best("a_b")), (None, "a_b".to_owned()));
        assert_eq!(names.certain("a.b"), Some("a.b".to_owned()));
        let answer = json!({"watchers": ["a b", "c_d"]});
        assert_eq!(names.learn(answer.as_object().unwrap()), ["a b", "c_d"]);
        assert_eq!((names.best("a_b"), names.best("c_d")), ("a b".to_owned(), "c_d".to_owned()));
    }
}
