//! One event as text: the message, then its fields as `key=value`.
//!
//! Invariant: a record is one line of bounded length that moves no cursor. Names and texts of strangers end up in
//! the log; with an escape or a line end in them they could forge lines or play with the reader's terminal.

use std::{
    fmt::{self, Write},
    time::SystemTime,
};

use tracing::{
    Event,
    field::{Field, Visit},
};

use super::level::Level;
use crate::visible::moves_the_cursor;

/// Text beyond this many bytes is cut off. It also keeps a line within one datagram.
pub(super) const TEXT_LIMIT: usize = 8 * 1024;
const CUT: &str = "...";

/// One line to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// When it was said.
    pub at: SystemTime,
    /// How grave it is.
    pub level: Level,
    /// What was said.
    pub text: String,
}

impl Record {
    /// The event as a record said `at` that moment.
    pub(super) fn new(event: &Event<'_>, at: SystemTime) -> Self {
        let mut text = Text::default();
        event.record(&mut text);
        Self { at, level: Level::of(event.metadata()), text: text.finish() }
    }

    /// A record of the log's own.
    pub(super) fn own(level: Level, at: SystemTime, message: impl fmt::Display) -> Self {
        let mut text = Text::default();
        let _ = write!(Escape(&mut text.message), "{message}");
        Self { at, level, text: text.finish() }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn field(&mut self, name: &str, value: fmt::Arguments<'_>) {
        // Writing to these strings fails only beyond the limit, where the rest is not wanted.
        if name == "message" {
            let _ = write!(Escape(&mut self.message), "{value}");
            return;
        }
        let mut text = String::new();
        let _ = write!(Escape(&mut text), "{value}");
        let quote = if text.is_empty() || text.contains([' ', '"', '=']) { "\"" } else { "" };
        let text = if quote.is_empty() { text } else { text.replace('"', "\\\"") };
        if self.fields.len() <= TEXT_LIMIT {
            let _ = write!(self.fields, " {name}={quote}{text}{quote}");
        }
    }

    fn finish(mut self) -> String {
        // Without a message the blank before the first field separates nothing; in one it is an indentation.
        let fields = if self.message.is_empty() { self.fields.trim_start() } else { &self.fields };
        self.message.push_str(fields);
        if self.message.len() > TEXT_LIMIT {
            self.message.truncate(self.message.floor_char_boundary(TEXT_LIMIT - CUT.len()));
            self.message.push_str(CUT);
        }
        self.message
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.field(field.name(), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field.name(), format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field.name(), format_args!("{value}"));
    }
}

/// Writes what can be seen as it is, the rest as Rust writes it in a string; stops once over the limit.
struct Escape<'a>(&'a mut String);

impl Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() > TEXT_LIMIT {
                return Err(fmt::Error);
            }
            if moves_the_cursor(c) {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::Registry};

    use super::*;

    struct Keep(Arc<Mutex<Vec<Record>>>);

    impl Layer<Registry> for Keep {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, Registry>) {
            self.0.lock().unwrap().push(Record::new(event, SystemTime::UNIX_EPOCH));
        }
    }

    fn records(say: impl FnOnce()) -> Vec<(Level, String)> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        tracing::subscriber::with_default(Registry::default().with(Keep(Arc::clone(&kept))), say);
        let kept = kept.lock().unwrap();
        kept.iter().map(|record| (record.level, record.text.clone())).collect()
    }

    fn one(say: impl FnOnce()) -> String {
        records(say).pop().unwrap().1
    }

    #[test]
    fn fields_follow_the_message() {
        let text = one(|| tracing::info!(watcher = %"web", pid = 7, "process started"));
        assert_eq!(text, "process started watcher=web pid=7");
    }

    #[test]
    fn a_value_with_blanks_is_quoted() {
        let text = one(|| tracing::warn!(error = %"no \"such\" file", empty = "", "cannot spawn"));
        assert_eq!(text, r#"cannot spawn error="no \"such\" file" empty="""#);
    }

    #[test]
    fn no_text_makes_a_second_line_or_moves_the_cursor() {
        let text = one(|| {
            tracing::info!(name = "a\nb\x1b[2J", "unknown command {}", "x\r\n2026 circus[1] [INFO] no")
        });
        assert_eq!(text, r#"unknown command x\r\n2026 circus[1] [INFO] no name=a\nb\u{1b}[2J"#);
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = one(|| tracing::info!(more = %"y".repeat(100_000), "{}", "é".repeat(100_000)));
        assert!(text.len() <= TEXT_LIMIT && text.ends_with("é..."), "{}", text.len());
    }

    #[test]
    fn levels_are_pythons() {
        let levels: Vec<_> = records(|| {
            tracing::trace!("t");
            tracing::debug!("d");
            tracing::warn!("w");
            tracing::error!("e");
            tracing::error!(target: super::super::CRITICAL, "c");
        })
        .into_iter()
        .map(|(level, _)| level.name())
        .collect();
        assert_eq!(levels, ["DEBUG", "DEBUG", "WARNING", "ERROR", "CRITICAL"]);
    }
}
