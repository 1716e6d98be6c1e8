//! The time in front of a line: computed once a second, copied for every line of it.

use std::time::Duration;

use crate::os::local_time::{Zone, strftime_in};

/// What Python's `strftime` knows and C's does not: microseconds.
const MICROSECONDS: &str = "%f";

/// A time format and what it was for the last second asked for.
#[derive(Debug)]
pub(super) struct Stamp {
    /// The format, cut where microseconds go in.
    parts: Vec<String>,
    second: Option<u64>,
    /// The parts filled in for that second.
    filled: Vec<String>,
    zone: Zone,
}

impl Stamp {
    /// Local time.
    pub(super) fn new(format: &str) -> Self {
        Self { parts: cut(format), second: None, filled: Vec::new(), zone: Zone::Local }
    }

    /// World time as RFC 3339 has it, which sorts as text and needs no explanation.
    pub(super) fn rfc3339() -> Self {
        Self { zone: Zone::Utc, ..Self::new("%Y-%m-%dT%H:%M:%S.%fZ") }
    }

    /// Appends the time `at`, since the epoch.
    pub(super) fn write(&mut self, at: Duration, out: &mut Vec<u8>) {
        if self.second != Some(at.as_secs()) {
            let fill = |part: &String| strftime_in(self.zone, part, at.as_secs());
            self.filled = self.parts.iter().map(fill).collect();
            self.second = Some(at.as_secs());
        }
        for (number, part) in self.filled.iter().enumerate() {
            if number > 0 {
                six_digits(at.subsec_micros(), out);
            }
            out.extend_from_slice(part.as_bytes());
        }
    }
}

fn six_digits(mut number: u32, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Cuts a format at each `%f` that is not part of `%%f`.
fn cut(format: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let (before, directive) = rest.split_at(at);
        let length = directive.chars().take(2).map(char::len_utf8).sum();
        let (directive, after) = directive.split_at(length);
        rest = after;
        if let Some(part) = parts.last_mut() {
            part.push_str(before);
            if directive != MICROSECONDS {
                part.push_str(directive);
            }
        }
        if directive == MICROSECONDS {
            parts.push(String::new());
        }
    }
    if let Some(part) = parts.last_mut() {
        part.push_str(rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stamp: &mut Stamp, at: Duration) -> String {
        let mut out = Vec::new();
        stamp.write(at, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn microseconds_are_filled_in_for_each_line() {
        let mut stamp = Stamp::new("%s.%f %%f%f");
        assert_eq!(text(&mut stamp, Duration::new(5, 1_234_567)), "5.001234 %f001234");
        assert_eq!(text(&mut stamp, Duration::new(5, 999_999_999)), "5.999999 %f999999");
        assert_eq!(text(&mut stamp, Duration::new(6, 0)), "6.000000 %f000000");
    }

    #[test]
    fn world_time_is_rfc_3339() {
        let at = Duration::new(1_795_245_040, 120_000_000);
        assert_eq!(text(&mut Stamp::rfc3339(), at), "2026-11-21T07:10:40.120000Z");
    }

    #[test]
    fn no_format_is_a_mistake() {
        for format in ["", "%", "é%é%", "%f", "100%", "%Q%f"] {
            let _ = text(&mut Stamp::new(format), Duration::from_secs(1));
        }
        assert_eq!(text(&mut Stamp::new("'%f'"), Duration::ZERO), "'000000'");
    }
}
