//! The plugins circus-plugin has built in, and what `use` may say.
//!
//! One row of [`TABLE`] is all there is to the name of a plugin and its options: the check of a configuration,
//! circus-plugin itself and the reference page know them from here.

use super::super::{
    socket::{KeySpec, key},
    suggest,
    value::Kind,
};

/// A plugin that needs no other program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Builtin {
    /// Stops watchers whose processes keep dying, and tries them again.
    Flapping,
    /// Restarts a watcher that uses too much, or too little.
    ResourceWatcher,
    /// Counts events in statsd.
    StatsdEmitter,
    /// Sends the figures of all processes to statsd.
    FullStats,
    /// Asks a web server.
    HttpObserver,
    /// Asks a redis server.
    RedisObserver,
    /// Restarts watchers whose program was changed.
    CommandReloader,
    /// Ends processes that stopped sending heartbeats.
    WatchDog,
    /// Tells somebody.
    Notifier,
    /// Serves metrics to Prometheus.
    Prometheus,
}

/// One built-in plugin.
pub struct BuiltinSpec {
    /// Which.
    pub builtin: Builtin,
    /// The full name; the last part alone will do too.
    pub path: &'static str,
    /// Another full name.
    pub alias: Option<&'static str>,
    /// The name it logs under.
    pub logger: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// Its options, besides those of every plugin and every watcher.
    pub options: &'static [&'static [KeySpec]],
}

impl BuiltinSpec {
    /// The last part of its full name.
    #[must_use]
    pub fn short(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// All its options.
    pub fn all_options(&self) -> impl Iterator<Item = &'static KeySpec> + Clone + use<> {
        self.options.iter().flat_map(|part| part.iter())
    }
}

const LOOP: KeySpec = key("loop_rate", Kind::Number, "60", "seconds between two looks");

const STATSD: &[KeySpec] = &[
    key("host", Kind::Text, "localhost", "the statsd server"),
    key("port", Kind::Integer, "8125", "its UDP port"),
    key(
        "sample_rate",
        Kind::Number,
        "1.0",
        "written after every value when it is not 1; nothing is left out",
    ),
];

const APP: &[KeySpec] = &[key(
    "application_name",
    Kind::Text,
    "app",
    "the APP of `circus.APP.watcher.`, which begins every metric",
)];

