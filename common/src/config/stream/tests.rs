//! Every class and key, as files and clients write them.

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::*;

fn members(value: &Value) -> IndexMap<String, Value> {
    value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn read(value: Value) -> StreamConfig {
    StreamConfig::read(&members(&value)).unwrap()
}

fn wrong(value: Value) -> (String, String) {
    StreamConfig::read(&members(&value)).unwrap_err()
}

fn file(value: Value) -> FileConfig {
    let Class::File(file) = read(value).class else { panic!("a file") };
    file
}

#[test]
fn without_a_class_a_filename_means_a_file_stream() {
    let file = file(json!({"filename": "/tmp/log"}));
    assert_eq!(file.filename.as_deref(), Some("/tmp/log"));
    assert_eq!(file.rotation, Rotation::Size { max_bytes: 0, backup_count: 0 });
    assert_eq!((file.format, file.compress, file.owner, file.mode), (Format::Raw, false, None, None));
    let (key, text) = wrong(json!({"max_bytes": "5"}));
    assert_eq!(key, "class");
    assert!(text.starts_with("stream configuration invalid"), "{text}");
}

#[test]
fn classes_go_by_their_short_names_and_their_paths() {
    for class in
        ["StdoutStream", "circus.stream.StdoutStream", "circus.stream:StdoutStream", " StdoutStream "]
    {
        assert_eq!(read(json!({"class": class})).class, Class::Stdout(Format::Raw), "{class}");
    }
    let class = read(json!({"class": "circus.stream.file_stream.FileStream"})).class;
    assert!(matches!(class, Class::File(_)));
    assert_eq!(read(json!({"class": "QueueStream"})).class, Class::Queue);
    for path in ["my.module.Class", "my.module:Class", "my:Class", "circus.stream.Redirector"] {
        assert_eq!(read(json!({"class": path})).class, Class::Python(Python { path: path.to_owned() }));
    }
}

#[test]
fn an_unknown_class_is_refused_with_what_was_meant() {
    let (key, text) = wrong(json!({"class": "FileStreem"}));
    assert_eq!(
        (key.as_str(), text.as_str()),
        ("class", "'FileStreem' is not understood; did you mean `FileStream`?")
    );
    assert!(wrong(json!({"class": "circus.stream.StdoutStrem"})).1.contains("`StdoutStream`"));
    assert!(wrong(json!({"class": "Nonsense"})).1.contains("or the path of a Python class"));
    for class in ["", ".", "a..b", ":x"] {
        assert_eq!(wrong(json!({"class": class})).0, "class", "{class:?}");
    }
}

#[test]
fn values_are_converted_from_text_and_taken_as_they_are() {
    let written = json!({"filename": "f", "max_bytes": "10M", "backup_count": "5", "time_format": "%H",
        "compress": "yes", "owner": "web:www", "mode": "640"});
    let from_text = file(written);
    assert_eq!(from_text.rotation, Rotation::Size { max_bytes: 10 << 20, backup_count: 5 });
    assert_eq!(from_text.format, Format::Timed("%H".to_owned()));
    assert!(from_text.compress);
    assert_eq!(from_text.owner, Some(Owner { user: Some("web".into()), group: Some("www".into()) }));
    assert_eq!(from_text.mode, Some(0o640));
    let from_json = file(json!({"filename": "f", "max_bytes": 10_485_760, "backup_count": 5,
        "time_format": "%H", "compress": true, "owner": "web:www", "mode": 640}));
    assert_eq!(from_text, from_json);
    assert_eq!(
        file(json!({"filename": "f", "max_bytes": -1, "backup_count": null})).rotation,
        Rotation::Size { max_bytes: 0, backup_count: 0 }
    );
    let owner = file(json!({"filename": "f", "owner": ":adm"})).owner.unwrap();
    assert_eq!((owner.user, owner.group.as_deref()), (None, Some("adm")));
}

#[test]
fn every_wrong_value_is_named_with_its_key() {
    for (key, value) in [
        ("filename", json!("")),
        ("filename", json!("a\0b")),
        ("filename", json!(["x"])),
        ("max_bytes", json!("ten")),
        ("max_bytes", json!("1.5M")),
        ("backup_count", json!("x")),
        ("compress", json!("perhaps")),
        ("owner", json!(":")),
        ("mode", json!("999")),
        ("mode", json!("1777")),
        ("mode", json!("+64")),
        ("format", json!("xml")),
        ("log_ring", json!("x")),
        ("on_full", json!("panic")),
    ] {
        let mut written = json!({"class": "FileStream", "filename": "f"});
        written[key] = value.clone();
        let (at, text) = wrong(written);
        assert_eq!(at, key, "{value} {text}");
    }
}

#[test]
fn rotation_by_time_takes_every_name_in_any_case() {
    let timed = |when: &str| file(json!({"class": "TimedRotatingFileStream", "rotate_when": when})).rotation;
    for (text, wanted) in [
        ("S", When::Second),
        ("m", When::Minute),
        ("h", When::Hour),
        ("D", When::Day),
        ("midnight", When::Midnight),
        ("MIDNIGHT", When::Midnight),
        ("w0", When::Weekday(0)),
        ("W6", When::Weekday(6)),
    ] {
        let rotation = Rotation::Time { when: wanted, interval: 1, backup_count: 0, utc: false };
        assert_eq!(timed(text), rotation, "{text}");
    }
    for when in [json!("W7"), json!("W"), json!("Y"), json!(""), json!("W10"), Value::Null] {
        assert_eq!(wrong(json!({"class": "TimedRotatingFileStream", "rotate_when": when})).0, "rotate_when");
    }
    let (key, _) =
        wrong(json!({"class": "TimedRotatingFileStream", "rotate_when": "H", "rotate_interval": "0"}));
    assert_eq!(key, "rotate_interval");
}

#[test]
fn utc_is_a_boolean_and_not_any_text() {
    for (text, wanted) in [("True", true), ("False", false), ("0", false)] {
        let rotation =
            file(json!({"class": "TimedRotatingFileStream", "rotate_when": "H", "utc": text})).rotation;
        assert!(matches!(rotation, Rotation::Time { utc, .. } if utc == wanted), "{text}");
    }
    assert_eq!(wrong(json!({"class": "TimedRotatingFileStream", "rotate_when": "H", "utc": "x"})).0, "utc");
}

#[test]
fn json_is_a_format_and_a_class_of_its_own() {
    assert_eq!(file(json!({"filename": "f", "format": "json", "time_format": "%H"})).format, Format::Json);
    assert_eq!(file(json!({"class": "JsonStream", "filename": "f"})).format, Format::Json);
    assert_eq!(read(json!({"class": "JsonStream"})).class, Class::Stdout(Format::Json));
    assert_eq!(read(json!({"class": "StdoutStream", "format": "JSON"})).class, Class::Stdout(Format::Json));
    let ignored = read(json!({"class": "StdoutStream", "time_format": "%H"}));
    assert_eq!(ignored.class, Class::Stdout(Format::Raw));
}

#[test]
fn a_colour_is_one_of_seven_or_left_to_chance() {
    let color = |value: Value| {
        let Class::FancyStdout { color, time_format } = read(value).class else { panic!("a terminal") };
        (color, time_format)
    };
    let (red, format) = color(json!({"class": "FancyStdoutStream", "color": "red"}));
    assert_eq!((red.map(Color::code), format.as_str()), (Some(1), "%Y-%m-%d %H:%M:%S"));
    assert_eq!(color(json!({"class": "FancyStdoutStream", "color": "white"})).0.map(Color::code), Some(7));
    assert_eq!(color(json!({"class": "FancyStdoutStream", "color": "pink"})).0, None);
    assert_eq!(color(json!({"class": "FancyStdoutStream", "time_format": "'%H'"})).1, "'%H'");
}

#[test]
fn syslog_and_journal_know_where_and_how_bad() {
    let Class::Syslog(syslog) = read(json!({"class": "SyslogStream"})).class else { panic!("syslog") };
    assert_eq!(syslog.address, SyslogAddress::Path("/dev/log".to_owned()));
    assert_eq!((syslog.facility, syslog.severity, syslog.ident), (Facility::DAEMON, None, None));
    let written = json!({"class": "SyslogStream", "address": "[::1]:5140", "facility": "LOCAL3",
        "severity": "error", "ident": "app"});
    let Class::Syslog(syslog) = read(written).class else { panic!("syslog") };
    assert_eq!(syslog.address, SyslogAddress::Host { host: "::1".to_owned(), port: 5140 });
    assert_eq!((syslog.facility.number(), syslog.severity), (19, Some(Severity::ERR)));
    for (key, value) in [("address", "[::1"), ("address", "h:x"), ("facility", "x"), ("severity", "bad")] {
        let mut written = json!({"class": "SyslogStream"});
        written[key] = json!(value);
        assert_eq!(wrong(written).0, key);
    }
    let Class::Journal(journal) = read(json!({"class": "JournalStream"})).class else { panic!("journal") };
    assert_eq!(journal.path, "/run/systemd/journal/socket");
}

#[test]
fn the_ring_and_what_happens_when_it_is_full_are_for_every_class() {
    let config = read(json!({"class": "QueueStream"}));
    assert_eq!((config.ring, config.on_full), (65_536, OnFull::Block));
    let config = read(json!({"class": "QueueStream", "log_ring": "1M", "on_full": "Drop"}));
    assert_eq!((config.ring, config.on_full), (1 << 20, OnFull::Drop));
    assert_eq!(read(json!({"class": "QueueStream", "log_ring": 0})).ring, 0);
}

#[test]
fn a_python_class_gets_all_that_is_not_ours() {
    let config = read(json!({"class": "a.B", "log_ring": "0", "on_full": "drop", "x": "1", "filename": "f"}));
    let arguments: Vec<_> = config.arguments().collect();
    assert_eq!(arguments, [("x", &json!("1")), ("filename", &json!("f"))]);
    assert_eq!(config.warnings(), []);
    assert_eq!(config.written.get("class"), Some(&json!("a.B")));
}

#[test]
fn keys_without_effect_are_accepted_and_told_if_something_else_was_meant() {
    let warnings = |value| {
        let warnings = read(value).warnings();
        warnings.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(warnings(json!({"filename": "f", "max_byte": 1})), ["max_byte"]);
    assert_eq!(warnings(json!({"class": "WatchedFileStream", "max_bytes": 1})), ["max_bytes"]);
    assert_eq!(warnings(json!({"filename": "f", "refresh_time": 1, "hello": 2})), Vec::<String>::new());
    let (_, text) = read(json!({"filename": "f", "max_byte": 1})).warnings().remove(0);
    assert_eq!(text, "`max_byte` has no effect; did you mean `max_bytes`?");
}
