//! Python that our programs for people's own code share: hooks, output streams, plugins.

/// Defines `resolve`, which finds the object a dotted path names. Goes in front of such a program.
pub const RESOLVE: &str = include_str!("python/resolve.py");