/// Every built-in plugin.
#[rustfmt::skip]
pub const TABLE: &[BuiltinSpec] = &[
    BuiltinSpec {
        builtin: Builtin::Flapping, path: "circus.plugins.flapping.Flapping", alias: None, logger: "flapping",
        doc: "stops a watcher whose processes keep dying, and starts it again after a pause",
        options: &[&[
            key("attempts", Kind::Integer, "2", "how many unexpected exits make a series"),
            key("window", Kind::Number, "1", "a series within so many seconds, beyond circusd's `check_delay`, is flapping"),
            key("retry_in", Kind::Number, "7", "seconds until the watcher is started again"),
            key("max_retry", Kind::Integer, "5", "how often it is started again before it stays stopped; -1 is for ever"),
        ]],
    },
    BuiltinSpec {
        builtin: Builtin::ResourceWatcher, path: "circus.plugins.resource_watcher.ResourceWatcher", alias: None, logger: "statsd",
        doc: "restarts a watcher whose processes use more, or less, than they may",
        options: &[&[
            key("watcher", Kind::Text, "", "the watcher; it must be named"),
            key("service", Kind::Text, "", "an old name of `watcher`"),
            LOOP,
            key("max_cpu", Kind::Number, "90", "percent of one processor; 0 is no limit"),
            key("min_cpu", Kind::Number, "", "percent of one processor"),
            key("max_mem", Kind::Text, "90", "percent of the memory, or an amount with a unit such as `200M`"),
            key("min_mem", Kind::Text, "", "the same, as the least there should be"),
            key("health_threshold", Kind::Number, "75", "the most that the mean of both percentages may be; 0 is no limit"),
            key("max_count", Kind::Integer, "3", "how many looks in a row may find too much; one more and it is restarted"),
            key("process_children", Kind::Flag, "False", "look at each child of the processes too"),
            key("child_signal", Kind::Signal, "SIGTERM", "the signal for such a child"),
        ], APP, STATSD],
    },
    BuiltinSpec {
        builtin: Builtin::StatsdEmitter, path: "circus.plugins.statsd.StatsdEmitter", alias: Some("circus.plugins._statsd.StatsdEmitter"), logger: "statsd",
        doc: "counts every event in statsd",
        options: &[APP, STATSD],
    },
    BuiltinSpec {
        builtin: Builtin::FullStats, path: "circus.plugins.statsd.FullStats", alias: Some("circus.plugins._statsd.FullStats"), logger: "full_stats",
        doc: "sends the processor and memory use of all watchers to statsd",
        options: &[&[LOOP], APP, STATSD],
    },
    BuiltinSpec {
        builtin: Builtin::HttpObserver, path: "circus.plugins.http_observer.HttpObserver", alias: None, logger: "http_observer",
        doc: "measures how fast a web server answers, and restarts a watcher when it does not",
        options: &[&[
            LOOP,
            key("check_url", Kind::Text, "http://localhost/", "what is asked for"),
            key("timeout", Kind::Number, "10", "seconds until there is no answer"),
            key("restart_on_error", Kind::Text, "", "the watcher that is restarted then"),
            key("application_name", Kind::Text, "http_observer", "the APP of `circus.APP.watcher.`, which begins every metric"),
        ], STATSD],
    },
    BuiltinSpec {
        builtin: Builtin::RedisObserver, path: "circus.plugins.redis_observer.RedisObserver", alias: None, logger: "redis_observer",
        doc: "sends the statistics of a redis server to statsd, and restarts a watcher when the server is silent",
        options: &[&[
            LOOP,
            key("redis_url", Kind::Text, "redis://localhost:6379/0", "the server; `rediss://` for TLS"),
            key("timeout", Kind::Number, "5", "seconds until there is no answer"),
            key("restart_on_timeout", Kind::Text, "", "the watcher that is restarted then"),
            key("application_name", Kind::Text, "redis_observer", "the APP of `circus.APP.watcher.`, which begins every metric"),
        ], STATSD],
    },
    BuiltinSpec {
        builtin: Builtin::CommandReloader, path: "circus.plugins.command_reloader.CommandReloader", alias: None, logger: "command_reloader",
        doc: "restarts a watcher whose program, script or watched files were changed",
        options: &[&[
            key("loop_rate", Kind::Integer, "1", "seconds between two looks, where the kernel does not tell of changes"),
            key("watch", Kind::Text, "", "own: further files for every watcher, as patterns divided by blanks; a watcher's own stand in its `command_reloader.watch`"),
        ]],
    },
    BuiltinSpec {
        builtin: Builtin::WatchDog, path: "circus.plugins.watchdog.WatchDog", alias: None, logger: "watchdog",
        doc: "ends processes that no longer send heartbeats by UDP",
        options: &[&[
            LOOP,
            key("watchers_regex", Kind::Text, ".*", "which watchers are watched: a Python pattern for the start of the name"),
            key("msg_regex", Kind::Text, "^(?P<pid>.*);(?P<timestamp>.*)$", "how a heartbeat looks: a Python pattern with a group `pid`"),
            key("max_count", Kind::Integer, "3", "after how many silent checks a process is killed"),
            key("ip", Kind::Text, "127.0.0.1", "where heartbeats are received"),
            key("port", Kind::Integer, "1664", "the UDP port"),
            key("watchers_stop_signal", Kind::Signal, "", "the signal to begin with, instead of the watcher's own"),
            key("watchers_graceful_timeout", Kind::Number, "", "the grace in seconds, instead of the watcher's own"),
        ]],
    },
    BuiltinSpec {
        builtin: Builtin::Notifier, path: "circus.plugins.notifier.Notifier", alias: None, logger: "notifier",
        doc: "own: tells somebody when a watcher is in trouble, by a web request, a command or mail",
        options: &[&[
            key("events", Kind::Text, "exit flapping fatal", "what is told, divided by blanks: `exit` (unexpected), `flapping`, `fatal`, `undone`, `hook_failure`, `stop`, `start`"),
            key("watchers_regex", Kind::Text, ".*", "of which watchers: a Python pattern for the start of the name"),
            key("webhook", Kind::Text, "", "the URL a JSON object is posted to"),
            key("command", Kind::Text, "", "the program that is run, with the JSON object on its standard input"),
            key("smtp", Kind::Text, "", "the mail server: `smtp://HOST:PORT` (TLS if offered), `smtps://HOST` or `smtp+starttls://HOST`"),
            key("smtp_user", Kind::Text, "", "the user name there"),
            key("smtp_password_file", Kind::Text, "", "the file that holds the password"),
            key("mail_from", Kind::Text, "circus@localhost", "the sender"),
            key("mail_to", Kind::Text, "", "the receivers, divided by blanks"),
            key("interval", Kind::Number, "60", "the same event of the same watcher is told once in so many seconds"),
            key("max_per_hour", Kind::Integer, "60", "no more messages than this in an hour"),
            key("lines", Kind::Integer, "20", "how many of the last lines of standard error are in the message"),
            key("timeout", Kind::Number, "10", "seconds a delivery may take"),
        ]],
    },
    BuiltinSpec {
        builtin: Builtin::Prometheus, path: "circus.plugins.prometheus.Prometheus", alias: None, logger: "prometheus",
        doc: "own: serves metrics in the OpenMetrics format",
        options: &[&[
            key("listen", Kind::Text, "127.0.0.1:9127", "the address; only loopback, unless `allow_remote` is on"),
            key("allow_remote", Kind::Flag, "False", "allow an address that other machines can reach"),
            key("timeout", Kind::Number, "5", "seconds circusd may take to answer before old figures are served"),
        ]],
    },
];

