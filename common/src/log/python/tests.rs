use std::path::PathBuf;

use super::*;
use crate::syslog::{Facility, SyslogAddress};

const INI: &str = "\
[loggers]
keys=root,circus

[handlers]
keys=file,console

[formatters]
keys=short

[logger_root]
level=WARNING
handlers=console

[logger_circus]
level=DEBUG
handlers=file
qualname=circus
propagate=0

[handler_console]
class=StreamHandler
args=(sys.stdout,)

[handler_file]
class=logging.handlers.WatchedFileHandler
level=INFO
formatter=short
args=('/var/log/circus.log', 'a')

[formatter_short]
format=%(levelname)s %(message)s
datefmt=%H:%M
";

fn read_as(name: &str, text: &str) -> Translated {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    read(path.to_str().unwrap())
}

fn warning(translated: &Translated, part: &str) -> bool {
    translated.warnings.iter().any(|warning| warning.contains(part))
}

#[test]
fn an_ini_configuration_gives_level_file_and_format() {
    let translated = read_as("log.INI", INI);
    assert_eq!(translated.output, Some(Output::File(PathBuf::from("/var/log/circus.log"))));
    // The handler lets less through than the logger.
    assert_eq!(translated.level, Some(Level::Info));
    assert_eq!(translated.format, Some(Format::parse("%(levelname)s %(message)s", Some("%H:%M")).0));
    assert_eq!(translated.warnings, Vec::<String>::new());
}

#[test]
fn a_json_configuration_gives_level_place_and_format() {
    let translated = read_as(
        "log.json",
        r#"{"version": 1,
            "formatters": {"f": {"format": "%(asctime)s %(message)s %(lineno)d"}},
            "handlers": {"s": {"class": "logging.handlers.SysLogHandler", "address": ["logs", 1514],
                               "facility": "local3", "formatter": "f"}},
            "loggers": {"tornado": {"level": "ERROR"}},
            "root": {"level": 30, "handlers": ["s", "none"]}}"#,
    );
    let to = SyslogAddress::Host { host: "logs".to_owned(), port: 1514 };
    assert_eq!(translated.output, Some(Output::Syslog { to, facility: Facility::parse("local3").unwrap() }));
    assert_eq!(translated.level, Some(Level::Warning));
    for part in ["`%(lineno)d` stays empty", "no handler `none`", "logger `tornado`"] {
        assert!(warning(&translated, part), "{part}: {:?}", translated.warnings);
    }
}

#[test]
fn handlers_are_known_by_their_class() {
    let stderr = Some(Output::Stderr);
    let path = |path: &str| Some(Output::File(PathBuf::from(path)));
    let unix =
        Some(Output::Syslog { to: SyslogAddress::Path("/dev/log".to_owned()), facility: Facility::DAEMON });
    let local = Some(Output::Syslog {
        to: SyslogAddress::Host { host: "localhost".to_owned(), port: 514 },
        facility: Facility::USER,
    });
    let cases = [
        ("class=StreamHandler\nargs=(sys.stderr,)", stderr.clone()),
        ("class=StreamHandler\nargs=()", stderr),
        ("class=logging.StreamHandler\nargs=(sys.stdout,)", Some(Output::Stdout)),
        ("class=FileHandler\nkwargs={'filename': 'a.log', 'mode': 'w'}", path("a.log")),
        ("class=handlers.RotatingFileHandler\nargs=('b.log', 'a', 1000, 5)", path("b.log")),
        ("class=handlers.SysLogHandler\nargs=('/dev/log', handlers.SysLogHandler.LOG_DAEMON)", unix),
        ("class=handlers.SysLogHandler\nargs=()", local),
        ("class=NullHandler\nargs=()", Some(Output::Nowhere)),
        ("class=FileHandler\nargs=()", None),
        ("class=my.Own\nargs=('x',)", None),
    ];
    for (handler, output) in cases {
        let text = format!("[logger_root]\nhandlers=h\n[handler_h]\n{handler}\n");
        assert_eq!(read_as("x.ini", &text).output, output, "{handler}");
    }
}

#[test]
fn only_one_handler_is_used() {
    let text = INI.replace("propagate=0", "propagate=1");
    let translated = read_as("log.ini", &text);
    assert_eq!(translated.output, Some(Output::File(PathBuf::from("/var/log/circus.log"))));
    assert!(warning(&translated, "`console` is left out"), "{:?}", translated.warnings);
}

#[test]
fn what_cannot_be_read_is_a_warning_and_changes_nothing() {
    let cases = [
        ("x.yaml", "version: 1", "YAML is not read"),
        ("x.json", "{", "it is no JSON"),
        ("x.conf", "", "should end in"),
        ("x", "", "should end in"),
    ];
    for (name, text, part) in cases {
        let translated = read_as(name, text);
        assert!(warning(&translated, part), "{name}: {:?}", translated.warnings);
        assert!(translated.level.is_none() && translated.output.is_none() && translated.format.is_none());
    }
    assert!(warning(&read("/nowhere/x.ini"), "cannot be read"));
    assert!(warning(&read("/tmp"), "no file"));
}

#[test]
fn no_json_shape_is_a_panic() {
    for text in [
        "1",
        "[]",
        "null",
        r#"{"root": 1, "handlers": [], "formatters": {"f": 1}, "loggers": {"circus": []}}"#,
    ] {
        let _ = read_as("x.json", text);
    }
}
