//! Threads of `os/`: named, small, and deaf to signals, which belong to the decision thread.

use std::{io, thread};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

/// None of them recurses or keeps much on its stack.
const STACK: usize = 256 * 1024;

/// Starts a thread that ends by itself when its work's source closes.
///
/// # Errors
/// When the system has none left.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start_with_stack(name, STACK, work)
}

/// The same with so many bytes of stack. What is not used costs addresses only.
///
/// # Errors
/// When the system has none left.
pub fn start_with_stack(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let deaf = move || {
        // It fails for a wrong `how` only.
        let _set = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        work();
    };
    thread::Builder::new().name(name.to_owned()).stack_size(stack).spawn(deaf)?;
    Ok(())
}
