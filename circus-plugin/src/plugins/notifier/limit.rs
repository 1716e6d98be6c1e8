//! How often something may be told.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::machine::Moment;

const HOUR: Duration = Duration::from_secs(3600);
/// Watchers and events that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 10_000;

/// What was told, and when.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    interval: Duration,
    per_hour: usize,
    /// When each was told last, and how often it was held back since.
    told: BTreeMap<(String, &'static str), (Moment, u64)>,
    /// The messages of the last hour.
    recent: VecDeque<Moment>,
}

impl Limit {
    pub fn new(interval: Duration, per_hour: i64) -> Self {
        let per_hour = usize::try_from(per_hour.max(1)).unwrap_or(usize::MAX);
        Self { interval, per_hour, told: BTreeMap::new(), recent: VecDeque::new() }
    }

    /// Whether this may be told now; then how often it was held back before.
    pub fn may_tell(&mut self, now: Moment, watcher: &str, kind: &'static str) -> Option<u64> {
        while self.recent.front().is_some_and(|at| now.saturating_sub(*at) >= HOUR) {
            self.recent.pop_front();
        }
        let key = (watcher.to_owned(), kind);
        let full = self.recent.len() >= self.per_hour;
        if let Some((last, held_back)) = self.told.get_mut(&key) {
            if full || now.saturating_sub(*last) < self.interval {
                *held_back += 1;
                return None;
            }
        } else if full {
            return None;
        }
        if self.told.len() >= REMEMBERED
            && let Some(oldest) = self.told.iter().min_by_key(|(_, (at, _))| *at).map(|(key, _)| key.clone())
        {
            self.told.remove(&oldest);
        }
        self.recent.push_back(now);
        self.told.insert(key, (now, 0)).map_or(Some(0), |(_, held_back)| Some(held_back))
    }
}
