//! Other people's programs and ours: Python's Circus and the `zeromq` crate as clients of our daemon, and OpenSSH as the
//! way to it.
//!
//! Python's side needs `CIRCUS_PYTHON`, a Python that has circus 0.19 installed.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test runs programs and may panic")]

mod circusctl;
mod clients;
mod configs;
mod daemon;
mod hooks;
mod scripts;
mod ssh;
mod stats;
mod theirs;
