//! Figures as text: short, aligned, and never wider than their column.

use ratatui::text::Span;

use super::look::Look;
use crate::state::text::width;

/// What stands for a figure that the daemon could not tell.
pub const UNKNOWN: &str = "N/A";

/// A percentage: `51.3`, `1234`.
#[must_use]
pub fn percent(value: Option<f64>) -> String {
    match value {
        None => UNKNOWN.to_owned(),
        Some(value) if value < 999.95 => format!("{value:.1}"),
        Some(value) if value < 999_999.5 => format!("{value:.0}"),
        Some(_) => "999999".to_owned(),
    }
}

/// A size: `512B`, `8.5M`, `123M`.
#[must_use]
pub fn size(bytes: Option<u64>) -> String {
    let Some(bytes) = bytes else { return UNKNOWN.to_owned() };
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = bytes as f64 / 1024.0;
    let mut units = ['K', 'M', 'G', 'T', 'P', 'E'].into_iter();
    let mut unit = units.next().unwrap_or('K');
    while value >= 999.5
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1024.0, next);
    }
    if value < 99.95 { format!("{value:.1}{unit}") } else { format!("{value:.0}{unit}") }
}

/// A span of time in its two largest units: `8s`, `4m12s`, `3d04h`.
#[must_use]
pub fn age(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return UNKNOWN.to_owned() };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, ..) => format!("{hours}h{:02}m", minutes % 60),
        (1..1_000, ..) => format!("{days}d{:02}h", hours % 24),
        (1_000..100_000, ..) => format!("{days}d"),
        _ => ">99999d".to_owned(),
    }
}

/// A short span of time with tenths: `0.8s`, `12s`.
#[must_use]
pub fn span(seconds: f64) -> String {
    if seconds < 9.95 { format!("{seconds:.1}s") } else { age(Some(seconds)) }
}

/// A count and its noun: `1 process`, `2 processes`.
#[must_use]
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A text in so many cells at most, with a mark where it was cut.
#[must_use]
pub fn fit(text: &str, cells: usize, look: Look) -> String {
    let text: String = text.chars().map(|letter| look.letter(letter)).collect();
    if width(&text) <= cells {
        return text;
    }
    let mut kept = String::new();
    let mut used = 1;
    for letter in text.chars() {
        used += width(letter.encode_utf8(&mut [0; 4]));
        if used > cells {
            break;
        }
        kept.push(letter);
    }
    if cells > 0 {
        kept.push(look.ellipsis());
    }
    kept
}

/// A text at the right of so many cells.
#[must_use]
pub fn right(text: &str, cells: usize, look: Look) -> String {
    let text = fit(text, cells, look);
    format!("{}{text}", " ".repeat(cells.saturating_sub(width(&text))))
}

/// A text at the left of so many cells.
#[must_use]
pub fn left(text: &str, cells: usize, look: Look) -> String {
    let text = fit(text, cells, look);
    format!("{text}{}", " ".repeat(cells.saturating_sub(width(&text))))
}

/// The last points as bars, `top` being the full height, at the right of so many cells. A gap is a blank.
#[must_use]
pub fn picture(points: &[Option<f64>], top: f64, cells: usize, look: Look) -> String {
    let bars = look.bars();
    let bar = |point: &Option<f64>| match point {
        None => ' ',
        Some(value) => {
            let share = (value / top.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
            let step = (share * 7.0).round() as usize;
            bars.get(step).copied().unwrap_or(' ')
        }
    };
    let drawn: String = points.iter().skip(points.len().saturating_sub(cells)).map(bar).collect();
    format!("{}{drawn}", " ".repeat(cells.saturating_sub(points.len())))
}

/// A span of text with that style.
#[must_use]
pub fn span_of(text: impl Into<String>, style: ratatui::style::Style) -> Span<'static> {
    Span::styled(text.into(), style)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Look = Look { colour: false, unicode: true };

    #[test]
    fn figures_are_short() {
        for (value, text) in [(0.04, "0.0"), (51.3, "51.3"), (999.96, "1000"), (1e300, "999999")] {
            assert_eq!(percent(Some(value)), text);
        }
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (1_688_207, "1.6M"),
            (104_857_600, "100M"),
            (1_047_000_000, "998M"),
            (1_048_500_000, "1.0G"),
            (u64::MAX, "16.0E"),
        ] {
            assert_eq!(size(Some(bytes)), text, "{bytes}");
        }
        for (seconds, text) in [
            (0.9, "0s"),
            (59.9, "59s"),
            (252.0, "4m12s"),
            (3_600.0, "1h00m"),
            (274_000.0, "3d04h"),
            (864_000_000.0, "10000d"),
            (1e300, ">99999d"),
        ] {
            assert_eq!(age(Some(seconds)), text);
        }
        assert_eq!((percent(None), size(None), age(None)), ("N/A".into(), "N/A".into(), "N/A".into()));
    }

    #[test]
    fn texts_fill_their_cells_exactly() {
        for text in ["", "web", "日本語のワーカー", "a very long name indeed", "\u{fffd}\u{fffd}"] {
            for cells in 0..30 {
                for look in [LOOK, Look { unicode: false, ..LOOK }] {
                    assert_eq!(width(&left(text, cells, look)), cells, "{text} in {cells}");
                    assert_eq!(width(&right(text, cells, look)), cells, "{text} in {cells}");
                }
            }
        }
        assert_eq!(left("gunicorn", 5, LOOK), "guni…");
        assert_eq!(right("日本", 4, Look { unicode: false, ..LOOK }), "  ??");
    }

    #[test]
    fn a_picture_has_eight_heights_and_gaps() {
        let points = [None, Some(0.0), Some(50.0), Some(100.0), Some(900.0), Some(-1.0)];
        assert_eq!(picture(&points, 100.0, 8, LOOK), "   ▁▅██▁");
        assert_eq!(picture(&points, 0.0, 2, LOOK), "█▁");
        assert_eq!(picture(&points, 100.0, 0, LOOK), "");
    }
}
