//! The edge under real clients: good ones, many, and hostile ones. Every bound is asserted.
//!
//! `CIRCUS_TESTS=long` runs the hostile ones at full scale.

#[cfg(test)]
mod daemon;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod ipc;
#[cfg(test)]
mod other;
#[cfg(test)]
mod peaceful;
#[cfg(test)]
mod raw;

use std::{
    env,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One test at a time: some of them measure memory and time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first number, or the second where tests may take long.
fn scale<T>(quick: T, long: T) -> T {
    if env::var("CIRCUS_TESTS").is_ok_and(|it| it == "long") { long } else { quick }
}
