//! The watcher of a plugin: what it is by default, and the command it runs.

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    builtin::Uses,
    codec::{self, Options},
};
use crate::config::{
    CircusConfig, Config, Host, PluginConfig, WatcherConfig,
    expand::words::quote,
    programs::{for_clients, log_options},
};

/// A plugin's watcher before its section is read. What no section says of it is reported as for an `add`, as in Circus.
pub(super) fn base(name: &str, host: &Host) -> WatcherConfig {
    WatcherConfig {
        priority: 1,
        singleton: true,
        copy_env: true,
        copy_path: true,
        env: Some(host.env.clone()),
        close_child_stdout: true,
        close_child_stderr: true,
        from_file: true,
        brought_along: true,
        ..WatcherConfig::new(name, "")
    }
}

/// An output for which a stream was given is not thrown away, unless that was asked for too.
pub(super) fn honour_streams(watcher: &mut WatcherConfig, was_given: impl Fn(&str) -> bool) {
    if watcher.stdout_stream.is_some() && !was_given("close_child_stdout") {
        watcher.close_child_stdout = false;
    }
    if watcher.stderr_stream.is_some() && !was_given("close_child_stderr") {
        watcher.close_child_stderr = false;
    }
}

impl Config {
    /// Adds the watchers that run the plugins by that program.
    pub(in crate::config) fn run_plugins(&mut self, program: &str) {
        let taken = |name: &str| self.watchers.iter().any(|watcher| watcher.name.eq_ignore_ascii_case(name));
        let of_plugins: Vec<_> = self
            .plugins
            .iter()
            .filter(|plugin| !taken(&plugin.name))
            .map(|plugin| plugin.runner(&self.circus, program))
            .collect();
        self.watchers.extend(of_plugins);
    }
}

impl PluginConfig {
    /// The watcher, complete.
    fn runner(&self, circus: &CircusConfig, program: &str) -> WatcherConfig {
        let mut watcher = self.watcher.clone();
        if watcher.cmd.is_empty() {
            watcher.cmd = self.command(circus, program);
        }
        watcher.autostart &= self.active;
        if circus.debug {
            for (stream, close, key) in [
                (&mut watcher.stdout_stream, &mut watcher.close_child_stdout, "close_child_stdout"),
                (&mut watcher.stderr_stream, &mut watcher.close_child_stderr, "close_child_stderr"),
            ] {
                if !self.keys.contains_key(key) {
                    *close = false;
                    stream.get_or_insert_with(standard_output);
                }
            }
        }
        watcher
    }

    /// The command line, in the order Circus writes it.
    fn command(&self, circus: &CircusConfig, program: &str) -> String {
        let mut words = vec![program.to_owned()];
        let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
        option("--endpoint", &for_clients(&circus.endpoint));
        option("--pubsub", &for_clients(&circus.pubsub_endpoint));
        if !circus.events_endpoint.is_empty() {
            option("--events", &for_clients(&circus.events_endpoint));
        }
        let options: Options = self.keys.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        match codec::encode(&options) {
            Some(text) => option("--config", &text),
            None => option("--config-json", &codec::encode_json(&options)),
        }
        option("--check-delay", &check_delay(circus.check_delay));
        if let Uses::Class(_) = self.uses {
            option("--python", self.python.as_deref().unwrap_or(&circus.python));
        }
        words.extend(log_options(circus));
        words.push(self.uses.text());
        words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ")
    }
}

fn standard_output() -> IndexMap<String, Value> {
    IndexMap::from([("class".to_owned(), Value::from("StdoutStream"))])
}

/// What plugins take it for: 0 or less means the default.
fn check_delay(seconds: f64) -> String {
    let seconds = if seconds > 0.0 { seconds } else { 5.0 };
    format!("{seconds:?}")
}
