//! What the program whose output is captured writes: lines of 100 bytes, each with its number.

/// Bytes of a line, its end included.
pub const LINE: usize = 100;
/// How many lines there are: 200 MB.
pub const LINES: u32 = 2_000_000;

/// One line.
#[must_use]
pub fn line(number: u32) -> [u8; LINE] {
    let mut line = [b'.'; LINE];
    let mut rest = number;
    for digit in line.iter_mut().take(10).rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    if let Some(end) = line.last_mut() {
        *end = b'\n';
    }
    line
}

/// The number of a line, if it is one of these and whole.
#[must_use]
pub fn number(text: &[u8]) -> Option<u32> {
    let number = std::str::from_utf8(text.get(..10)?).ok()?.parse().ok()?;
    (text == line(number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_number_and_a_torn_one_does_not() {
        assert_eq!(number(&line(1_234_567)), Some(1_234_567));
        assert_eq!(number(&line(7)[1..]), None);
        assert_eq!(number(&[line(7), line(8)].concat()), None);
    }
}