/// What runs a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uses {
    /// circus-plugin itself.
    Builtin(Builtin),
    /// Python: the full name of a class.
    Class(String),
    /// A program with its first arguments, as written after `exec:`.
    Program(String),
}

impl Uses {
    /// Reads what `use` says.
    ///
    /// # Errors
    /// A sentence that says why it is nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(program) = text.strip_prefix("exec:") {
            let words = super::super::expand::words::split(program)
                .map_err(|reason| format!("`{text}`: {reason}"))?;
            return match words.is_empty() {
                true => Err("`exec:` needs a program, such as `exec:/usr/local/bin/listener`".to_owned()),
                false => Ok(Self::Program(program.trim().to_owned())),
            };
        }
        if let Some(class) = text.strip_prefix("python:") {
            return class_name(class.trim());
        }
        if let Some(spec) =
            TABLE.iter().find(|spec| [spec.path, spec.short()].contains(&text) || spec.alias == Some(text))
        {
            return Ok(Self::Builtin(spec.builtin));
        }
        if text.contains('.') && !text.starts_with("circus.plugins.") {
            return class_name(text);
        }
        let known = TABLE.iter().flat_map(|spec| [spec.path, spec.short()]);
        Err(format!("there is no plugin `{text}`{}", suggest::hint(text, known)))
    }

    /// The text that [`Self::parse`] reads as this.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Builtin(builtin) => builtin.spec().path.to_owned(),
            // Names below `circus.plugins` are taken for ours unless Python is named.
            Self::Class(name) if Self::parse(name) == Ok(self.clone()) => name.clone(),
            Self::Class(name) => format!("python:{name}"),
            Self::Program(program) => format!("exec:{program}"),
        }
    }
}

impl Builtin {
    /// Its row.
    #[must_use]
    pub fn spec(self) -> &'static BuiltinSpec {
        // Every variant has a row, in order: a test counts them.
        &TABLE[self as usize]
    }
}

/// A dotted name of Python; nothing else may reach an interpreter.
fn class_name(text: &str) -> Result<Uses, String> {
    let is_name = |part: &str| {
        let letters = |c: char| c.is_alphanumeric() || c == '_';
        part.chars().all(letters) && part.starts_with(|c: char| !c.is_ascii_digit())
    };
    if text.contains('.') && text.split('.').all(is_name) {
        return Ok(Uses::Class(text.to_owned()));
    }
    Err(format!("`{text}` is no full name of a Python class; write `package.module.Class`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plugin_stands_in_its_row() {
        for (row, spec) in TABLE.iter().enumerate() {
            assert_eq!(spec.builtin as usize, row, "{}", spec.path);
            assert_eq!(spec.builtin.spec().path, spec.path);
        }
    }

    #[test]
    fn every_default_is_a_good_value() {
        for spec in TABLE.iter().flat_map(BuiltinSpec::all_options).filter(|spec| !spec.default.is_empty()) {
            assert!(spec.kind.parse(spec.default).is_ok(), "{}", spec.name);
        }
    }

    #[test]
    fn plugins_are_known_by_all_their_names() {
        for (text, uses) in [
            ("circus.plugins.flapping.Flapping", Uses::Builtin(Builtin::Flapping)),
            ("circus.plugins._statsd.StatsdEmitter", Uses::Builtin(Builtin::StatsdEmitter)),
            (" Notifier ", Uses::Builtin(Builtin::Notifier)),
            ("myproject.plugins.Logger", Uses::Class("myproject.plugins.Logger".to_owned())),
            (
                "python:circus.plugins.flapping.Flapping",
                Uses::Class("circus.plugins.flapping.Flapping".to_owned()),
            ),
            ("exec:/usr/bin/listener -v", Uses::Program("/usr/bin/listener -v".to_owned())),
        ] {
            let parsed = Uses::parse(text).unwrap();
            assert_eq!(parsed, uses);
            assert_eq!(Uses::parse(&parsed.text()), Ok(uses));
        }
    }

    #[test]
    fn what_is_no_plugin_is_said_with_what_was_meant() {
        for (text, message) in [
            ("Flaping", "there is no plugin `Flaping`; did you mean `Flapping`?"),
            (
                "circus.plugins.flapping.Flaping",
                "there is no plugin `circus.plugins.flapping.Flaping`; did you mean `circus.plugins.flapping.Flapping`?",
            ),
            ("x", "there is no plugin `x`"),
            ("exec: ", "`exec:` needs a program, such as `exec:/usr/local/bin/listener`"),
            ("a.b c", "`a.b c` is no full name of a Python class; write `package.module.Class`"),
            ("a..b", "`a..b` is no full name of a Python class; write `package.module.Class`"),
        ] {
            assert_eq!(Uses::parse(text), Err(message.to_owned()));
        }
    }
}
