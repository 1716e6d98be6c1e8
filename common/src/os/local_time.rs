//! Wall-clock time as people of this place write it: C's `strftime`, which is also what Python's formats mean.

use std::{
    ffi::CString,
    mem::MaybeUninit,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// No format makes a longer text; what would be longer comes out empty.
const TEXT_LIMIT: usize = 512;

/// Whose clock a time is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Of this place.
    Local,
    /// Of the world.
    Utc,
}

/// What a moment is on a clock and in a week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Seconds since midnight, by the clock.
    pub second_of_day: u32,
    /// 0 is Monday.
    pub weekday: u8,
    /// Whether daylight saving is on.
    pub daylight_saving: bool,
}

/// `format` filled in with the local time `at`. Empty when the format holds a NUL byte, when the text would be
/// longer than any sensible one, or when the moment has no calendar date.
#[must_use]
pub fn strftime(format: &str, at: SystemTime) -> String {
    strftime_in(Zone::Local, format, since_epoch(at).as_secs())
}

/// The same for seconds since the epoch, by either clock.
#[must_use]
pub fn strftime_in(zone: Zone, format: &str, seconds: u64) -> String {
    let Ok(format) = CString::new(format) else { return String::new() };
    let Some(tm) = broken_down(zone, seconds) else { return String::new() };
    let mut text = [0_u8; TEXT_LIMIT];
    // SAFETY: the buffer is writable for the length given, the format ends in a NUL byte, and `tm` was filled
    // in by the system.
    let length =
        unsafe { libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr(), &raw const tm) };
    String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned()
}

/// The clock and the day of a moment in seconds since the epoch; `None` beyond the calendar.
#[must_use]
pub fn civil(zone: Zone, seconds: u64) -> Option<Civil> {
    let tm = broken_down(zone, seconds)?;
    let second = tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec;
    Some(Civil {
        second_of_day: u32::try_from(second).ok()?,
        // C begins the week on Sunday.
        weekday: u8::try_from((tm.tm_wday + 6) % 7).ok()?,
        daylight_saving: tm.tm_isdst > 0,
    })
}

fn broken_down(zone: Zone, seconds: u64) -> Option<libc::tm> {
    let seconds = libc::time_t::try_from(seconds).ok()?;
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    let filled = match zone {
        // SAFETY: both pointers are valid for the call, and the result is not shared with any other thread.
        Zone::Local => unsafe { libc::localtime_r(&raw const seconds, tm.as_mut_ptr()) },
        // SAFETY: as above.
        Zone::Utc => unsafe { libc::gmtime_r(&raw const seconds, tm.as_mut_ptr()) },
    };
    if filled.is_null() {
        return None;
    }
    // SAFETY: the call did not fail, so it has filled in all fields; all zero was valid before that too.
    Some(unsafe { tm.assume_init() })
}

/// Time since the epoch; a moment before it counts as the epoch.
#[must_use]
pub fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_filled_in_as_c_does_it() {
        let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(strftime("%s %%", at), "1700000000 %");
        assert_eq!(strftime("%Y-%m-%d %H:%M:%S", at).len(), 19);
    }

    #[test]
    fn a_moment_has_a_weekday_and_a_clock() {
        // 2026-11-21 07:10:40 UTC, a Saturday.
        let at = 1_795_245_040;
        let civil = civil(Zone::Utc, at).unwrap();
        assert_eq!((civil.weekday, civil.second_of_day), (5, 7 * 3600 + 10 * 60 + 40));
        assert!(!civil.daylight_saving);
        assert_eq!(strftime_in(Zone::Utc, "%Y%m%d%H%M%S", at), "20261121071040");
    }

    #[test]
    fn no_format_is_a_mistake() {
        let at = UNIX_EPOCH;
        for format in ["", "%", "%Q", "a\0b", &"%c".repeat(1000), "%é"] {
            let _ = strftime(format, at);
        }
        assert_eq!(strftime("a\0b", at), "");
    }
}
