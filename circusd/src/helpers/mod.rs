//! Helpers: processes that run Python code of users, so that circusd itself never does.
//!
//! A helper is a child like any other - spawned, held, reaped and written into the slot table in the one way there is -
//! but it is no watcher: no command lists it, and it lives as long as what it serves. `fleet` knows how one comes and
//! goes, whatever it is for; `streams` are those that run stream classes, and the trial of streams before they are used.
//!
//! Belongs to the daemon's loop and never waits.

mod fleet;
mod greeting;
mod streams;
mod trial;

pub use self::{
    fleet::{Fleet, Greeted, HELPERS, Happened, concerns},
    greeting::{Greeting, PATIENCE, read_answer},
    streams::{Event, StreamHelpers, Tried, arguments},
    trial::Occasion,
};
