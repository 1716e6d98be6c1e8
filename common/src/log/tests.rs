use std::{
    fs,
    net::UdpSocket,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process,
};

use super::*;

fn settings(output: &str) -> Settings {
    Settings { output: Some(output.to_owned()), ..Settings::default() }
}

/// Runs `say` with its events going to the log, and returns when they are written.
fn logged(settings: &Settings, say: impl FnOnce(&LogHandle)) {
    let (layer, handle) = open(CIRCUS, settings).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || say(&handle));
    handle.flush();
}

fn file() -> (tempfile::TempDir, PathBuf, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("circus.log");
    let settings = settings(path.to_str().unwrap());
    (dir, path, settings)
}

/// The lines without their date.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line[20..].to_owned()).collect()
}

fn line(rest: &str) -> String {
    format!("circus[{}] {rest}", process::id())
}

#[test]
fn events_become_lines_of_the_file() {
    let (_dir, path, settings) = file();
    logged(&settings, |_| {
        tracing::info!(watcher = "web", "process started");
        tracing::debug!("not at this level");
        tracing::error!(target: CRITICAL, "the end");
    });
    assert_eq!(lines(&path), [line("[INFO] process started watcher=web"), line("[CRITICAL] the end")]);
}

#[test]
fn a_moved_file_is_made_anew_while_it_runs() {
    let (dir, path, settings) = file();
    let moved = dir.path().join("circus.log.1");
    logged(&settings, |handle| {
        tracing::info!("one");
        handle.flush();
        fs::rename(&path, &moved).unwrap();
        tracing::info!("two");
    });
    assert_eq!((lines(&moved), lines(&path)), (vec![line("[INFO] one")], vec![line("[INFO] two")]));
}

#[test]
fn reopen_makes_a_removed_file_anew_at_once() {
    let (_dir, path, settings) = file();
    logged(&settings, |handle| {
        tracing::info!("one");
        handle.flush();
        fs::remove_file(&path).unwrap();
        handle.reopen();
        handle.flush();
        assert!(path.exists());
    });
}

#[test]
fn level_and_place_change_while_it_runs() {
    let (dir, path, first) = file();
    let other = dir.path().join("other.log");
    logged(&first, |handle| {
        tracing::debug!("too early");
        handle.apply(Settings { level: Some("DEBUG".to_owned()), ..settings(other.to_str().unwrap()) });
        handle.flush();
        tracing::debug!("now");
    });
    assert_eq!((lines(&path), lines(&other)), (vec![], vec![line("[DEBUG] now")]));
}

#[test]
fn settings_that_cannot_be_put_into_force_leave_the_old_ones() {
    let (_dir, path, first) = file();
    logged(&first, |handle| {
        handle.apply(settings("/nowhere/at/all/circus.log"));
        handle.apply(settings("syslog://"));
        tracing::info!("still here");
    });
    let lines = lines(&path);
    assert!(
        lines[0].contains("[ERROR] cannot open the log file `/nowhere/at/all/circus.log`: No such"),
        "{lines:?}"
    );
    assert!(lines[1].contains("cannot log to `syslog://`"), "{lines:?}");
    assert_eq!(lines[2], line("[INFO] still here"));
}

#[test]
fn a_log_that_cannot_be_opened_at_start_is_an_error() {
    let error = open(CIRCUS, &settings("/nowhere/at/all/circus.log")).unwrap_err();
    assert_eq!(error.to_string(), "cannot open the log file `/nowhere/at/all/circus.log`");
}

#[test]
fn a_unix_syslog_daemon_gets_each_line_with_its_priority() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let daemon = UnixDatagram::bind(&path).unwrap();
    logged(&settings(&format!("syslog://{}?local0", path.display())), |_| tracing::warn!("careful"));
    let mut buffer = [0; 1024];
    let length = daemon.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert!(text.starts_with("<132>"), "{text}");
    // `Nov 21 14:00:00 circus[1] ...`
    assert_eq!(&text[5 + 16..], line("[WARNING] careful"));
}

#[test]
fn a_remote_syslog_daemon_gets_each_line() {
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = daemon.local_addr().unwrap().port();
    logged(&settings(&format!("syslog://127.0.0.1:{port}")), |_| tracing::info!("hello"));
    let mut buffer = [0; 1024];
    let length = daemon.recv(&mut buffer).unwrap();
    assert!(buffer[..length].ends_with(line("[INFO] hello").as_bytes()));
}

#[test]
fn warnings_of_a_logger_configuration_are_logged() {
    let (dir, path, first) = file();
    let config = dir.path().join("log.yaml");
    fs::write(&config, "version: 1\n").unwrap();
    logged(&Settings { config: Some(config.display().to_string()), ..first }, |_| {});
    assert!(lines(&path)[0].contains("[WARNING] the logger configuration"), "{:?}", lines(&path));
}

#[test]
fn default_is_a_logger_configuration_that_says_nothing() {
    let (_dir, path, first) = file();
    logged(&Settings { config: Some(" Default ".to_owned()), ..first }, |_| tracing::info!("x"));
    assert_eq!(lines(&path), [line("[INFO] x")]);
}

#[test]
fn the_command_line_comes_before_the_file() {
    let option = Settings { level: Some("error".to_owned()), ..Settings::default() };
    let file = Settings { level: Some("debug".to_owned()), output: Some("x".to_owned()), config: None };
    let both = option.or(&file);
    assert_eq!(
        (both.level.as_deref(), both.output.as_deref(), both.config),
        (Some("error"), Some("x"), None)
    );
}

#[test]
fn a_thousand_lines_from_many_threads_are_a_thousand_whole_lines() {
    let (_dir, path, first) = file();
    let (layer, handle) = open(CIRCUS, &first).unwrap();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    for number in 0..250 {
                        tracing::info!(number, "line");
                    }
                });
            });
        }
    });
    handle.flush();
    let lines = lines(&path);
    assert_eq!(lines.len(), 1000);
    assert!(lines.iter().all(|text| text.starts_with(&line("[INFO] line number="))));
}
