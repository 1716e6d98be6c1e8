//! The Circus arbiter as a library: `arbiter/` decides, `os/` acts, `daemon` joins them.

pub mod arbiter;
pub mod check;
pub mod cli;
pub mod controller;
pub mod daemon;
pub mod discovery;
pub mod helpers;
pub mod hooks;
pub mod os;
pub mod publisher;
pub mod readiness;
pub mod starter;
pub mod stream;

pub use circus_common::log;
