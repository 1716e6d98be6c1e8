//! `logs`: one line of a process's output.

use anstyle::{AnsiColor, Style};
use circus_common::config::python_text::str as str_of;
use serde_json::Value;

use super::json;

/// Told apart at a glance, on dark and on light ground.
const PALETTE: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Yellow,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Red,
];

/// How a line is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Who, then what.
    Plain,
    /// The same, who in this colour.
    Coloured(AnsiColor),
    /// One JSON object.
    Json,
}

/// The colour of the process that was seen so many others after the first.
pub fn palette(place: usize) -> AnsiColor {
    PALETTE[place % PALETTE.len()]
}

/// What tells a watcher's processes apart for the eye: the slot, which a replacement takes over.
pub fn process_of(line: &Value) -> String {
    member(line, "wid")
}

/// When the line was read.
pub fn time_of(line: &Value) -> f64 {
    line.get("time").and_then(Value::as_f64).unwrap_or_default()
}

/// `web.1 [4711] | text`; on stderr a `!` stands in the place of the `|`.
pub fn line(name: &str, line: &Value, look: Look) -> String {
    let bar = if line.get("stream").is_some_and(|stream| stream == "stderr") { '!' } else { '|' };
    let who = format!("{name}.{} [{}] {bar}", member(line, "wid"), member(line, "pid"));
    let text = member(line, "text");
    match look {
        Look::Plain => format!("{who} {text}"),
        Look::Coloured(colour) => {
            let style = Style::new().fg_color(Some(colour.into()));
            // What the process has coloured itself ends with its line.
            let end = if text.contains('\u{1b}') { "\u{1b}[0m" } else { "" };
            format!("{style}{who}{style:#} {text}{end}")
        }
        Look::Json => {
            let mut whole = serde_json::Map::new();
            whole.insert("watcher".to_owned(), name.into());
            whole.extend(line.as_object().cloned().unwrap_or_default());
            json::line(&Value::Object(whole))
        }
    }
}

fn member(line: &Value, name: &str) -> String {
    line.get(name).map(str_of).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_who_printed_it_and_where() {
        let out = json!({"seq": 7, "time": 1.5, "pid": 4711, "wid": 1, "stream": "stdout", "text": "hello"});
        let mut err = out.clone();
        err["stream"] = json!("stderr");
        assert_eq!(line("web", &out, Look::Plain), "web.1 [4711] | hello");
        assert_eq!(line("web", &err, Look::Plain), "web.1 [4711] ! hello");
        let coloured = line("web", &out, Look::Coloured(AnsiColor::Cyan));
        assert_eq!(coloured, "\u{1b}[36mweb.1 [4711] |\u{1b}[0m hello");
        assert_eq!(
            line("web", &out, Look::Json),
            r#"{"watcher": "web", "seq": 7, "time": 1.5, "pid": 4711, "wid": 1, "stream": "stdout", "text": "hello"}"#
        );
    }

    #[test]
    fn a_colour_of_the_process_does_not_run_on() {
        let red = json!({"pid": 1, "wid": 1, "text": "\u{1b}[31mred"});
        assert!(line("w", &red, Look::Coloured(AnsiColor::Cyan)).ends_with("\u{1b}[0m"));
        assert!(line("w", &red, Look::Plain).ends_with("red"));
    }

    #[test]
    fn what_an_answer_lacks_is_printed_as_nothing() {
        assert_eq!(line("w", &json!({}), Look::Plain), "w. [] | ");
        assert_eq!(line("w", &Value::Null, Look::Json), r#"{"watcher": "w"}"#);
    }
}
