//! Stories with the real arbiter under a simulated clock and kernel.

mod edges;
mod hooks;
mod kept;
mod lifecycle;
mod random;
mod sockets;
mod streams;
