//! The built-in plugins, one file each.

mod command_reloader;
mod flapping;
mod full_stats;
mod http_observer;
mod notifier;
mod observer;
mod prometheus;
mod redis_observer;
mod resource_watcher;
mod statsd_emitter;
#[cfg(test)]
mod story;
mod watchdog;

use circus_common::config::plugin::builtin::Builtin;

use crate::{
    machine::Plugin,
    options::{OptionError, Options},
};

/// What a plugin is made from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What its section says.
    pub options: Options,
    /// circusd's `check_delay`.
    pub check_delay: f64,
    /// The name of this machine.
    pub host: String,
    /// Whether circusd publishes the events that Circus does not have.
    pub own_events: bool,
}

/// Makes a plugin.
///
/// # Errors
/// When an option makes no sense, or one that is needed is missing.
pub fn build(builtin: Builtin, setup: &Setup) -> Result<Box<dyn Plugin>, OptionError> {
    if !setup.options.flag("active", true)? {
        return Err(OptionError::Inactive);
    }
    Ok(match builtin {
        Builtin::Flapping => Box::new(flapping::Flapping::new(setup)?),
        Builtin::ResourceWatcher => Box::new(resource_watcher::ResourceWatcher::new(setup)?),
        Builtin::StatsdEmitter => Box::new(statsd_emitter::StatsdEmitter::new(setup)?),
        Builtin::FullStats => Box::new(full_stats::FullStats::new(setup)?),
        Builtin::HttpObserver => Box::new(http_observer::HttpObserver::new(setup)?),
        Builtin::RedisObserver => Box::new(redis_observer::RedisObserver::new(setup)?),
        Builtin::CommandReloader => Box::new(command_reloader::CommandReloader::new(setup)?),
        Builtin::WatchDog => Box::new(watchdog::WatchDog::new(setup)?),
        Builtin::Notifier => Box::new(notifier::Notifier::new(setup)?),
        Builtin::Prometheus => Box::new(prometheus::Prometheus::new(setup)?),
    })
}
