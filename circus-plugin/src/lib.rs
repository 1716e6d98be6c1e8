//! circus-plugin: runs one plugin of a Circus daemon.
//!
//! The built-in plugins are state machines ([`machine`], `plugins`); the `runner` owns their sockets, timers and
//! files. A Python class or any other program takes the place of this process ([`host`]).

pub mod cli;
mod figures;
pub mod host;
pub mod machine;
mod metrics;
mod names;
pub mod options;
pub mod plugins;
pub mod runner;
mod stdin;
mod ticker;
