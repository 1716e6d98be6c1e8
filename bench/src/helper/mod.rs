//! The processes that stand for the limits.

pub mod bare;
pub mod echo;
