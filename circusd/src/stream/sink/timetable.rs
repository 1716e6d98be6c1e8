//! When a file is put away by the clock, and what it is called then.

use circus_common::config::stream::When;

use crate::os::local_time::{Zone, civil, strftime_in};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The moments at which one file is put away, in seconds since the epoch.
#[derive(Debug)]
pub(super) struct Timetable {
    when: When,
    /// Seconds from one moment to the next.
    interval: u64,
    zone: Zone,
    /// The next, once the file was seen.
    due: Option<u64>,
}

impl Timetable {
    pub(super) fn new(when: When, interval: u32, utc: bool) -> Self {
        let zone = if utc { Zone::Utc } else { Zone::Local };
        Self { when, interval: when.seconds() * u64::from(interval.max(1)), zone, due: None }
    }

    /// Counts from the last change of a file that is there. Only the first call matters.
    pub(super) fn begin(&mut self, modified: u64) {
        if self.due.is_none() {
            self.due = Some(self.after(modified));
        }
    }

    /// The next moment; none before the file was seen.
    pub(super) fn due(&self) -> u64 {
        self.due.unwrap_or(u64::MAX)
    }

    /// Passes to the first moment after `now`.
    pub(super) fn advance(&mut self, now: u64) {
        self.due = Some(self.after(now));
    }

    /// Never earlier than the next second.
    fn after(&self, at: u64) -> u64 {
        let next = match self.when {
            When::Second | When::Minute | When::Hour | When::Day => at.saturating_add(self.interval),
            When::Midnight => self.midnight(at, 0),
            When::Weekday(day) => {
                let today = civil(self.zone, at).map_or(0, |civil| civil.weekday);
                self.midnight(at, u64::from((7 + day - today) % 7))
            }
        };
        next.max(at.saturating_add(1))
    }

    /// The end of the day that is so many days after the one of `at`.
    fn midnight(&self, at: u64, days: u64) -> u64 {
        let Some(now) = civil(self.zone, at) else { return at.saturating_add(DAY) };
        let midnight = at.saturating_add(DAY - u64::from(now.second_of_day).min(DAY) + days * DAY);
        // A day on which the clock is changed has an hour less or more.
        match civil(self.zone, midnight) {
            Some(then) if then.daylight_saving && !now.daylight_saving => midnight - HOUR,
            Some(then) if !then.daylight_saving && now.daylight_saving => midnight + HOUR,
            Some(_) | None => midnight,
        }
    }

    /// What is appended to the name of a file that is put away `now`: the time at which it was begun.
    pub(super) fn suffix(&self, now: u64) -> String {
        let begun = self.due().saturating_sub(self.interval);
        let saving = |at| self.zone == Zone::Local && civil(self.zone, at).is_some_and(|c| c.daylight_saving);
        // By the clock as it goes now, so that names follow each other evenly over a change of the clock.
        let begun = match (saving(now), saving(begun)) {
            (true, false) => begun.saturating_add(HOUR),
            (false, true) => begun.saturating_sub(HOUR),
            (true, true) | (false, false) => begun,
        };
        let format = match self.when {
            When::Second => "%Y%m%d%H%M%S",
            When::Minute => "%Y%m%d%H%M",
            When::Hour => "%Y%m%d%H",
            When::Day | When::Midnight | When::Weekday(_) => "%Y%m%d",
        };
        strftime_in(self.zone, format, begun)
    }

    /// Whether a name's end is one that this timetable gives, numbered and compressed ones included.
    pub(super) fn is_suffix(&self, text: &str) -> bool {
        let digits = match self.when {
            When::Second => 14,
            When::Minute => 12,
            When::Hour => 10,
            When::Day | When::Midnight | When::Weekday(_) => 8,
        };
        let text = text.strip_suffix(".gz").unwrap_or(text);
        let (date, number) = text.split_once('-').map_or((text, "0"), |(date, number)| (date, number));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        date.len() == digits && all_digits(date) && all_digits(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 07:10:40 UTC, a Saturday.
    const AT: u64 = 1_795_245_040;
    const MIDNIGHT: u64 = AT - (7 * HOUR + 10 * 60 + 40) + DAY;

    fn begun(when: When, interval: u32) -> Timetable {
        let mut table = Timetable::new(when, interval, true);
        table.begin(AT);
        table
    }

    #[test]
    fn intervals_count_from_the_last_change_and_name_their_beginning() {
        for (when, interval, seconds, suffix) in [
            (When::Second, 1, 1, "20261121071040"),
            (When::Minute, 5, 300, "202611210710"),
            (When::Hour, 1, HOUR, "2026112107"),
            (When::Day, 2, 2 * DAY, "20261121"),
        ] {
            let table = begun(when, interval);
            assert_eq!(table.due(), AT + seconds, "{when:?}");
            assert_eq!(table.suffix(table.due()), suffix, "{when:?}");
            assert!(table.is_suffix(suffix), "{when:?}");
        }
    }

    #[test]
    fn midnights_and_weekdays_are_those_of_the_calendar() {
        assert_eq!(begun(When::Midnight, 1).due(), MIDNIGHT);
        // Saturday is 5: it ends tonight, Sunday tomorrow, Friday in six days.
        assert_eq!(begun(When::Weekday(5), 1).due(), MIDNIGHT);
        assert_eq!(begun(When::Weekday(6), 1).due(), MIDNIGHT + DAY);
        assert_eq!(begun(When::Weekday(4), 1).due(), MIDNIGHT + 6 * DAY);
        assert_eq!(begun(When::Midnight, 1).suffix(MIDNIGHT), "20261121");
    }

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let mut table = begun(When::Minute, 1);
        table.advance(AT + 3000);
        assert_eq!(table.due(), AT + 3060);
        table.begin(0);
        assert_eq!(table.due(), AT + 3060);
    }

    #[test]
    fn only_own_names_are_recognised() {
        let table = begun(When::Hour, 1);
        for (text, own) in [
            ("2026112107", true),
            ("2026112107.gz", true),
            ("2026112107-2", true),
            ("2026112107-2.gz", true),
            ("20261121", false),
            ("2026112107-", false),
            ("2026112107x", false),
            ("1", false),
            ("", false),
        ] {
            assert_eq!(table.is_suffix(text), own, "{text}");
        }
    }
}
