//! What becomes of lines in real files.

use std::{fs, sync::Arc, time::Duration};

use circus_common::config::stream::{Class, StreamConfig};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::*;
use crate::stream::{batch::Origin, order::Channel};

/// A sink into `log` of a new directory.
struct Place {
    dir: tempfile::TempDir,
    sink: FileSink,
    origin: Arc<Origin>,
}

impl Place {
    fn new(options: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sink = sink(dir.path(), options);
        let origin = Origin { watcher: "web".to_owned(), wid: 1, pid: 5076, channel: Channel::Stdout };
        Self { dir, sink, origin: Arc::new(origin) }
    }

    fn write_at(&mut self, text: &[u8], seconds: u64) -> io::Result<()> {
        let mut batch = Batch::default();
        batch.push(text, &self.origin, Duration::from_secs(seconds));
        self.sink.write(&mut batch)
    }

    fn write(&mut self, text: &str) {
        self.write_at(text.as_bytes(), 1_795_245_040).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap().flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn sink(dir: &Path, options: Value) -> FileSink {
    let mut members: indexmap::IndexMap<String, Value> =
        options.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    members.entry("filename".to_owned()).or_insert_with(|| json!(dir.join("log").to_str().unwrap()));
    let Class::File(config) = StreamConfig::read(&members).unwrap().class else { panic!("a file stream") };
    FileSink::new(&config)
}

fn numbered(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("line {number}{}\n", if number < 10 { " " } else { "" })).collect()
}

#[test]
fn bytes_are_appended_as_they_come() {
    let mut place = Place::new(json!({}));
    fs::write(place.path("log"), "old\n").unwrap();
    place.write_at(b"\xff\xfe\0one", 0).unwrap();
    place.write("two\n");
    assert_eq!(fs::read(place.path("log")).unwrap(), b"old\n\xff\xfe\0onetwo\n");
}

#[test]
fn a_file_is_rolled_before_it_reaches_its_size_as_recorded() {
    for at_once in [false, true] {
        let mut place = Place::new(json!({"max_bytes": "30", "backup_count": "2"}));
        let lines: Vec<_> = (0..12).map(|number| format!("line {number:03}\n")).collect();
        if at_once {
            place.write(&lines.concat());
        } else {
            lines.iter().for_each(|line| place.write(line));
        }
        assert_eq!(place.names(), ["log", "log.1", "log.2"]);
        assert_eq!(place.read("log"), lines[9..].concat(), "{at_once}");
        assert_eq!(place.read("log.1"), lines[6..9].concat());
        assert_eq!(place.read("log.2"), lines[3..6].concat());
    }
}

#[test]
fn with_a_time_the_line_counts_as_it_came() {
    let mut place = Place::new(json!({"max_bytes": 30, "backup_count": 9, "time_format": "T"}));
    for line in ["one\n", "two\n", "three\n"] {
        place.write(line);
    }
    // 18 bytes stand there, and 4 more would not make 30; then 36 do.
    assert_eq!(place.read("log.1"), "T [5076] | one\nT [5076] | two\n");
    assert_eq!(place.read("log"), "T [5076] | three\n");
}

#[test]
fn without_old_files_to_keep_a_file_grows() {
    let mut place = Place::new(json!({"max_bytes": 10}));
    place.write(&numbered(0..20));
    assert_eq!(place.names(), ["log"]);
    assert_eq!(place.read("log"), numbered(0..20));
}

#[test]
fn a_line_longer_than_a_file_may_be_stays_whole() {
    let mut place = Place::new(json!({"max_bytes": 10, "backup_count": 5}));
    place.write("a\n");
    place.write(&format!("{}\nb\n", "x".repeat(50)));
    assert_eq!(place.read("log.2"), "a\n");
    assert_eq!(place.read("log.1"), format!("{}\n", "x".repeat(50)));
    assert_eq!(place.read("log"), "b\n");
}

#[test]
fn a_line_that_comes_in_pieces_is_not_torn_by_a_rotation() {
    let mut place = Place::new(json!({"max_bytes": 10, "backup_count": 5}));
    for piece in ["abcdefgh", "ijkl", "mn\nop\n"] {
        place.write(piece);
    }
    let all: String = place.names().iter().rev().map(|name| place.read(name)).collect();
    assert_eq!(all, "abcdefghijklmn\nop\n");
    assert!(place.names().iter().all(|name| {
        let text = place.read(name);
        text.is_empty() || text.ends_with('\n')
    }));
}

#[test]
fn a_file_without_lines_is_rolled_all_the_same() {
    let mut place = Place::new(json!({"max_bytes": 100, "backup_count": 50}));
    for _ in 0..100 {
        place.write(&"x".repeat(6000));
    }
    assert!(place.names().len() > 5);
    assert!(place.read("log").len() <= 2 * LINE_LIMIT);
}

#[test]
fn a_removed_file_is_made_anew_and_a_moved_one_written_to() {
    let mut place = Place::new(json!({}));
    place.write("one\n");
    fs::rename(place.path("log"), place.path("moved")).unwrap();
    place.write("two\n");
    assert_eq!(place.read("moved"), "one\ntwo\n");
    fs::remove_file(place.path("moved")).unwrap();
    place.write("three\n");
    assert_eq!(place.read("log"), "three\n");
}

#[test]
fn a_watched_file_that_was_moved_is_made_anew() {
    let mut place = Place::new(json!({"class": "WatchedFileStream"}));
    place.write("one\n");
    fs::rename(place.path("log"), place.path("log.1")).unwrap();
    place.write("two\n");
    assert_eq!((place.read("log.1"), place.read("log")), ("one\n".to_owned(), "two\n".to_owned()));
}

#[test]
fn a_truncated_file_is_measured_again() {
    let mut place = Place::new(json!({"max_bytes": 20, "backup_count": 1}));
    place.write("twelve bytes\n");
    File::options().write(true).open(place.path("log")).unwrap().set_len(0).unwrap();
    place.write("twelve bytes\n");
    assert_eq!(place.names(), ["log"]);
}

#[test]
fn the_clock_rolls_a_file_at_lines() {
    let options =
        json!({"class": "TimedRotatingFileStream", "rotate_when": "s", "backup_count": 2, "utc": true});
    let mut place = Place::new(options);
    place.write("zero\n");
    let begun = u64::try_from(place.path("log").metadata().unwrap().mtime()).unwrap();
    for (after, line) in [(0, "a\n"), (1, "b\n"), (1, "c\n"), (2, "d\n"), (3, "e\n")] {
        place.write_at(line.as_bytes(), begun + after).unwrap();
    }
    let date = |after| strftime(begun + after);
    assert_eq!(place.names(), ["log".to_owned(), format!("log.{}", date(1)), format!("log.{}", date(2))]);
    assert_eq!(place.read("log"), "e\n");
    assert_eq!(place.read(&format!("log.{}", date(1))), "b\nc\n");
}

fn strftime(at: u64) -> String {
    crate::os::local_time::strftime_in(crate::os::local_time::Zone::Utc, "%Y%m%d%H%M%S", at)
}

#[test]
fn files_of_one_date_are_kept_apart() {
    let options = json!({"class": "TimedRotatingFileStream", "rotate_when": "midnight", "utc": true});
    let mut place = Place::new(options);
    place.write("new\n");
    let begun = u64::try_from(place.path("log").metadata().unwrap().mtime()).unwrap();
    let day = crate::os::local_time::strftime_in(crate::os::local_time::Zone::Utc, "%Y%m%d", begun);
    fs::write(place.path(&format!("log.{day}")), "old\n").unwrap();
    place.write_at(b"next\n", begun + 86_400).unwrap();
    assert_eq!(place.read(&format!("log.{day}")), "old\n");
    assert_eq!(place.read(&format!("log.{day}-1")), "new\n");
}

#[test]
fn what_was_put_away_is_compressed_and_counted_on() {
    use std::io::Read;
    let mut place = Place::new(json!({"max_bytes": 10, "backup_count": 3, "compress": "True"}));
    for line in ["one12345\n", "two12345\n", "three123\n", "four1234\n", "five1234\n"] {
        place.write(line);
        for compression in place.sink.remarks().compressions {
            compression.run().unwrap();
        }
    }
    assert_eq!(place.names(), ["log", "log.1.gz", "log.2.gz", "log.3.gz"]);
    let mut text = String::new();
    let file = File::open(place.path("log.3.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "two12345\n");
}

#[test]
fn what_a_former_life_left_uncompressed_is_compressed() {
    let mut place = Place::new(json!({"max_bytes": 10, "backup_count": 3, "compress": true}));
    for name in ["log.1", "log.9", "log.7.compressing", "log.other"] {
        fs::write(place.path(name), "x").unwrap();
    }
    place.write("y\n");
    for compression in place.sink.remarks().compressions {
        compression.run().unwrap();
    }
    assert_eq!(place.names(), ["log", "log.1.gz", "log.9", "log.other"]);
}

#[test]
fn a_file_that_cannot_be_put_away_is_written_on_with_one_warning() {
    let mut place = Place::new(json!({"max_bytes": 10, "backup_count": 1}));
    // A directory that is not empty cannot be replaced by a file.
    fs::create_dir_all(place.path("log.1/full")).unwrap();
    for _ in 0..5 {
        place.write("a line\n");
    }
    assert_eq!(place.read("log"), "a line\n".repeat(5));
    assert_eq!(place.sink.remarks().warnings.len(), 1);
    fs::remove_dir_all(place.path("log.1")).unwrap();
    for _ in 0..3 {
        place.write("a line\n");
    }
    assert!(place.path("log.1").is_file());
}

#[test]
fn owner_and_mode_are_those_that_were_asked_for() {
    let root = rustix::process::geteuid().is_root();
    let mut options = json!({"mode": "0640"});
    if root {
        options["owner"] = json!("nobody");
    }
    let mut place = Place::new(options);
    place.write("x\n");
    let metadata = place.path("log").metadata().unwrap();
    assert_eq!(metadata.mode() & 0o777, 0o640);
    assert_eq!(metadata.uid() == 65534, root);
}

#[test]
fn a_full_device_is_an_error_and_nothing_is_lost() {
    let mut place = Place::new(json!({"filename": "/dev/full", "max_bytes": 1, "backup_count": 1}));
    let mut batch = Batch::default();
    batch.push(b"one\ntwo\n", &place.origin, Duration::ZERO);
    let error = place.sink.write(&mut batch).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(batch.rest(), b"one\ntwo\n");
}

#[test]
fn without_a_name_a_temporary_file_is_made_and_told_of() {
    let config = FileConfig {
        filename: None,
        format: circus_common::config::stream::Format::Raw,
        rotation: circus_common::config::stream::Rotation::Watched,
        compress: false,
        owner: None,
        mode: None,
    };
    let mut sink = FileSink::new(&config);
    sink.open().unwrap();
    let path = sink.path.clone().unwrap();
    assert!(path.is_file() && sink.remarks().warnings[0].contains(path.to_str().unwrap()));
    fs::remove_file(path).unwrap();
}

proptest! {
    #[test]
    fn no_rotation_loses_or_tears_a_line(
        lines in vec("[a-z]{0,30}", 1..60),
        cuts in vec(1_usize..40, 1..40),
        max_bytes in 1_u64..120,
        timed: bool,
    ) {
        let mut options = json!({"max_bytes": max_bytes, "backup_count": 100_000});
        if timed {
            options["time_format"] = json!("");
        }
        let mut place = Place::new(options);
        let lines: Vec<_> = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut rest = &lines[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            place.write(&now.concat());
            rest = later;
        }
        let mut names = place.names();
        names.sort_by_key(|name| name.strip_prefix("log.").map_or(0, |number| number.parse::<i64>().unwrap()));
        let texts: Vec<_> = names.iter().rev().map(|name| place.read(name)).collect();
        prop_assert!(texts.iter().all(|text| text.is_empty() || text.ends_with('\n')));
        prop_assert_eq!(texts.concat().replace(" [5076] | ", ""), lines.concat());
    }
}
