//! What a line looks like where it is written.

use std::io::Write;

use circus_common::config::stream::{Color, Format};

use super::{super::batch::Line, stamp::Stamp};

/// A way to write lines; [`None`] in its place is the bytes as they came.
#[derive(Debug)]
pub(super) enum Shape {
    /// `TIME [PID] | line`.
    Timed(Stamp),
    /// The same in colour, empty lines left out.
    Fancy {
        /// The digit of the escape sequence.
        code: u8,
        /// The time.
        stamp: Stamp,
    },
    /// One JSON object a line.
    Json(Stamp),
}

impl Shape {
    /// The shape of a configured format.
    pub(super) fn of(format: &Format) -> Option<Self> {
        match format {
            Format::Raw => None,
            Format::Timed(format) => Some(Self::Timed(Stamp::new(format))),
            Format::Json => Some(Self::Json(Stamp::rfc3339())),
        }
    }

    /// Coloured lines; without a colour one is chosen, once.
    pub(super) fn fancy(color: Option<Color>, time_format: &str) -> Self {
        let code = color.map_or_else(|| fastrand::u8(1..=7), Color::code);
        Self::Fancy { code, stamp: Stamp::new(time_format) }
    }

    /// Appends a line. Writing to memory cannot fail.
    pub(super) fn write(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Timed(stamp) => {
                prefixed(stamp, line, out);
                out.push(b'\n');
            }
            Self::Fancy { .. } if line.text.is_empty() => {}
            Self::Fancy { code, stamp } => {
                let _memory = write!(out, "\x1b[0;3{code};40m");
                prefixed(stamp, line, out);
                out.extend_from_slice(b"\x1b[0m\n");
            }
            Self::Json(stamp) => json(stamp, line, out),
        }
    }
}

fn prefixed(stamp: &mut Stamp, line: &Line<'_>, out: &mut Vec<u8>) {
    stamp.write(line.segment.at, out);
    let _memory = write!(out, " [{}] | ", line.segment.origin.pid);
    out.extend_from_slice(line.text);
}

fn json(stamp: &mut Stamp, line: &Line<'_>, out: &mut Vec<u8>) {
    let origin = &line.segment.origin;
    out.extend_from_slice(b"{\"time\":\"");
    stamp.write(line.segment.at, out);
    out.extend_from_slice(b"\",\"watcher\":");
    quoted(&origin.watcher, out);
    let (wid, pid, stream) = (origin.wid, origin.pid, origin.channel.name());
    let _memory = write!(out, ",\"wid\":{wid},\"pid\":{pid},\"stream\":\"{stream}\",\"message\":");
    quoted(&String::from_utf8_lossy(line.text), out);
    out.extend_from_slice(b"}\n");
}

/// Appends a JSON string.
fn quoted(text: &str, out: &mut Vec<u8>) {
    // A text always has a JSON form, and memory always takes it.
    let _memory = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::stream::{
        batch::{Batch, LINE_LIMIT, Origin},
        order::Channel,
    };

    fn shaped(mut shape: Shape, chunks: &[&[u8]]) -> String {
        let origin =
            Arc::new(Origin { watcher: "w\"x".to_owned(), wid: 3, pid: 5076, channel: Channel::Stderr });
        let mut out = Vec::new();
        for chunk in chunks {
            let mut batch = Batch::default();
            batch.push(chunk, &origin, Duration::from_millis(1_795_245_040_250));
            while let Some(line) = batch.line(LINE_LIMIT) {
                shape.write(&line, &mut out);
                let length = line.length;
                batch.take(length);
            }
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_time_goes_before_every_line_as_recorded() {
        let chunks: [&[u8]; 3] = [b"line one\na\nb\n\nc", b"partial", b" rest\nnext\n"];
        let text = shaped(Shape::of(&Format::Timed("T".to_owned())).unwrap(), &chunks);
        let wanted = ["line one", "a", "b", "", "c", "partial", " rest", "next"];
        let wanted: String = wanted.iter().map(|line| format!("T [5076] | {line}\n")).collect();
        assert_eq!(text, wanted);
    }

    #[test]
    fn coloured_lines_are_as_recorded_and_empty_ones_left_out() {
        let shape = Shape::fancy(Some(Color::Green), "'T'");
        let text = shaped(shape, &[b"line one\n\n", b"partial"]);
        assert_eq!(
            text,
            "\x1b[0;32;40m'T' [5076] | line one\x1b[0m\n\x1b[0;32;40m'T' [5076] | partial\x1b[0m\n"
        );
    }

    #[test]
    fn without_a_colour_one_is_chosen_once() {
        let text = shaped(Shape::fancy(None, ""), &[b"a\nb\n"]);
        let (one, two) = text.split_once('\n').unwrap();
        assert_eq!(one.replace('a', "b"), two.trim_end());
        assert!(one.starts_with("\x1b[0;3") && ('1'..='7').contains(&one.chars().nth(5).unwrap()), "{one:?}");
    }

    #[test]
    fn a_json_line_says_all_there_is_and_bytes_that_are_no_text_are_replaced() {
        let text = shaped(Shape::of(&Format::Json).unwrap(), &[b"a \"b\"\t\xe9\xffbad\n"]);
        assert_eq!(
            text,
            "{\"time\":\"2026-11-21T07:10:40.250000Z\",\"watcher\":\"w\\\"x\",\"wid\":3,\"pid\":5076,\
             \"stream\":\"stderr\",\"message\":\"a \\\"b\\\"\\t\u{fffd}\u{fffd}bad\"}\n"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
