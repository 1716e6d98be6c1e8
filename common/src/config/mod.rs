//! The configuration: ini text to values that cannot be wrong.
//!
//! Pure: file contents, the environment and the current directory are handed in (see [`Host`] and [`Files`]);
//! nothing here opens a file. Specification: circus-config.

mod change;
pub mod circus;
pub mod docs;
pub mod endpoint;
mod environment;
pub mod expand;
pub mod fnmatch;
pub mod hook;
mod include;
pub mod ini;
mod load;
mod mistake;
pub mod options;
mod places;
pub mod plugin;
mod programs;
pub mod python_text;
mod sections;
pub mod socket;
pub mod stream;
mod streams;
mod suggest;
#[cfg(test)]
mod tests;
pub mod value;
mod virtualenv;
pub mod watcher;
mod watchers;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;

pub use change::SetError;
pub use hook::{HookAction, HookConfig, HookName};
pub use load::load;
pub use mistake::{Degree, Mistake, Position};
pub use options::Change;
pub use places::Places;
pub use socket::{Place, SocketChange, SocketConfig, SocketKind};
pub use watcher::{Account, Args, Orphans, Seconds, WatcherConfig};

/// What the machine says about circusd itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// circusd's environment, without variables that are not UTF-8.
    pub env: BTreeMap<String, String>,
    /// circusd's current directory.
    pub cwd: PathBuf,
    /// Where circusd's executable lies, and so its sister programs; empty when that is not known.
    pub programs: PathBuf,
}

/// What reading a configuration asks of the file system.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// The bytes of a file that nobody named, but a pattern.
    ///
    /// # Errors
    /// Why it cannot be read, or should not be.
    fn read_matched(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.read(path)
    }

    /// The files that a pattern names, sorted; `*` does not cross `/` nor match a leading dot.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;

    /// Whether it is a directory.
    fn is_dir(&self, path: &Path) -> bool;

    /// Whether it is there.
    fn exists(&self, path: &Path) -> bool;

    /// The entries of a directory as full paths, sorted; none when it cannot be read.
    fn list(&self, path: &Path) -> Vec<PathBuf>;
}

/// A configuration and everything that is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// What can be used; with a fatal mistake it is only good for showing.
    pub config: Config,
    /// In file order.
    pub mistakes: Vec<Mistake>,
}

impl Loaded {
    /// Whether there is a mistake of this degree.
    #[must_use]
    pub fn has(&self, degree: Degree) -> bool {
        self.mistakes.iter().any(|mistake| mistake.degree == degree)
    }

    /// The mistakes of this degree or a worse one, one a line.
    #[must_use]
    pub fn text(&self, at_least: Degree) -> String {
        let lines = self.mistakes.iter().filter(|mistake| mistake.degree >= at_least);
        lines.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// Everything a configuration file, its includes and circusd's environment say.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[circus]`.
    pub circus: CircusConfig,
    /// `[watcher:*]`, sorted by section name, broken ones left out.
    pub watchers: Vec<WatcherConfig>,
    /// `[socket:*]`, sorted by name.
    pub sockets: Vec<SocketConfig>,
    /// `[plugin:*]`, sorted by name.
    pub plugins: Vec<PluginConfig>,
    /// Where all that stands.
    pub places: Places,
}

/// The daemon's own settings, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct CircusConfig {
    /// Seconds; caps the respawn back-off and is handed to plugins.
    pub check_delay: f64,
    /// The control endpoints; several are separated by blanks.
    pub endpoint: String,
    /// Owner of the ipc socket file.
    pub endpoint_owner: Option<String>,
    /// The event endpoint.
    pub pubsub_endpoint: String,
    /// The discovery address; empty is off.
    pub multicast_endpoint: String,
    /// Whether circusd-stats is to run.
    pub statsd: bool,
    /// Its endpoint.
    pub stats_endpoint: String,
    /// Whether its outputs go to /dev/null.
    pub statsd_close_outputs: bool,
    /// Whether circushttpd is to run.
    pub httpd: bool,
    /// Its host.
    pub httpd_host: String,
    /// Its port.
    pub httpd_port: u16,
    /// Whether its outputs go to /dev/null.
    pub httpd_close_outputs: bool,
    /// Seconds between the starts of two watchers.
    pub warmup_delay: u64,
    /// Debug mode of circusd's own children.
    pub debug: bool,
    /// Where the pid is written.
    pub pidfile: Option<String>,
    /// The mask, parsed from octal.
    pub umask: Option<u16>,
    /// `debug info warning error critical`, as written.
    pub loglevel: Option<String>,
    /// `-`, a file, or `syslog://...`.
    pub logoutput: Option<String>,
    /// `default` or a path.
    pub loggerconfig: Option<String>,
    /// Prefix of the instance's name.
    pub fqdn_prefix: Option<String>,
    /// Whether a TCP endpoint that is not loopback may be bound (own option).
    pub allow_remote: bool,
    /// The interpreter of Python plugins and hooks (own option; default `python3`).
    pub python: String,
    /// Where new events go (own option; empty is off).
    pub events_endpoint: String,
}

/// One `[plugin:NAME]` section.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConfig {
    /// The whole header, `plugin:NAME`.
    pub name: String,
    /// What runs it.
    pub uses: plugin::builtin::Uses,
    /// Whether it is started.
    pub active: bool,
    /// The interpreter, when the section names one.
    pub python: Option<String>,
    /// All keys but `use`, expanded.
    pub keys: IndexMap<String, String>,
    /// The watcher that runs it, but for its command.
    pub watcher: WatcherConfig,
}
