//! What counts as flapping: the plugin's own settings, and those a watcher has for itself.

use circus_common::config::python_text;

use crate::{
    machine::Members,
    options::{OptionError, Options, flag},
};

/// The settings for one watcher.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// How many exits make a series.
    pub attempts: usize,
    /// A series within so many seconds is flapping.
    pub window: f64,
    /// Seconds until the watcher is started again.
    pub retry_in: f64,
    /// How often it is started again; `None` is for ever.
    pub max_retry: Option<u64>,
    /// Whether it is looked after at all.
    pub active: bool,
}

impl Settings {
    /// Reads the section of the plugin.
    pub fn new(options: &Options) -> Result<Self, OptionError> {
        Ok(Self {
            attempts: at_least_one(options.integer("attempts", 2)?),
            window: options.number("window", 1.0)?,
            retry_in: options.number("retry_in", 7.0)?,
            max_retry: tries(options.integer("max_retry", 5)?),
            active: true,
        })
    }

    /// With the `flapping.*` options of a watcher over them; those that make no sense are named.
    pub fn of_watcher(&self, options: &Members) -> (Self, Vec<String>) {
        let (mut own, mut wrong) = (self.clone(), Vec::new());
        for (key, value) in options {
            let Some(name) = key.strip_prefix("flapping.") else { continue };
            let text = python_text::str(value);
            if !own.set(name, text.trim()) {
                wrong.push(format!("cannot use `{text}` as `{key}`"));
            }
        }
        (own, wrong)
    }

    fn set(&mut self, name: &str, text: &str) -> bool {
        let integer = || text.parse::<i64>().ok();
        let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
        let mut done = true;
        match name {
            "attempts" => integer().map_or_else(|| done = false, |value| self.attempts = at_least_one(value)),
            "max_retry" => integer().map_or_else(|| done = false, |value| self.max_retry = tries(value)),
            "window" => number().map_or_else(|| done = false, |value| self.window = value),
            "retry_in" => number().map_or_else(|| done = false, |value| self.retry_in = value),
            "active" => flag(text).map_or_else(|| done = false, |value| self.active = value),
            // Free-form: somebody else's.
            _ => {}
        }
        done
    }
}

fn at_least_one(count: i64) -> usize {
    usize::try_from(count.max(1)).unwrap_or(usize::MAX)
}

fn tries(count: i64) -> Option<u64> {
    u64::try_from(count).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::options::options;

    #[test]
    fn a_watcher_may_say_otherwise() {
        let common = Settings::new(&options(&[("max_retry", "-1")])).unwrap();
        assert_eq!((common.attempts, common.window, common.retry_in, common.max_retry), (2, 1.0, 7.0, None));
        let own = json!({"flapping.attempts": "4", "flapping.window": 3, "flapping.active": "off", "cmd": "x",
                         "flapping.retry_in": "soon", "flapping.max_retry": "0"});
        let (own, wrong) = common.of_watcher(own.as_object().unwrap());
        assert_eq!(
            (own.attempts, own.window, own.retry_in, own.max_retry, own.active),
            (4, 3.0, 7.0, Some(0), false)
        );
        assert_eq!(wrong, ["cannot use `soon` as `flapping.retry_in`"]);
    }
}
