//! The last minutes of a figure, one point a second.

use std::collections::VecDeque;

/// How many seconds are kept.
pub const LENGTH: usize = 300;

/// A figure's last points, the latest last. A second without a figure is a gap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    points: VecDeque<Option<f64>>,
}

impl History {
    /// One more second.
    pub fn push(&mut self, point: Option<f64>) {
        if self.points.len() == LENGTH {
            self.points.pop_front();
        }
        self.points.push_back(point.filter(|value| value.is_finite()));
    }

    /// The last `columns` points, the latest last; fewer if there are not so many.
    pub fn last(&self, columns: usize) -> impl Iterator<Item = Option<f64>> {
        self.points.iter().skip(self.points.len().saturating_sub(columns)).copied()
    }

    /// All points in at most so many columns: each column is the highest of its seconds.
    #[must_use]
    pub fn squeezed(&self, columns: usize) -> Vec<Option<f64>> {
        if columns == 0 {
            return Vec::new();
        }
        let each = LENGTH.div_ceil(columns).max(1);
        // Counted from the end of the minute, not of the ring, or the picture would flicker at each step.
        let first = self.points.len() % each;
        let points: Vec<_> = self.points.iter().copied().collect();
        let (odd, rest) = points.split_at(first);
        let highest = |chunk: &[Option<f64>]| chunk.iter().flatten().copied().reduce(f64::max);
        let mut all: Vec<_> = std::iter::once(odd).filter(|odd| !odd.is_empty()).map(highest).collect();
        all.extend(rest.chunks(each).map(highest));
        let surplus = all.len().saturating_sub(columns);
        all.split_off(surplus)
    }

    /// The highest point there is.
    #[must_use]
    pub fn peak(&self) -> Option<f64> {
        self.points.iter().flatten().copied().reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_last_points_only() {
        let mut history = History::default();
        (0..1000).for_each(|point| history.push(Some(f64::from(point))));
        assert_eq!(history.points.len(), LENGTH);
        assert_eq!(history.last(2).collect::<Vec<_>>(), [Some(998.0), Some(999.0)]);
        assert_eq!(history.peak(), Some(999.0));
    }

    #[test]
    fn squeezing_keeps_the_peaks_and_the_width() {
        let mut history = History::default();
        (0..LENGTH).for_each(|at| history.push(Some(if at == 7 { 50.0 } else { 1.0 })));
        for columns in [0, 1, 7, 60, 299, 300, 1000] {
            let squeezed = history.squeezed(columns);
            assert!(squeezed.len() <= columns, "{columns}");
            assert_eq!(squeezed.contains(&Some(50.0)), columns > 0, "{columns}");
        }
    }

    #[test]
    fn what_is_no_number_is_a_gap() {
        let mut history = History::default();
        history.push(Some(f64::NAN));
        history.push(None);
        assert_eq!(history.last(9).collect::<Vec<_>>(), [None, None]);
        assert_eq!(history.peak(), None);
    }
}
