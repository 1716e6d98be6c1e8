//! Python's logging configurations, as far as they go here: one level, one place, one format.
//!
//! Refuses nothing: what cannot be read or has no meaning here becomes a warning, and the daemon starts. What the
//! logger `circus` gets counts; without one, what `root` gets.

mod document;
mod literal;

use std::{fs, path::Path};

use document::{Document, Handler, Logger};

use super::{format::Format, level::Level, output::Output};
use crate::syslog::Facility;

/// Bigger than this is no logger configuration.
const FILE_LIMIT: u64 = 1 << 20;

/// What a logger configuration says; what it leaves open is `None`.
#[derive(Debug, Default)]
pub(super) struct Translated {
    pub level: Option<Level>,
    pub output: Option<Output>,
    pub format: Option<Format>,
    pub warnings: Vec<String>,
}

/// Reads the file and translates it.
pub(super) fn read(path: &str) -> Translated {
    let text = match read_bounded(Path::new(path)) {
        Ok(text) => text,
        Err(why) => return only_warning(path, &format!("it cannot be read ({why})")),
    };
    let document = match path.to_lowercase().rsplit_once('.').map(|(_, extension)| extension) {
        Some("ini") => Document::from_ini(&text),
        Some("json") => Document::from_json(&text),
        Some("yaml") => {
            return only_warning(path, "YAML is not read here; write it as JSON, which Python reads too");
        }
        Some(_) | None => return only_warning(path, "its name should end in .ini, .json or .yaml"),
    };
    match document {
        Ok(document) => translate(path, &document),
        Err(why) => only_warning(path, &why),
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        return Err("it is no file of a sensible size".to_owned());
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

fn only_warning(path: &str, why: &str) -> Translated {
    Translated {
        warnings: vec![format!("the logger configuration `{path}` is not used: {why}")],
        ..Translated::default()
    }
}

fn translate(path: &str, document: &Document) -> Translated {
    let nobody = Logger::default();
    let root = document.loggers.get("root").unwrap_or(&nobody);
    let circus = document.loggers.get("circus").unwrap_or(&nobody);
    let mut warnings = Vec::new();
    let mut names = circus.handlers.clone();
    if circus.propagate {
        names.extend(root.handlers.iter().cloned());
    }
    let mut found = None;
    for name in &names {
        let Some(handler) = document.handlers.get(name) else {
            warnings.push(format!("there is no handler `{name}`"));
            continue;
        };
        match (output(name, handler, &mut warnings), &found) {
            (Some(output), None) => found = Some((handler, output)),
            (Some(_), Some(_)) => {
                warnings.push(format!("the handler `{name}` is left out: one is enough here"))
            }
            (None, _) => {}
        }
    }
    let own = circus.level.as_deref().filter(|level| !level.eq_ignore_ascii_case("NOTSET"));
    let wanted = own.or(root.level.as_deref()).and_then(|level| level_of(level, &mut warnings));
    let (handler, output) = found.map_or((None, None), |(handler, output)| (Some(handler), Some(output)));
    let least = handler.and_then(|h| h.level.as_deref()).and_then(|level| level_of(level, &mut warnings));
    let format = handler
        .and_then(|handler| handler.formatter.as_ref())
        .and_then(|name| format(name, document, &mut warnings));
    for other in document.loggers.keys().filter(|name| !matches!(name.as_str(), "root" | "circus")) {
        warnings.push(format!("the logger `{other}` means nothing here"));
    }
    let warnings =
        warnings.iter().map(|warning| format!("logger configuration `{path}`: {warning}")).collect();
    Translated { level: wanted.max(least), output, format, warnings }
}

fn level_of(text: &str, warnings: &mut Vec<String>) -> Option<Level> {
    let level = Level::parse_python(text);
    if level.is_none() {
        warnings.push(format!("there is no level `{text}`"));
    }
    level
}

/// The place a handler writes to, by its class's last name.
fn output(name: &str, handler: &Handler, warnings: &mut Vec<String>) -> Option<Output> {
    let class = handler.class.rsplit('.').next().unwrap_or_default();
    match class {
        "StreamHandler" if handler.is_stdout() => Some(Output::Stdout),
        "StreamHandler" => Some(Output::Stderr),
        "FileHandler" | "WatchedFileHandler" => file(name, handler, warnings),
        "RotatingFileHandler" | "TimedRotatingFileHandler" => {
            warnings.push(format!(
                "the file of `{name}` is not rotated here: it is opened again when it was moved"
            ));
            file(name, handler, warnings)
        }
        "SysLogHandler" => {
            let facility = handler.facility.as_deref().and_then(Facility::parse).unwrap_or(Facility::USER);
            Some(Output::Syslog { to: handler.address(), facility })
        }
        "NullHandler" => Some(Output::Nowhere),
        other => {
            warnings.push(format!("the handler `{name}` is left out: `{other}` is not known here"));
            None
        }
    }
}

fn file(name: &str, handler: &Handler, warnings: &mut Vec<String>) -> Option<Output> {
    match handler.filename.as_deref() {
        Some(path) if !path.is_empty() => Some(Output::File(path.into())),
        Some(_) | None => {
            warnings.push(format!("the handler `{name}` names no file"));
            None
        }
    }
}

fn format(name: &str, document: &Document, warnings: &mut Vec<String>) -> Option<Format> {
    let Some(formatter) = document.formatters.get(name) else {
        warnings.push(format!("there is no formatter `{name}`"));
        return None;
    };
    if formatter.style.as_deref().is_some_and(|style| style != "%") {
        warnings.push(format!("the formatter `{name}` is not used: only the style `%` is known here"));
        return None;
    }
    let (format, strange) =
        Format::parse(formatter.format.as_deref().unwrap_or("%(message)s"), formatter.date.as_deref());
    warnings.extend(strange.into_iter().map(|what| format!("in the formatter `{name}` {what}")));
    Some(format)
}

#[cfg(test)]
mod tests;
