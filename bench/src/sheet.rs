//! The figures of all runs, and their medians.
//!
//! Invariant: a run that gave no figure counts as longer than any other, so it can't make a contender look better.

use std::{collections::BTreeMap, time::Duration};

use crate::contender::{Layout, Name};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A time, in seconds.
    Time,
    /// Memory, in bytes.
    Memory,
    /// Anything by the second.
    Rate,
    /// A plain number.
    Count,
}

/// What circusd shall reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// At most so many times the limit.
    OfLimit(f64),
    /// At most this.
    AtMost(f64),
}

/// A line of the table.
#[derive(Debug)]
pub struct Metric {
    /// What is measured; `{n}` is the number of processes.
    pub what: &'static str,
    /// What is counted.
    pub unit: Unit,
    /// What circusd shall reach, if that was said.
    pub target: Option<Target>,
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// The measured one.
    Value(f64),
    /// There is none: it takes longer than this.
    Over(Duration),
    /// There is none: something failed, and stderr says what.
    Failed,
}

impl Figure {
    /// For comparisons.
    #[must_use]
    pub const fn rank(self) -> f64 {
        match self {
            Self::Value(value) => value,
            Self::Over(_) | Self::Failed => f64::INFINITY,
        }
    }
}

/// All figures.
#[derive(Debug, Default)]
pub struct Sheet {
    figures: BTreeMap<(&'static str, Layout, Name), Vec<Figure>>,
}

impl Sheet {
    /// Adds the figure of one run.
    pub fn put(&mut self, metric: &Metric, layout: Layout, name: Name, figure: Figure) {
        self.figures.entry((metric.what, layout, name)).or_default().push(figure);
    }

    /// The figures of all runs, in their order.
    #[must_use]
    pub fn all(&self, metric: &Metric, layout: Layout, name: Name) -> &[Figure] {
        self.figures.get(&(metric.what, layout, name)).map_or(&[], Vec::as_slice)
    }

    /// The middle one.
    #[must_use]
    pub fn median(&self, metric: &Metric, layout: Layout, name: Name) -> Option<Figure> {
        let mut figures = self.all(metric, layout, name).to_vec();
        figures.sort_by(|left, right| left.rank().total_cmp(&right.rank()));
        let middle = figures.len() / 2;
        match (figures.len() % 2, figures.get(middle)?) {
            (0, Figure::Value(upper)) => {
                let lower = figures.get(middle.checked_sub(1)?)?.rank();
                Some(Figure::Value(f64::midpoint(lower, *upper)))
            }
            (_, figure) => Some(*figure),
        }
    }
}

/// The value below which this share of them lies.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share between 0 and 1 of an index that is small"
    )]
    let index = (last as f64 * share).ceil() as usize;
    sorted.get(index.min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: Metric = Metric { what: "it", unit: Unit::Time, target: None };

    fn median(figures: &[Figure]) -> Option<Figure> {
        let mut sheet = Sheet::default();
        for figure in figures {
            sheet.put(&METRIC, Layout::One, Name::Circusd, *figure);
        }
        sheet.median(&METRIC, Layout::One, Name::Circusd)
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let values = [4.0, 1.0, 3.0, 2.0].map(Figure::Value);
        assert_eq!(median(&values), Some(Figure::Value(2.5)));
        assert_eq!(median(&values[..3]), Some(Figure::Value(3.0)));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_run_without_a_figure_counts_as_the_longest() {
        let over = Figure::Over(Duration::from_secs(9));
        assert_eq!(median(&[over, Figure::Value(1.0), Figure::Value(2.0)]), Some(Figure::Value(2.0)));
        assert_eq!(median(&[over, Figure::Value(1.0)]), Some(over));
        assert_eq!(median(&[over, Figure::Value(1.0), over]), Some(over));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.5), Some(51.0));
        assert_eq!(quantile(&values, 0.99), Some(100.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
