//! What several programs ask of the system, and all `unsafe` of this crate.

pub mod inherited;
pub mod ipc;
pub mod local_time;
pub mod procfs;
pub mod trusted_open;
