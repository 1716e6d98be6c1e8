//! circusd-stats: figures of every process of a Circus daemon, published once a second.
//!
//! Three rooms. [`streamer`] knows which processes there are, from answers and events, and touches nothing outside
//! itself; [`collector`] reads `/proc` on a thread of its own; [`publisher`] sends. [`program`] joins them in one loop.
//!
//! While nobody listens nothing is read and nothing wakes up, except for circusd's events.

pub mod asking;
pub mod cli;
pub mod collector;
pub mod events;
pub mod hits;
pub mod program;
pub mod publisher;
pub mod road;
pub mod streamer;
