//! Changing circusd's own environment: possible only while it has one thread.

use std::env;

use super::daemonize::threads;

/// Removes a variable from circusd's own environment. With other threads running, which may be reading it, nothing
/// is done.
pub fn remove(name: &str) {
    if threads() != 1 {
        return;
    }
    // SAFETY: this is the only thread, so nobody reads the environment meanwhile.
    unsafe { env::remove_var(name) };
}
