//! Python that our programs for people's own code share: hooks, output streams, plugins.

/// Defines `resolve`, which finds the object a dotted path names. Goes in front of such a program.
pub const RESOLVE: &str = include_str!("python/resolve.py");

/// Defines `offer_circus`, which offers what is imported from the package `circus` where that is not installed. Goes in
/// front of programs that run hooks and plugins.
pub const OFFER: &str = include_str!("python/offer.py");
