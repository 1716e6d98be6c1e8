//! Why there is no figure.

use std::{io, time::Duration};

/// Why a contender gives no figure, or why the benchmark cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It takes longer than is waited for.
    #[error("longer than {} s", .0.as_secs_f64())]
    Over(Duration),
    /// The system refuses.
    #[error("{0}")]
    Io(io::Error),
    /// It is not as it should be.
    #[error("{0}")]
    Broken(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}
