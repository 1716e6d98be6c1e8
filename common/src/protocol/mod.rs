//! The wire: requests, commands, replies and events, both ways, pinned to what Circus sends.
//!
//! Pure: bytes in, values out. Specification: circus-commands, circus-events-and-stats.

pub mod command;
pub mod commands;
pub mod docs;
mod echo;
pub mod event;
pub mod json;
mod properties;
pub mod reply;
pub mod request;

pub use command::{Command, GivenPid, Match, Target};
pub use echo::Echo;
pub use event::{Event, Happening};
pub use reply::{ErrorCode, Reply};
pub use request::Request;
