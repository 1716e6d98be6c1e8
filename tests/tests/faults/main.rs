//! Faults put into the machine around the real circusd: what must hold, and holds, stands in docs/testing.md.
//!
//! The usual run has a squeezed version of each; `CIRCUS_TESTS=long` has the full size.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "a test watches the clock and runs programs")]

mod beside;
mod clients;
mod kills;
mod machine;
mod raw;
mod requests;
mod soak;
mod storms;

use circus_tests::daemon::skip;

/// A size for the usual run, and the full one.
fn scale<T>(quick: T, full: T) -> T {
    if skip::long() { full } else { quick }
}

/// Writes a figure down for docs/testing.md: shown with `--nocapture`.
fn measured(what: &str, figure: &str) {
    eprintln!("MEASURED {what}: {figure}");
}
