//! The two notations of a logging configuration, ini and JSON, as one document.

use std::collections::BTreeMap;

use ini::{Ini, ParseOption, Properties};
use serde_json::{Map, Value};

use super::literal::Literals;
use crate::syslog::SyslogAddress;

/// What a logging configuration defines, by name.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub loggers: BTreeMap<String, Logger>,
    pub handlers: BTreeMap<String, Handler>,
    pub formatters: BTreeMap<String, Formatter>,
}

#[derive(Debug)]
pub(super) struct Logger {
    pub level: Option<String>,
    pub handlers: Vec<String>,
    pub propagate: bool,
}

impl Default for Logger {
    fn default() -> Self {
        Self { level: None, handlers: Vec::new(), propagate: true }
    }
}

#[derive(Debug, Default)]
pub(super) struct Handler {
    pub class: String,
    pub level: Option<String>,
    pub formatter: Option<String>,
    pub filename: Option<String>,
    pub stream: Option<String>,
    /// A path, or a host.
    pub place: Option<String>,
    pub port: Option<u16>,
    pub facility: Option<String>,
}

impl Handler {
    /// Whether it writes to stdout, `sys.stdout` in an ini file and `ext://sys.stdout` in JSON.
    pub(super) fn is_stdout(&self) -> bool {
        self.stream.as_deref().is_some_and(|stream| stream.ends_with("sys.stdout"))
    }

    /// Where its syslog daemon listens; Python's default is the port of this host.
    pub(super) fn address(&self) -> SyslogAddress {
        match self.place.as_deref() {
            Some(path) if path.starts_with('/') => SyslogAddress::Path(path.to_owned()),
            Some(host) => {
                SyslogAddress::Host { host: host.to_owned(), port: self.port.unwrap_or(SyslogAddress::PORT) }
            }
            None => SyslogAddress::Host { host: "localhost".to_owned(), port: SyslogAddress::PORT },
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Formatter {
    pub format: Option<String>,
    pub date: Option<String>,
    pub style: Option<String>,
}

impl Document {
    /// Reads the notation of `logging.config.fileConfig`.
    pub(super) fn from_ini(text: &str) -> Result<Self, String> {
        let option = ParseOption {
            enabled_quote: false,
            enabled_escape: false,
            enabled_indented_mutiline_value: true,
            ..ParseOption::default()
        };
        let ini =
            Ini::load_from_str_opt(text, option).map_err(|error| format!("it is no ini file ({error})"))?;
        let mut document = Self::default();
        for (section, keys) in &ini {
            let Some((kind, name)) = section.and_then(|name| name.split_once('_')) else { continue };
            match kind {
                "logger" => {
                    let name = keys.get("qualname").filter(|_| name != "root").unwrap_or(name);
                    document.loggers.insert(name.to_owned(), ini_logger(keys));
                }
                "handler" => {
                    document.handlers.insert(name.to_owned(), ini_handler(keys));
                }
                "formatter" => {
                    let text = |key| keys.get(key).map(str::to_owned);
                    let formatter =
                        Formatter { format: text("format"), date: text("datefmt"), style: text("style") };
                    document.formatters.insert(name.to_owned(), formatter);
                }
                _ => {}
            }
        }
        Ok(document)
    }

    /// Reads the notation of `logging.config.dictConfig`.
    pub(super) fn from_json(source: &str) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(source).map_err(|error| format!("it is no JSON ({error})"))?;
        let mut document = Self::default();
        for (name, logger) in members(&value, "loggers") {
            document.loggers.insert(name.clone(), json_logger(logger));
        }
        if let Some(root) = value.get("root") {
            document.loggers.insert("root".to_owned(), json_logger(root));
        }
        for (name, handler) in members(&value, "handlers") {
            document.handlers.insert(name.clone(), json_handler(handler));
        }
        for (name, formatter) in members(&value, "formatters") {
            let formatter = Formatter {
                format: text(formatter, "format"),
                date: text(formatter, "datefmt"),
                style: text(formatter, "style"),
            };
            document.formatters.insert(name.clone(), formatter);
        }
        Ok(document)
    }
}

fn ini_logger(keys: &Properties) -> Logger {
    let handlers = keys.get("handlers").unwrap_or_default().split(',').map(str::trim);
    Logger {
        level: keys.get("level").map(|level| level.trim().to_owned()),
        handlers: handlers.filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        propagate: keys.get("propagate").is_none_or(|number| number.trim() != "0"),
    }
}

/// An ini file gives a handler's arguments as Python source: a tuple, or a dictionary in `kwargs`.
fn ini_handler(keys: &Properties) -> Handler {
    let source =
        format!("{} {}", keys.get("args").unwrap_or_default(), keys.get("kwargs").unwrap_or_default());
    let Literals { strings, words, numbers } = Literals::read(&source);
    let arguments: Vec<String> = strings
        .into_iter()
        .filter(|text| !matches!(text.as_str(), "filename" | "stream" | "address" | "facility" | "mode"))
        .collect();
    let facility = words.iter().find_map(|word| word.rsplit('.').next()?.strip_prefix("LOG_"));
    Handler {
        class: keys.get("class").unwrap_or_default().trim().to_owned(),
        level: keys.get("level").map(|level| level.trim().to_owned()),
        formatter: keys.get("formatter").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        filename: arguments.first().cloned(),
        stream: words.iter().find(|word| word.contains("sys.")).cloned(),
        place: arguments.first().cloned(),
        port: numbers.first().and_then(|number| u16::try_from(*number).ok()),
        facility: facility.map(str::to_lowercase),
    }
}

fn json_logger(value: &Value) -> Logger {
    let handlers = value.get("handlers").and_then(Value::as_array).into_iter().flatten();
    Logger {
        level: text(value, "level"),
        handlers: handlers.filter_map(Value::as_str).map(str::to_owned).collect(),
        propagate: value.get("propagate").and_then(Value::as_bool).unwrap_or(true),
    }
}

fn json_handler(value: &Value) -> Handler {
    let address = value.get("address");
    let pair = address.and_then(Value::as_array);
    let host = pair.and_then(|pair| pair.first()).or(address).and_then(Value::as_str);
    let port = pair.and_then(|pair| pair.get(1)).and_then(Value::as_u64);
    Handler {
        class: text(value, "class").unwrap_or_default(),
        level: text(value, "level"),
        formatter: text(value, "formatter"),
        filename: text(value, "filename"),
        stream: text(value, "stream"),
        place: host.map(str::to_owned),
        port: port.and_then(|port| u16::try_from(port).ok()),
        facility: text(value, "facility"),
    }
}

fn members<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// A text; a number counts as one, since levels may be numbers.
fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
