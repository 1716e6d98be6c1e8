//! The columns of the table, and the order they can give it.

use std::cmp::Ordering;

use super::watcher::{Process, Sum, Watcher};

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The watcher's name or the process's command.
    Name,
    /// The pid; how many processes of how many, for a watcher.
    Pid,
    /// The slot.
    Wid,
    /// Percent of one processor.
    Cpu,
    /// Percent of the machine's memory.
    Mem,
    /// Resident memory.
    Rss,
    /// Time since the start.
    Age,
    /// How often processes were replaced unasked.
    Restarts,
    /// The state.
    State,
    /// CPU in the last minutes: no order.
    History,
}

/// The order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By which column.
    pub column: Column,
    /// Against its usual direction.
    pub reversed: bool,
}

/// Every column, from left to right.
pub const COLUMNS: [Column; 10] = [
    Column::Name,
    Column::Pid,
    Column::Wid,
    Column::Cpu,
    Column::Mem,
    Column::Rss,
    Column::Age,
    Column::Restarts,
    Column::State,
    Column::History,
];

impl Default for Sort {
    /// By name: the calmest order, and that of Circus.
    fn default() -> Self {
        Self { column: Column::Name, reversed: false }
    }
}

impl Column {
    /// Its title.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Name => "WATCHER",
            Self::Pid => "PID",
            Self::Wid => "WID",
            Self::Cpu => "CPU%",
            Self::Mem => "MEM%",
            Self::Rss => "RSS",
            Self::Age => "AGE",
            Self::Restarts => "RST",
            Self::State => "STATE",
            Self::History => "HISTORY",
        }
    }

    /// Whether the highest comes first: for loads, the interesting end.
    #[must_use]
    pub const fn falls(self) -> bool {
        matches!(self, Self::Cpu | Self::Mem | Self::Rss | Self::Age | Self::Restarts)
    }

    /// The column so many places away that gives an order.
    #[must_use]
    pub fn beside(self, right: bool) -> Self {
        let sortable = &COLUMNS[..COLUMNS.len() - 1];
        let at = sortable.iter().position(|column| *column == self).unwrap_or_default();
        let step = if right { 1 } else { sortable.len() - 1 };
        sortable[(at + step) % sortable.len()]
    }
}

impl Sort {
    /// Another column, or the same one the other way round.
    pub fn choose(&mut self, column: Column) {
        if column == Column::History {
            return;
        }
        *self = Self { column, reversed: self.column == column && !self.reversed };
    }

    /// The order of two processes. Those without a figure come last, whatever the direction.
    #[must_use]
    pub fn processes(self, one: &Process, other: &Process) -> Ordering {
        let (a, b) = (&one.figures, &other.figures);
        let by_column = match self.column {
            Column::Pid | Column::State | Column::History => self.directed(one.pid.cmp(&other.pid)),
            Column::Name | Column::Wid => self.known(a.wid, b.wid, u64::cmp),
            Column::Cpu => self.known(a.cpu, b.cpu, f64::total_cmp),
            Column::Mem => self.known(a.mem, b.mem, f64::total_cmp),
            Column::Rss => self.known(a.rss, b.rss, u64::cmp),
            Column::Age => self.known(a.age, b.age, f64::total_cmp),
            Column::Restarts => self.known(a.restarts, b.restarts, u64::cmp),
        };
        by_column.then(one.pid.cmp(&other.pid))
    }

    /// The order of two watchers, by the sum of their processes. A tie is broken by name.
    #[must_use]
    pub fn watchers(self, one: (&Watcher, &Sum), other: (&Watcher, &Sum)) -> Ordering {
        let ((one, a), (other, b)) = (one, other);
        let by_column = match self.column {
            Column::Name | Column::Wid | Column::History => self.directed(one.name.cmp(&other.name)),
            Column::Pid => self.directed(a.processes.cmp(&b.processes)),
            Column::Cpu => self.known(a.cpu, b.cpu, f64::total_cmp),
            Column::Mem => self.known(a.mem, b.mem, f64::total_cmp),
            Column::Rss => self.known(a.rss, b.rss, u64::cmp),
            Column::Age => self.known(a.age, b.age, f64::total_cmp),
            Column::Restarts => self.known(Some(one.restarts()), Some(other.restarts()), u64::cmp),
            Column::State => self.known(one.phase, other.phase, Ord::cmp),
        };
        by_column.then_with(|| one.name.cmp(&other.name))
    }

    fn directed(self, order: Ordering) -> Ordering {
        if self.column.falls() == self.reversed { order } else { order.reverse() }
    }

    fn known<T>(self, one: Option<T>, other: Option<T>, compare: impl Fn(&T, &T) -> Ordering) -> Ordering {
        match (&one, &other) {
            (Some(one), Some(other)) => self.directed(compare(one, other)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{At, sample::Figures},
        *,
    };

    fn order(sort: Sort, cpus: &[Option<f64>]) -> Vec<Option<f64>> {
        let mut all: Vec<Process> = (1..)
            .zip(cpus)
            .map(|(pid, cpu)| {
                let figures = Figures { cpu: *cpu, ..Figures::default() };
                Process { figures, ..Process::new(pid, At::ZERO) }
            })
            .collect();
        all.sort_by(|one, other| sort.processes(one, other));
        all.iter().map(|process| process.figures.cpu).collect()
    }

    #[test]
    fn processor_shares_are_compared_as_numbers_and_unknown_ones_come_last() {
        let cpus = [Some(9.0), None, Some(78.6), Some(100.0)];
        let mut sort = Sort { column: Column::Cpu, reversed: false };
        assert_eq!(order(sort, &cpus), [Some(100.0), Some(78.6), Some(9.0), None]);
        sort.choose(Column::Cpu);
        assert_eq!(order(sort, &cpus), [Some(9.0), Some(78.6), Some(100.0), None]);
    }

    #[test]
    fn choosing_another_column_takes_its_usual_direction() {
        let mut sort = Sort { column: Column::Cpu, reversed: true };
        sort.choose(Column::Rss);
        assert_eq!(sort, Sort { column: Column::Rss, reversed: false });
        sort.choose(Column::History);
        assert_eq!(sort.column, Column::Rss);
    }

    #[test]
    fn every_sortable_column_is_reached_from_every_other() {
        let mut column = Column::Name;
        let mut seen = Vec::new();
        for _ in 0..9 {
            seen.push(column);
            assert_eq!(column.beside(true).beside(false), column);
            column = column.beside(true);
        }
        assert_eq!(column, Column::Name);
        assert_eq!(seen, COLUMNS[..9]);
    }
}
