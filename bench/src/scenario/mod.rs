//! What is measured, one file each. A scenario brings the session into the state it needs, and measures one thing.

pub mod capture;
mod events;
mod idle;
mod latency;
mod memory;
mod respawn;
mod start;
mod statistics;
mod stop;
mod storm;
mod throughput;

use crate::{
    contender::{Layout, Name},
    failure::Failure,
    session::Session,
    sheet::{Figure, Metric, Sheet},
};

/// One thing that is measured.
pub trait Scenario {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;

    /// The layouts it is measured with.
    fn layouts(&self) -> &'static [Layout];

    /// The lines of the table it fills.
    fn metrics(&self, layout: Layout) -> &'static [Metric];

    /// Whether it makes sense for this contender.
    fn applies(&self, _name: Name) -> bool {
        true
    }

    /// Measures: one figure for each of its metrics, in their order; `None` where the contender has no such thing.
    ///
    /// # Errors
    /// There is no figure. The session is not used any further then.
    fn measure(&self, session: &mut Session<'_>) -> Result<Vec<Option<f64>>, Failure>;
}

/// All, in the order in which one session goes through them: first what must find the daemon fresh.
pub const ALL: [&dyn Scenario; 14] = [
    &start::Boot,
    &start::Start,
    &memory::Memory,
    &idle::Idle,
    &latency::Latency,
    &throughput::Throughput,
    &events::Events,
    &respawn::Respawn,
    &stop::Stop,
    &storm::STARTS,
    &storm::CRASHES,
    &storm::STOPS,
    &statistics::Statistics,
    &capture::Capture,
];

/// Both layouts.
const BOTH: &[Layout] = &[Layout::One, Layout::Each];
/// The usual one.
const ONE: &[Layout] = &[Layout::One];

/// Puts down what a scenario brought, or why it brought nothing.
pub fn record(
    sheet: &mut Sheet,
    scenario: &dyn Scenario,
    layout: Layout,
    name: Name,
    outcome: &Result<Vec<Option<f64>>, Failure>,
) {
    for (index, metric) in scenario.metrics(layout).iter().enumerate() {
        let figure = match outcome {
            Ok(values) => values.get(index).copied().flatten().map(Figure::Value),
            Err(Failure::Over(limit)) => Some(Figure::Over(*limit)),
            Err(Failure::Io(_) | Failure::Broken(_)) => Some(Figure::Failed),
        };
        if let Some(figure) = figure {
            sheet.put(metric, layout, name, figure);
        }
    }
}
