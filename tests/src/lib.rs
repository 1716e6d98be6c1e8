//! What the tests share: [`sim::Sim`], the real arbiter under a simulated clock and kernel, [`daemon::Daemon`], the real
//! circusd with real processes, [`terminal::Terminal`], a program in a terminal, and [`fuzz`], what fuzzers throw bytes at.

pub mod daemon;
pub mod fuzz;
pub mod sim;
pub mod terminal;
