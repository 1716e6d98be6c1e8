//! Lengths of time as a person reads them.

/// Two units at most: `0.2 s`, `42 s`, `5 min 3 s`, `2 h 10 min`, `3 d 4 h`.
pub fn age(seconds: f64) -> String {
    // A clock set back, or a value that is none, counts as no time at all.
    let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite and not negative")]
    let whole = seconds.round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match () {
        () if whole < 60 => format!("{whole} s"),
        () if minutes < 60 => format!("{minutes} min {} s", whole % 60),
        () if hours < 24 => format!("{hours} h {} min", minutes % 60),
        () => format!("{days} d {} h", hours % 24),
    }
}

/// One unit, rounded down: `0 s`, `42 s`, `5 min`, `2 h`, `3 d`.
pub fn short_age(seconds: f64) -> String {
    // What is negative or no number becomes 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a length of time, whole units"
    )]
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min", whole / 60),
        3600..86_400 => format!("{} h", whole / 3600),
        86_400.. => format!("{} d", whole / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        let table = [
            (0.0, "0.0 s"),
            (0.23, "0.2 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (303.0, "5 min 3 s"),
            (7_800.0, "2 h 10 min"),
            (273_600.0, "3 d 4 h"),
            (-5.0, "0.0 s"),
            (f64::NAN, "0.0 s"),
        ];
        for (seconds, text) in table {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn a_short_one_has_one_unit() {
        let table = [
            (0.9, "0 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (7_199.0, "1 h"),
            (273_600.0, "3 d"),
            (-5.0, "0 s"),
            (f64::NAN, "0 s"),
        ];
        for (seconds, text) in table {
            assert_eq!(short_age(seconds), text);
        }
    }
}
