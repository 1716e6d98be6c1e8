//! The real circusd with real processes, one file for each subject.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "a test watches the clock and runs programs")]

mod add_rm;
mod command_line;
mod container;
mod descriptors;
mod environment;
mod examples;
mod hook_programs;
mod hooks;
mod idle;
mod listen;
mod logs;
mod number;
mod options;
mod python_streams;
mod reload;
mod reloadconfig;
mod respawn;
mod shell;
mod signals;
mod soak;
mod sockets;
mod start;
mod stats;
mod stop;
mod streams;
mod survivors;
