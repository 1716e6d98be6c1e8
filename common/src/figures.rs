//! Figures of processes as Circus prints them.

/// `512B`, `1.58M`: two decimals from one kibibyte up.
#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
#[must_use]
pub fn size_text(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = ["K", "M", "G", "T", "P", "E"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1024.0, next);
    }
    format!("{value:.2}{unit}")
}

/// `M:SS.hh`, the minutes modulo 60 as Circus has it.
#[must_use]
pub fn time_text(ticks: u64, per_second: u64) -> String {
    let hundredths = ticks.saturating_mul(100) / per_second.max(1);
    let seconds = hundredths / 100;
    format!("{}:{:02}.{:02}", seconds / 60 % 60, seconds % 60, hundredths % 100)
}

/// Rounded to a fraction of one, such as 10 for one decimal; what is not finite is zero, since JSON has no word for it.
#[must_use]
pub fn rounded(value: f64, fraction: f64) -> f64 {
    let value = (value * fraction).round() / fraction;
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_decimals_from_one_kibibyte_up() {
        for (bytes, text) in [
            (0, "0B"),
            (512, "512B"),
            (1024, "1.00K"),
            (1_656_750, "1.58M"),
            (1 << 40, "1.00T"),
            (u64::MAX, "16.00E"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }

    #[test]
    fn processor_time_has_two_digit_hundredths_and_drops_hours() {
        for (ticks, text) in [(0, "0:00.00"), (5, "0:00.05"), (6_103, "1:01.03"), (360_100, "0:01.00")] {
            assert_eq!(time_text(ticks, 100), text);
        }
    }
}
