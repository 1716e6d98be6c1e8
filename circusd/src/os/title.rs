//! The name circusd goes by in `ps` and `top`.

use nix::sys::prctl;

/// Names the calling thread `circusd`; called by the main thread this names the process.
///
/// Helper threads keep names of their own. A kernel that refuses changes nothing anybody depends on, so there
/// is no error to handle.
pub fn set() {
    let _ = prctl::set_name(c"circusd");
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    #[test]
    fn the_thread_that_asks_is_called_circusd() {
        let name = thread::spawn(|| {
            super::set();
            fs::read_to_string("/proc/thread-self/comm").unwrap()
        });
        assert_eq!(name.join().unwrap(), "circusd\n");
    }
}
