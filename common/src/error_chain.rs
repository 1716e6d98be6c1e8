//! An error with its causes, for whoever reads it: the one place that walks them.

use std::{
    error::Error,
    fmt,
    io::{self, Write},
};

/// Shows an error and its causes in one line: `cannot read `x`: no such file`.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'e>(pub &'e dyn Error);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Says on standard error why a program ends: `PROGRAM: REASON`. Where that cannot be written, on a full disk perhaps, the
/// exit code has to do; `eprintln!` would panic and change it.
pub fn complain(program: &str, reason: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "{program}: {reason}");
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot {what}")]
    struct Outer {
        what: &'static str,
        source: Box<dyn Error + Send + Sync>,
    }

    #[test]
    fn every_cause_follows_its_effect() {
        let inner = Outer { what: "open it", source: io::Error::other("no key").into() };
        let outer = Outer { what: "go in", source: inner.into() };
        assert_eq!(ErrorChain(&outer).to_string(), "cannot go in: cannot open it: no key");
    }
}
