//! What every Circus program shares: configuration, wire types, transport and client.
//!
//! Uses point one way: `client -> {transport, protocol}`, `protocol -> config`. `config/` and `protocol/` are pure:
//! they name no socket, file, clock, thread or random source.

pub mod bind;
pub mod channel;
pub mod client;
pub mod config;
pub mod consumer;
mod error_chain;
pub mod figures;
pub mod files;
pub mod log;
pub mod os;
pub mod pattern;
pub mod protocol;
pub mod python;
pub mod signal;
pub mod subscribers;
mod syslog;
pub mod transport;
pub mod tunnel;
pub mod visible;

pub use channel::Channel;
pub use config::endpoint::Endpoint;
pub use error_chain::{ErrorChain, complain};
pub use files::Disk;
pub use signal::Signal;
